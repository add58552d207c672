"""From a question and its history to what is searched for, without a language model.

The terms of earlier questions count less with their distance, and earlier questions lean on the question's vector. On
MTRAG R@5 is .355 that way and .279 for the question alone; a person's rewrite reaches .320, and .362 with the weights
that suit it best (bench/quality/followups.py).
"""

from collections.abc import Sequence

from graph.state.evidence import SearchQuery
from graph.terms import question_terms, terms, words

PRONOUNS = frozenset(
    "it its they them their theirs he him his she hers her this that these those there one ones same such other "
    "another else also more too".split()
)
OPENINGS = ("and ", "or ", "but ", "so ", "then ", "what about ", "how about ")
CJK_PRONOUNS = ("它", "他", "她", "这", "那", "其", "该", "此", "呢", "還", "还", "也", "這")
LATEST_ANSWERS = 6
"""Earlier answers that a follow-up may be about."""
FEW_TERMS = 2
DECAY_DEPENDENT, DECAY_OTHER = 0.5, 0.2
"""Weight of a term by the distance of the question it comes from: DECAY ** distance."""
VECTORS_DEPENDENT, VECTORS_OTHER = (0.8, 0.4), (0.2, 0.2)
"""Weights of (previous question + question, first question + question) beside the question's own vector."""


def history_query(question: str, earlier: Sequence[str], answers: Sequence[str] = ()) -> SearchQuery:
    """The search for `question` asked after the questions `earlier`, which got the `answers`; both oldest first."""
    weights = dict.fromkeys(question_terms(question), 1.0)
    texts = [(question, 1.0)]
    if earlier:
        dependent = is_dependent(question)
        decay = DECAY_DEPENDENT if dependent else DECAY_OTHER
        for distance, asked in enumerate(reversed(earlier), start=1):
            for term in question_terms(asked):
                weights[term] = max(weights.get(term, 0.0), decay**distance)
        previous, first = VECTORS_DEPENDENT if dependent else VECTORS_OTHER
        texts += [(f"{earlier[-1]} {question}", previous), (f"{earlier[0]} {question}", first)]
    return {"text": question, "terms": weights, "texts": texts, "answers": list(answers[: -LATEST_ANSWERS - 1 : -1])}


def with_rewrite(query: SearchQuery, rewrite: str) -> SearchQuery:
    """`query` with a standalone wording beside it: both are searched, the wording is what is answered."""
    weights = {**query["terms"], **dict.fromkeys(question_terms(rewrite), 1.0)}
    return {**query, "text": rewrite, "terms": weights, "texts": [*query["texts"], (rewrite, 1.0)]}


def is_follow_up(query: SearchQuery) -> bool:
    """Whether the question was asked after others, or was reworded: more than its own text is searched for."""
    return len(query["texts"]) > 1


def is_dependent(question: str) -> bool:
    """Whether a question seems to lean on what was said before: an "And …", a pronoun, or hardly a word of its own."""
    if question.lower().startswith(OPENINGS):
        return True
    if PRONOUNS.intersection(words(question)) or any(sign in question for sign in CJK_PRONOUNS):
        return True
    return len(terms(question)) <= FEW_TERMS
