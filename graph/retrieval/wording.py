"""The words of a text as a search compares them: by sentence, and which stand side by side."""

from collections.abc import Container, Mapping
from functools import lru_cache
from itertools import chain, pairwise
from typing import NamedTuple, TypeVar

from graph.sentences import sentence_spans
from graph.terms import sequence_of, terms_of, words

Word = TypeVar("Word", str, tuple[str, str])

KEPT = 2048
"""Texts whose words are remembered, about 10 KB each: splitting a text costs more than all the comparing."""


class Wording(NamedTuple):
    """The index terms of a text, those of each sentence, and its pairs of neighbouring words."""

    terms: frozenset[str]
    sentences: tuple[frozenset[str], ...]
    pairs: frozenset[tuple[str, str]]

    def best_share(self, weights: Mapping[str, float]) -> float:
        """The greatest share of the weights whose terms are in one sentence: 0..1."""
        here = [(term, weight) for term, weight in weights.items() if term in self.terms]
        total = sum(weights.values())
        if not here or not total:
            return 0.0
        return max([sum([weight for term, weight in here if term in sentence]) for sentence in self.sentences]) / total


@lru_cache(KEPT)
def wording_of(text: str) -> Wording:
    """The words of a chunk, which comes up again and again."""
    said = [words(text[start:end]) for start, end in sentence_spans(text)]
    sentences = tuple(frozenset(terms_of(sentence)) for sentence in said)
    pairs = frozenset(pairwise(sequence_of(chain.from_iterable(said))))
    return Wording(frozenset().union(*sentences), sentences, pairs)


def share(weights: Mapping[Word, float], found: Container[Word]) -> float:
    """The share of the weights whose word was found: 0..1."""
    total = sum(weights.values())
    return sum([weight for word, weight in weights.items() if word in found]) / total if total else 0.0
