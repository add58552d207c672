"""Evidence: passages and the citations that point into them. Plain data, as it is checkpointed and sent.

All offsets count Unicode code points (Python's `str`).
"""

from typing import Literal, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

Verdict = Literal["exact", "supported", "unsupported"]
Grounding = Literal["full", "partial", "none"]


class Span(TypedDict):
    """Half-open range of code points."""

    start: int
    end: int


class SearchQuery(TypedDict):
    """A question made ready for the index, with what its history adds.

    `terms`: index term -> weight in 0..1 for the lexical side. `texts`: (text, weight) pairs whose embeddings are
    added up for the dense side; the first is the question itself with weight 1. `answers`: what was answered before,
    the latest first; the index tells what it was taken from.
    """

    text: str
    terms: dict[str, float]
    texts: list[tuple[str, float]]
    answers: list[str]


class Passage(TypedDict):
    """A chunk retrieved for a turn, as the model gets it: `text` is the document's `start`–`end`."""

    index: int
    """The `n` of its marker `[n]`, counted from 1."""
    id: str
    """`<document>.<version>.<start>-<end>`: the same in every run and server."""
    text: str
    score: float
    """0..1, comparable only within one search."""
    document: str
    source: str
    title: str
    page: NotRequired[int]
    heading: NotRequired[str]
    start: int
    end: int
    doc_sha256: str


@with_config(use_attribute_docstrings=True)
class Citation(TypedDict):
    """A marker bound to the characters that support its sentence."""

    index: int
    source_id: str
    answer: Span
    """The sentence in the answer, without its markers at the end."""
    span: Span
    """The quote in the document: `document[start:end] == quote`."""
    quote: str
    verified: Verdict
    support: float
    """0..1: how much of the sentence the quote holds (docs/answers.md)."""
    origin: Literal["claimed", "found"]
