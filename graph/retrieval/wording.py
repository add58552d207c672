"""The words of a text as a search compares them: by sentence, and which stand side by side."""

from collections.abc import Mapping, Set
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from graph.sentences import sentence_spans
from graph.terms import STOP_WORDS, terms_and_sequence, words

KEPT = 4096
"""Texts whose words are remembered, about 8 KB each: splitting a text costs more than all the comparing."""
KEPT_PAIRS = 512
"""The same of pairs, about 16 KB each, which only what comes first is compared by."""


class Wording(NamedTuple):
    """The index terms of a text, those of each sentence, and all words in their order with a space around each."""

    terms: frozenset[str]
    sentences: tuple[frozenset[str], ...]
    order: str


class Wanted:
    """Weighted index terms, which are looked for in one text after another."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._terms = frozenset(weights)
        self._sums = _Sums(weights)
        self.total = sum(weights.values())

    def share(self, found: Set[str]) -> float:
        """The share of the weights whose term was found: 0..1."""
        return self._sums[self._terms.intersection(found)] / self.total if self.total else 0.0

    def best_share(self, wording: Wording) -> float:
        """The greatest share of the weights whose terms are in one sentence: 0..1."""
        here = self._terms & wording.terms
        if not here or not self.total:
            return 0.0
        return max(map(self._sums.__getitem__, map(here.__and__, wording.sentences))) / self.total


class _Sums(dict[frozenset[str], float]):
    """The sum of the weights of some terms, each made once: the sentences of many chunks have the same few of them."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self._weights = weights

    def __missing__(self, found: frozenset[str]) -> float:
        # In one order, so that two processes score alike to the last digit.
        self[found] = sum([weight for term, weight in self._weights.items() if term in found])
        return self[found]


class WantedPairs:
    """Weighted pairs of neighbouring words, which are looked for in one text after another."""

    def __init__(self, weights: Mapping[tuple[str, str], float]) -> None:
        # A word that is an index term tells at once of most pairs that they are not there.
        self._pairs = [
            (one if one not in STOP_WORDS else two if two not in STOP_WORDS else None, f" {one} {two} ", weight)
            for (one, two), weight in weights.items()
        ]
        self._total = sum(weights.values())

    def share(self, wording: Wording) -> float:
        """The share of the weights whose two words stand side by side: 0..1."""
        if not self._total:
            return 0.0
        terms, order = wording.terms, wording.order
        here = [weight for term, pair, weight in self._pairs if (term is None or term in terms) and pair in order]
        return sum(here) / self._total


@lru_cache(KEPT)
def wording_of(text: str) -> Wording:
    """The words of a chunk, which comes up again and again."""
    sentences: list[frozenset[str]] = []
    order = [""]
    for start, end in sentence_spans(text):
        terms, said = terms_and_sequence(words(text[start:end]))
        sentences.append(frozenset(terms))
        order += said
    return Wording(frozenset().union(*sentences), tuple(sentences), " ".join([*order, ""]))


@lru_cache(KEPT_PAIRS)
def pairs_of(text: str) -> frozenset[tuple[str, str]]:
    """The pairs of neighbouring words of a chunk."""
    return frozenset(pairwise(wording_of(text).order.split()))
