"""What the nodes say while they work, and `emit()`, the one way to say it.

Payloads are those of the wire contract (docs/http.md). They leave a node through LangGraph's stream writer as
`{"event": NAME, "data": PAYLOAD}`: in `custom` mode of the LangGraph server, and as `on_chain_stream` chunks
`("custom", payload)` of `astream_events(version="v2", stream_mode=["custom"])`.
"""

import asyncio
from contextvars import ContextVar
from typing import Any, Literal, NotRequired, overload

from langgraph.config import get_stream_writer
from pydantic import with_config
from typing_extensions import TypedDict

from graph.state.channels import NodeName
from graph.state.evidence import Citation, Passage, Span

SOURCE_TEXT_CHARS = 200
"""Characters of a passage that a `source` event shows."""

stop_event: ContextVar[asyncio.Event | None] = ContextVar("stop_event", default=None)
"""Set by whoever owns the run; a node that waits for a model races it. None: the run cannot be stopped softly."""

run_deadline: ContextVar[float | None] = ContextVar("run_deadline", default=None)
"""When the whole run must be over, in seconds of time.monotonic(); set by whoever owns the run."""


only_emitted: ContextVar[bool] = ContextVar("only_emitted", default=False)
"""Whether whoever reads this run takes what `emit()` says and nothing else, so that a model need not report its tokens.
False where somebody may want LangChain's own events, as the LangGraph server does."""


class Status(TypedDict):
    """A node starts, ends or is skipped."""

    node: NodeName
    state: Literal["start", "end", "skip"]
    label: str
    ms: NotRequired[int]
    detail: NotRequired[dict[str, Any]]


@with_config(use_attribute_docstrings=True)
class SourceMetadata(TypedDict):
    """Where a source stands."""

    source: str
    """The path or URL as it was ingested."""
    title: str
    page: NotRequired[int]
    heading: NotRequired[str]
    start: int
    end: int
    doc_sha256: str


@with_config(use_attribute_docstrings=True)
class Source(TypedDict):
    """A passage as a client sees it."""

    index: int
    """The `n` of its marker `[n]`."""
    id: str
    text: str
    """The first 200 characters of the passage."""
    score: float
    url: str
    metadata: SourceMetadata


class Sources(TypedDict):
    """The `source` event: all passages of the turn, best first."""

    sources: list[Source]


class Message(TypedDict):
    """A piece of the answer."""

    delta: str


class Reasoning(TypedDict):
    """A piece of what a reasoning model thinks aloud; never part of the answer."""

    delta: str


class Suggest(TypedDict):
    """Questions that could come next."""

    questions: list[str]


@overload
def emit(event: Literal["status"], data: Status) -> None: ...
@overload
def emit(event: Literal["source"], data: Sources) -> None: ...
@overload
def emit(event: Literal["message"], data: Message) -> None: ...
@overload
def emit(event: Literal["reasoning"], data: Reasoning) -> None: ...
@overload
def emit(event: Literal["citation"], data: Citation) -> None: ...
@overload
def emit(event: Literal["suggest"], data: Suggest) -> None: ...
def emit(event: str, data: Any) -> None:
    """Send one event to whoever reads this run. Call it inside a node only."""
    get_stream_writer()({"event": event, "data": data})


def source_of(passage: Passage) -> Source:
    """The client's view of a passage: its first characters and where it stands."""
    metadata: SourceMetadata = {
        "source": passage["source"],
        "title": passage["title"],
        "start": passage["start"],
        "end": passage["end"],
        "doc_sha256": passage["doc_sha256"],
    }
    if "page" in passage:
        metadata["page"] = passage["page"]
    if "heading" in passage:
        metadata["heading"] = passage["heading"]
    return {
        "index": passage["index"],
        "id": passage["id"],
        "text": passage["text"][:SOURCE_TEXT_CHARS],
        "score": passage["score"],
        "url": f"/v1/sources/{passage['id']}",
        "metadata": metadata,
    }


__all__ = [
    "SOURCE_TEXT_CHARS",
    "Citation",
    "Message",
    "Reasoning",
    "Source",
    "SourceMetadata",
    "Sources",
    "Span",
    "Status",
    "Suggest",
    "emit",
    "only_emitted",
    "run_deadline",
    "source_of",
    "stop_event",
]
