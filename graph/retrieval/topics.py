"""What a conversation is about: the passages that its answers were taken from, found again by their words.

A follow-up leaves out what the answers before it were about. The headings above their passages name it, so their words
are searched as well. It works on text alone: a caller without a thread, who sends a history, has no more than that.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import chain

from graph.library import LiveChunk
from graph.retrieval.wording import Wanted, wording_of
from graph.terms import terms

HITS = 5
"""Chunks looked at for each."""
ORIGIN_FROM = 0.6
"""Share of a sentence's words, by rarity, that its origin has at least."""
ORIGIN_MARGIN = 0.05
"""How much less than the best one another chunk may have to be taken for an origin too."""
SAID_FROM = 0.9
"""Share of a chunk's words that an answer has when it has said all of it."""
FEWEST_TERMS = 3
HEADING_WEIGHT, HEADING_DECAY = 0.5, 0.8
"""Weight of a heading's words for the latest answer, and how it falls with every answer before."""
_MARKER = re.compile(r"\[\d+\]")

Search = Callable[[Mapping[str, float]], Sequence[LiveChunk]]
"""Weighted index terms -> the few chunks that have most of them."""
Idf = Callable[[Iterable[str]], Mapping[str, float]]


@dataclass(frozen=True)
class Topics:
    """Words of headings with their weights, and ids of chunks that were said whole."""

    terms: dict[str, float] = field(default_factory=dict)
    said: frozenset[str] = frozenset()

    def share(self, chunk: LiveChunk, idf: Mapping[str, float]) -> float:
        """How much of the words, by rarity, the title and headings of a chunk have, times the words' weights: 0..1."""
        if not self.terms:
            return 0.0
        held = set(_heading_terms(chunk))
        found = sum(weight * idf[term] for term, weight in self.terms.items() if term in held)
        return found / (sum(idf[term] for term in self.terms) or 1.0)


def find_topics(answers: Sequence[str], search: Search, idf: Idf) -> Topics:
    """The topics of earlier `answers`, the latest first."""
    weights: dict[str, float] = {}
    said: set[str] = set()
    for distance, answer in enumerate(answers):
        spoken = wording_of(_MARKER.sub("", answer))
        if len(spoken.terms) < FEWEST_TERMS:
            continue
        held = {chunk: wording_of(chunk.text).terms for chunk in search(dict.fromkeys(spoken.terms, 1.0))}
        rarity = idf(spoken.terms.union(*held.values()))
        said.update(
            chunk.id for chunk, there in held.items() if _wanted(there, rarity).share(spoken.terms) >= SAID_FROM
        )
        origins = {
            (chunk.title, chunk.heading): _heading_terms(chunk)
            for sentence in spoken.sentences
            for chunk in _origins(sentence, held, rarity)
        }
        # An answer put together from several places is about none of them as much.
        weight = HEADING_WEIGHT * HEADING_DECAY**distance / (len(origins) or 1)
        for term in chain.from_iterable(origins.values()):
            weights[term] = max(weights.get(term, 0.0), weight)
    return Topics(weights, frozenset(said))


def _origins(
    sentence: Collection[str], held: Mapping[LiveChunk, Set[str]], idf: Mapping[str, float]
) -> list[LiveChunk]:
    """The chunks that a sentence may have been taken from: those that have most of it, and enough."""
    wanted = _wanted(sentence, idf)
    shares = {chunk: wanted.share(there) for chunk, there in held.items()}
    least = max(ORIGIN_FROM, max(shares.values(), default=0.0) - ORIGIN_MARGIN)
    return [chunk for chunk, covered in shares.items() if covered >= least]


def _heading_terms(chunk: LiveChunk) -> list[str]:
    return terms(f"{chunk.title} {chunk.heading}")


def _wanted(words: Collection[str], idf: Mapping[str, float]) -> Wanted:
    """Words with their rarity; none of a sentence of hardly a word, so that nothing has a share of it."""
    return Wanted({word: idf[word] for word in words} if len(words) >= FEWEST_TERMS else {})
