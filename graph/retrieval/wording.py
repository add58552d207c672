"""The words of a text as a search compares them: by sentence, and which stand side by side."""

from collections.abc import Container, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from graph.sentences import sentence_spans
from graph.terms import terms_and_sequence, words

KEPT = 4096
"""Texts whose words are remembered, about 8 KB each: splitting a text costs more than all the comparing."""
KEPT_PAIRS = 512
"""The same of pairs, about 16 KB each, which only what comes first is compared by."""


class Wording(NamedTuple):
    """The index terms of a text, those of each sentence, and all words in their order with a space around each."""

    terms: frozenset[str]
    sentences: tuple[frozenset[str], ...]
    order: str

    def best_share(self, weights: Mapping[str, float]) -> float:
        """The greatest share of the weights whose terms are in one sentence: 0..1."""
        here = [(term, weight) for term, weight in weights.items() if term in self.terms]
        total = sum(weights.values())
        if not here or not total:
            return 0.0
        return max([sum([weight for term, weight in here if term in sentence]) for sentence in self.sentences]) / total

    def pair_share(self, weights: Mapping[tuple[str, str], float]) -> float:
        """The share of the weights whose two words stand side by side: 0..1."""
        total = sum(weights.values())
        if not total:
            return 0.0
        return sum([weight for (one, two), weight in weights.items() if f" {one} {two} " in self.order]) / total


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


def share(weights: Mapping[str, float], found: Container[str]) -> float:
    """The share of the weights whose word was found: 0..1."""
    total = sum(weights.values())
    return sum([weight for word, weight in weights.items() if word in found]) / total if total else 0.0
