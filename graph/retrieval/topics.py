"""What a conversation is about: the passages that its answers were taken from, found again by their words.

A follow-up leaves out what the answers before it were about. The headings above their passages name it, so their words
are searched as well. It works on text alone: a caller without a thread, who sends a history, has no more than that.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from graph.library import LiveChunk
from graph.sentences import sentence_spans
from graph.terms import terms

ANSWERS = 6
"""Latest answers that are looked for."""
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
        total = sum(idf[term] for term in self.terms)
        held = set(terms(f"{chunk.title} {chunk.heading}")) if total else set()
        return sum(weight * idf[term] for term, weight in self.terms.items() if term in held) / (total or 1.0)


def find_topics(answers: Sequence[str], search: Search, idf: Idf) -> Topics:
    """The topics of earlier `answers`, the latest first."""
    weights: dict[str, float] = {}
    said: set[str] = set()
    for distance, answer in enumerate(answers[:ANSWERS]):
        answer = _MARKER.sub("", answer)
        spoken = set(terms(answer))
        if len(spoken) < FEWEST_TERMS:
            continue
        sentences = [frozenset(terms(answer[start:end])) for start, end in sentence_spans(answer)]
        rarity = idf(spoken)
        held = {chunk: set(terms(chunk.text)) for chunk in search(dict.fromkeys(spoken, 1.0))}
        origins: dict[tuple[str, str], set[str]] = {}
        for words in sentences:
            shares = {chunk: _share(words, there, rarity) for chunk, there in held.items()}
            most = max(shares.values(), default=0.0)
            for chunk, share in shares.items():
                if share >= max(ORIGIN_FROM, most - ORIGIN_MARGIN):
                    origins[chunk.title, chunk.heading] = set(terms(f"{chunk.title} {chunk.heading}"))
        said.update(chunk.id for chunk, there in held.items() if _share(there, spoken, idf(there)) >= SAID_FROM)
        # An answer put together from several places is about none of them as much.
        weight = HEADING_WEIGHT * HEADING_DECAY**distance / (len(origins) or 1)
        for term in set().union(*origins.values()):
            weights[term] = max(weights.get(term, 0.0), weight)
    return Topics(weights, frozenset(said))


def _share(wanted: Collection[str], held: Collection[str], idf: Mapping[str, float]) -> float:
    """How much of the wanted words is held, by their rarity; 0 for a sentence of hardly a word."""
    if len(wanted) < FEWEST_TERMS:
        return 0.0
    return sum(idf[term] for term in wanted if term in held) / (sum(idf[term] for term in wanted) or 1.0)
