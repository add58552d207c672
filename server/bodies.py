"""The bodies of JSON answers, as the contract names them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from graph.events import Citation, Source, Status
from graph.library import CollectionInfo, Document, SourceView
from graph.pages import Box
from graph.state.channels import Outcome, Usage
from graph.state.evidence import Grounding
from server.events import Failure, Timings
from server.record import Feedback, Record, RunStatus
from server.threads import Thread


class TurnBody(BaseModel):
    """A question of a thread and what was answered.

    `error` is there when it failed, `feedback` when a person has given any.
    """

    run_id: str
    message_id: str
    question: str
    answer: str
    status: RunStatus
    sources: list[Source]
    citations: list[Citation]
    cited: list[int]
    grounding: Grounding | None
    usage: Usage | None
    timings: Timings | None
    created_at: datetime
    error: Failure | None = None
    feedback: Feedback | None = None


class RunBody(TurnBody):
    """The record of a turn, with its passages in full."""

    thread_id: str | None
    model: str
    query: str | None = Field(description="The standalone question; null until it is known.")
    statuses: list[Status]
    passages: list[Source] = Field(
        description="The sources with their full text; what was erased since keeps its first characters."
    )


class AnswerBody(BaseModel):
    """A question answered at once."""

    run_id: str
    thread_id: str | None
    message_id: str
    status: Outcome
    answer: str
    sources: list[Source]
    citations: list[Citation]
    cited: list[int]
    grounding: Grounding
    usage: Usage
    timings: Timings


class ThreadBody(BaseModel):
    """A conversation; lists leave out its turns."""

    id: str
    title: str
    created_at: datetime
    updated_at: datetime
    turns: list[TurnBody] = []


class DocumentBody(BaseModel):
    """A document that is indexed."""

    id: str
    source: str
    title: str
    collection: str
    format: str
    lang: str
    sha256: str
    chunks: int
    ingested_at: datetime
    status: str


class CollectionBody(BaseModel):
    """A set of documents searched together."""

    name: str
    documents: int
    chunks: int
    embedding: str


class BoxBody(BaseModel):
    """A rectangle on the page, in shares of its width and height, from the top left corner."""

    left: float
    top: float
    right: float
    bottom: float


class SourceBody(BaseModel):
    """A passage in its document."""

    id: str
    document: DocumentBody
    version: str
    live: bool
    text: str
    start: int
    end: int
    before: str
    after: str
    page: int | None = None
    heading: str | None = None
    boxes: list[BoxBody] | None = None


class Threads(BaseModel):
    """A page of threads."""

    items: list[ThreadBody]
    next: str | None


class Documents(BaseModel):
    """A page of documents."""

    items: list[DocumentBody]
    next: str | None


class Collections(BaseModel):
    """All collections."""

    items: list[CollectionBody]
    next: str | None


def turn_body(record: Record) -> TurnBody:
    """A turn of a thread."""
    return TurnBody(**_turn(record))


def run_body(record: Record, passages: dict[str, str]) -> RunBody:
    """The record of a run; `passages` is full text by source id."""
    full: list[Source] = [
        {**source, "text": passages.get(source["id"], source["text"])} for source in record.sources or []
    ]
    return RunBody(
        **_turn(record),
        thread_id=record.thread_id,
        model=record.model,
        query=record.query,
        statuses=record.statuses,
        passages=full,
    )


def answer_body(record: Record) -> AnswerBody:
    """An ended run that did not fail."""
    return AnswerBody.model_validate({**_turn(record), "thread_id": record.thread_id})


def thread_body(thread: Thread, turns: list[Record] | None = None) -> ThreadBody:
    """A thread, with its turns if they are given."""
    body = ThreadBody.model_validate(thread, from_attributes=True)
    if turns is None:
        return body
    return body.model_copy(update={"turns": [turn_body(record) for record in turns]})


def document_body(document: Document) -> DocumentBody:
    """A document."""
    return DocumentBody.model_validate(document, from_attributes=True)


def collection_body(collection: CollectionInfo) -> CollectionBody:
    """A collection."""
    return CollectionBody.model_validate(collection, from_attributes=True)


def source_body(source: SourceView, boxes: Sequence[Box] = ()) -> SourceBody:
    """A passage; `page`, `heading` and `boxes` are left out where there are none."""
    fields = {**vars(source), "document": document_body(source.document)}
    fields["boxes"] = [BoxBody(**box._asdict()) for box in boxes] or None
    return SourceBody(**{name: value for name, value in fields.items() if value is not None})


def _turn(record: Record) -> dict[str, Any]:
    turn: dict[str, Any] = {
        "run_id": record.run_id,
        "message_id": record.message_id,
        "question": record.question,
        "answer": record.answer,
        "status": record.status,
        "sources": record.sources or [],
        "citations": record.citations,
        "cited": record.cited,
        "grounding": record.grounding,
        "usage": record.usage,
        "timings": record.timings,
        "created_at": record.created_at,
    }
    optional = {"error": record.error, "feedback": record.feedback}
    return turn | {name: value for name, value in optional.items() if value is not None}
