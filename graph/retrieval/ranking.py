"""The order of what was found: how well words, meaning, best sentence, word pairs and surroundings fit the question.

Each part lies in 0..1, and the score is their weighted mean. Parts that are measured within one search (BM25, cosine)
are scaled by what was found there, so scores compare only within one search. The weights are near those that fit one
half of the questions about whole articles (XQuAD, SQuAD 2.0), with less for the vectors, as manuals want it
(bench/quality/passages.py). Reciprocal rank fusion was worse on every set measured, and ruins results when one side
knows nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import pairwise

from graph.library import LiveChunk
from graph.retrieval.query import is_follow_up
from graph.retrieval.topics import Topics
from graph.retrieval.wording import Wanted, WantedPairs, wording_of
from graph.state.evidence import SearchQuery
from graph.terms import sequence

RESCORED = 60
"""Chunks whose text is looked at; those further back keep the score of words and meaning alone."""
AROUND_CHARS = 600
"""How far from a chunk others of its document still are its surroundings."""
GAP_CHARS = 2
"""Most characters, white space between sentences, from the end of a chunk to the start of its neighbour."""
TOPIC = 0.3
"""What a chunk gains when its headings are those that earlier answers came from."""
SAID = 0.1
"""What a chunk loses when the conversation has said all of it already."""


@dataclass(frozen=True)
class Weights:
    """How much each part counts."""

    lexical: float
    """BM25, as a share of the best."""
    dense: float
    """Cosine similarity, from the least to the greatest found."""
    sentence: float
    """Share of the question's words, by rarity, in the best sentence."""
    pairs: float
    """Share of the question's neighbouring words that are neighbours there."""
    document: float
    """BM25 of the best chunk of the same document."""
    neighbour: float
    """BM25 of the better chunk beside it."""
    around: float
    """Share of the question's words, by rarity, in the chunk and what was found around it."""

    @property
    def total(self) -> float:
        """The greatest sum of all parts."""
        return float(sum(astuple(self)))


HYBRID = Weights(lexical=1.0, dense=0.7, sentence=0.8, pairs=0.6, document=0.2, neighbour=0.0, around=0.0)
"""More weight for the meaning suits loose talk (MTRAG) better, less of it manuals."""
WITHOUT_ANSWERS = replace(HYBRID, dense=3.0, sentence=0.4, pairs=0.3)
"""For a follow-up after questions whose answers are not known: only the meaning tells what the talk is about (MTRAG:
R@5 .355 with these, .301 with `HYBRID`). Where answers are known, this much of the meaning loses more than it finds
(bench/quality/manuals.py)."""
WORDS_ALONE = Weights(lexical=1.0, dense=0.0, sentence=0.55, pairs=0.3, document=0.5, neighbour=0.1, around=1.5)
"""For questions that the embedding cannot read."""


@dataclass(frozen=True)
class Hit:
    """A chunk that a search found: its BM25 score, 0 where its words were not found, and its cosine similarity."""

    chunk: LiveChunk
    lexical: float
    dense: float | None


def rank(
    query: SearchQuery, hits: Sequence[Hit], idf: Mapping[str, float], topics: Topics
) -> list[tuple[LiveChunk, float]]:
    """Chunks with their scores in 0..1, best first, ties by id. `idf`: of the words of the query and the topics."""
    chunks = [hit.chunk for hit in hits]
    dense = [hit.dense for hit in hits if hit.dense is not None]
    weights = _weights(query) if dense else WORDS_ALONE
    low, high = min(dense, default=0.0), max(dense, default=0.0)
    spread = (high - low) or 1.0
    most = max([hit.lexical for hit in hits], default=0.0) or 1.0
    lexical = [hit.lexical / most for hit in hits]
    scores = [
        weights.lexical * words + weights.dense * (0.0 if hit.dense is None else (hit.dense - low) / spread)
        for hit, words in zip(hits, lexical, strict=True)
    ]
    first = _best_first(chunks, scores)[:RESCORED]
    documents = _documents(chunks, lexical)
    # What counts for nothing is not looked for.
    neighbours = _neighbours(chunks, lexical) if weights.neighbour else {}
    around = _around([chunks[place] for place in first]) if weights.around else {}
    wanted = Wanted({term: weight * idf.get(term, 0.0) for term, weight in query["terms"].items()})
    pairs = WantedPairs({pair: sum(idf.get(term, 0.0) for term in pair) for pair in pairwise(sequence(query["text"]))})
    for place in first:
        chunk = chunks[place]
        wording = wording_of(chunk.text)
        scores[place] += (
            weights.sentence * wanted.best_share(wording)
            + weights.pairs * pairs.share(wording)
            + weights.document * documents[chunk.document]
            + (weights.neighbour * neighbours.get(chunk.id, 0.0) if neighbours else 0.0)
            + (weights.around * wanted.share(around[chunk.id]) if around else 0.0)
        )
    total = weights.total
    scores = [score / total for score in scores]
    if topics.terms or topics.said:
        most_gained = 1 + TOPIC * bool(topics.terms)
        for place, chunk in enumerate(chunks):
            gain = TOPIC * topics.share(chunk, idf) - SAID * (chunk.id in topics.said)
            scores[place] = max(0.0, (scores[place] + gain) / most_gained)
    return [(chunks[place], scores[place]) for place in _best_first(chunks, scores)]


def _best_first(chunks: Sequence[LiveChunk], scores: Sequence[float]) -> list[int]:
    """Places of the chunks by their scores, ties by id."""
    return sorted(range(len(chunks)), key=lambda place: (-scores[place], chunks[place].id))


def _weights(query: SearchQuery) -> Weights:
    return WITHOUT_ANSWERS if is_follow_up(query) and not query["answers"] else HYBRID


def _documents(chunks: Sequence[LiveChunk], lexical: Sequence[float]) -> dict[str, float]:
    """The best lexical score of each document."""
    best: dict[str, float] = {}
    for chunk, score in zip(chunks, lexical, strict=True):
        if score >= best.get(chunk.document, 0.0):
            best[chunk.document] = score
    return best


def _neighbours(chunks: Sequence[LiveChunk], lexical: Sequence[float]) -> dict[str, float]:
    """The better lexical score of the two chunks beside each one, of those that were found."""
    best: dict[str, float] = {}
    order = sorted(range(len(chunks)), key=lambda place: (chunks[place].version, chunks[place].start))
    for before, after in pairwise(order):
        one, other = chunks[before], chunks[after]
        if are_neighbours(one, other):
            best[one.id] = max(best.get(one.id, 0.0), lexical[after])
            best[other.id] = max(best.get(other.id, 0.0), lexical[before])
    return best


def _around(found: Sequence[LiveChunk]) -> dict[str, frozenset[str]]:
    """The words of each chunk together with those of the chunks around it, of those that were found."""
    by_version: dict[str, list[LiveChunk]] = {}
    for chunk in found:
        by_version.setdefault(chunk.version, []).append(chunk)
    return {
        chunk.id: frozenset().union(
            *(
                wording_of(other.text).terms
                for other in together
                if other.start <= chunk.end + AROUND_CHARS and other.end >= chunk.start - AROUND_CHARS
            )
        )
        for together in by_version.values()
        for chunk in together
    }


def are_neighbours(before: LiveChunk, after: LiveChunk) -> bool:
    """Whether one chunk follows the other in its document, with no more than white space between them."""
    return before.version == after.version and after.start > before.start and after.start - before.end <= GAP_CHARS
