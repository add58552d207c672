"""Is what was found enough to answer? A confidence that needs no model, and the line below which we abstain.

The confidence is the chance that the answer is there, by a logistic regression on what the best chunk shows. It was
fitted on one half of the questions of XQuAD, CMRC and DRCD with half of their passages taken out of the index, and
confirmed on the other (bench/quality/abstention.py). Similarities of one embedding mean something else for another:
where an embedding has no calibration, and for questions that it cannot read, words alone decide.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graph.library import LiveChunk
from graph.retrieval.query import is_follow_up
from graph.retrieval.ranking import Hit
from graph.retrieval.wording import Wanted, wording_of
from graph.state.evidence import SearchQuery
from graph.terms import terms

BM25_CEILING = 2.2
"""k1 + 1: what BM25 gives at most for a term, as a multiple of its idf."""


@dataclass(frozen=True)
class Calibration:
    """Weights of the regression, and the least confidence for an answer.

    `passage`, `sentence`: shares of the question's words, by rarity, in the best chunk with its headings and in its
    best sentence. `lead`: its score above that of the next. `words`: its BM25 as a share of the most there could be.
    `meaning`: its cosine similarity.
    """

    passage: float
    sentence: float
    lead: float
    words: float
    meaning: float
    bias: float
    threshold: float
    threshold_follow_up: float
    """Lower, as the words of a follow-up are few: one that is clear in its conversation may reach less."""


WORDS_ALONE = Calibration(4.7, 3.6, 2.0, 2.5, 0.0, -4.35, threshold=0.06, threshold_follow_up=0.03)
BY_EMBEDDING = {"minilm": Calibration(3.5, 2.9, 1.5, 1.6, 3.7, -5.65, threshold=0.1, threshold_follow_up=0.08)}


@dataclass(frozen=True)
class Sufficiency:
    """How likely the answer is there (0..1), and whether that is enough to answer."""

    confidence: float
    enough: bool


def judge(
    query: SearchQuery,
    hits: Sequence[Hit],
    ranked: Sequence[tuple[LiveChunk, float]],
    idf: Mapping[str, float],
    *,
    embedding: str,
) -> Sufficiency:
    """Judge the hits of a search with this embedding, which are `ranked`, best first with their scores.

    A follow-up is judged with the words of its history, by their weight in the query, or by its own words alone,
    whichever is better: it may lean on the history or have left it.
    """
    similarities = [hit.dense for hit in hits if hit.dense is not None]
    calibration = BY_EMBEDDING.get(embedding, WORDS_ALONE) if similarities else WORDS_ALONE
    best_lexical = max((hit.lexical for hit in hits), default=0.0)
    if not ranked:
        return Sufficiency(0.0, enough=False)
    everything = {term: weight * idf.get(term, 0.0) for term, weight in query["terms"].items()}
    own = {term: idf.get(term, 0.0) for term, weight in query["terms"].items() if weight == 1}
    found = max(_evidence(Wanted(words), ranked[0][0], best_lexical, calibration) for words in (everything, own))
    lead = ranked[0][1] - (ranked[1][1] if len(ranked) > 1 else 0.0)
    found += calibration.lead * lead + calibration.meaning * max(similarities, default=0.0) + calibration.bias
    confidence = 1 / (1 + math.exp(-found))
    least = calibration.threshold_follow_up if is_follow_up(query) else calibration.threshold
    return Sufficiency(confidence, confidence >= least)


def _evidence(wanted: Wanted, chunk: LiveChunk, best_lexical: float, calibration: Calibration) -> float:
    if not wanted.total:
        return 0.0
    wording = wording_of(chunk.text)
    whole = wording.terms.union(terms(f"{chunk.title} {chunk.heading}"))
    return (
        calibration.passage * wanted.share(whole)
        + calibration.sentence * wanted.best_share(wording)
        + calibration.words * min(1.0, best_lexical / (BM25_CEILING * wanted.total))
    )
