"""Is what was found enough to answer? A confidence that needs no model, and the line below which we abstain."""

from collections.abc import Mapping, Sequence

from graph.sentences import sentence_spans
from graph.state.evidence import Passage, SearchQuery
from graph.terms import is_cjk, terms

READ_PASSAGES = 5
THRESHOLD, THRESHOLD_CJK = 0.3, 0.22
"""Least confidence for an answer: keeps .99 of the answerable questions of XQuAD (English), .96 of XQuAD (Chinese) and
.99 of CMRC, and turns away .58, .72 and .45 of those whose passage was taken out of the index (docs/answers.md)."""


def is_enough(question: str, found: float) -> bool:
    """Whether a confidence is enough to answer the question; CJK characters repeat, so it is lower there."""
    return found >= (THRESHOLD_CJK if is_cjk(question) else THRESHOLD)


def confidence(
    query: SearchQuery,
    passages: Sequence[Passage],
    idf: Mapping[str, float],
    lexical: Mapping[str, float],
    dense: Mapping[str, float],
) -> float:
    """How likely the passages answer the question: 0 and more, higher is better.

    The share of the question's rare words that the best single sentence has, plus that of the best passage with its
    headings, each weighted by idf and by the word's weight in the query.
    """
    weights = {term: weight * idf.get(term, 0.0) for term, weight in query["terms"].items()}
    total = sum(weights.values())
    if not passages or not total:
        return 0.0
    best_sentence = best_passage = 0.0
    for passage in passages[:READ_PASSAGES]:
        text = passage["text"]
        around = set(terms(f"{passage['title']} {passage.get('heading', '')}"))
        inside = set(terms(text))
        best_passage = max(best_passage, _covered(weights, inside | around) / total)
        for start, end in sentence_spans(text):
            best_sentence = max(best_sentence, _covered(weights, set(terms(text[start:end]))) / total)
    return (best_sentence + best_passage) / 2


def _covered(weights: Mapping[str, float], found: set[str]) -> float:
    return sum(weight for term, weight in weights.items() if term in found)
