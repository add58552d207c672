"""Is what was found enough to answer? A confidence that needs no model, and the line below which we abstain."""

from collections.abc import Mapping, Sequence

from graph.sentences import sentence_spans
from graph.state.evidence import Passage, SearchQuery
from graph.terms import is_cjk, terms

READ_PASSAGES = 5
THRESHOLD, THRESHOLD_CJK = 0.3, 0.22
"""Least confidence for an answer: keeps .98 of the answerable questions of XQuAD (English and Chinese) and .99 of CMRC,
and turns away .58, .63 and .50 of those whose passage was taken out of the index (bench/quality/abstention.py)."""


THRESHOLD_FOLLOW_UP = 0.22
"""The same for a follow-up, whose own words are few: one that is clear in its conversation may reach less than .3
(tests/e2e/corpus_questions.json has one)."""


def is_enough(query: SearchQuery, found: float) -> bool:
    """Whether a confidence is enough to answer the question; CJK characters repeat, so it is lower there."""
    if is_cjk(query["text"]):
        return found >= THRESHOLD_CJK
    return found >= (THRESHOLD if len(query["texts"]) == 1 else THRESHOLD_FOLLOW_UP)


def confidence(query: SearchQuery, passages: Sequence[Passage], idf: Mapping[str, float]) -> float:
    """How likely the passages answer the question: 0..1, higher is better.

    The share of the question's rare words that the best single sentence has, averaged with that of the best passage
    with its headings; each word counts by its idf. A follow-up is judged with the words of its history, by their weight
    in the query, or by its own words alone, whichever is better: it may lean on the history or have left it.
    """
    everything = {term: weight * idf.get(term, 0.0) for term, weight in query["terms"].items()}
    own = {term: idf.get(term, 0.0) for term, weight in query["terms"].items() if weight == 1}
    read = passages[:READ_PASSAGES]
    sentences = [set(terms(p["text"][start:end])) for p in read for start, end in sentence_spans(p["text"])]
    wholes = [set(terms(f"{p['title']} {p.get('heading', '')} {p['text']}")) for p in read]
    return max((_share(weights, sentences) + _share(weights, wholes)) / 2 for weights in (everything, own))


def _share(weights: Mapping[str, float], candidates: Sequence[set[str]]) -> float:
    """The largest share of the weights that one candidate has."""
    total = sum(weights.values())
    if not total or not candidates:
        return 0.0
    return max(sum(weight for term, weight in weights.items() if term in found) for found in candidates) / total
