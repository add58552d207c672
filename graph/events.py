"""What the nodes say while they work, and `emit()`, the one way to say it.

Payloads are those of the wire contract (docs/http.md). To a reader of `astream_events(version="v2")` that wants nothing
else (`only_emitted`) they go as LangChain's custom events: `on_custom_event` with the event's `name` and its `data`.
To all others they go through LangGraph's stream writer, as `{"event": NAME, "data": PAYLOAD}` in `custom` mode: from
the LangGraph server too.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Literal, NotRequired, cast, overload

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from langchain_core.messages import AnyMessage
from langchain_core.runnables.schema import StreamEvent
from langgraph.config import get_config, get_stream_writer
from langgraph.graph.state import CompiledStateGraph
from pydantic import with_config
from typing_extensions import TypedDict

from graph.state.channels import NodeName
from graph.state.context import TurnContext
from graph.state.evidence import Citation, Passage, Span

SOURCE_TEXT_CHARS = 200
"""Characters of a passage that a `source` event shows."""

stop_event: ContextVar[asyncio.Event | None] = ContextVar("stop_event", default=None)
"""Set by whoever owns the run; a node that waits for a model races it. None: the run cannot be stopped softly."""

run_deadline: ContextVar[float | None] = ContextVar("run_deadline", default=None)
"""When the whole run must be over, in seconds of time.monotonic(); set by whoever owns the run."""


only_emitted: ContextVar[bool] = ContextVar("only_emitted", default=False)
"""Whether whoever reads this run by `astream_events` takes what `emit()` says, as custom events, and nothing else, so
that a model need not report its tokens. False where somebody may want LangChain's own events, as the LangGraph server
does."""
EMITTED = ("status", "source", "message", "reasoning", "citation", "suggest")
"""The names of the events."""


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
    if only_emitted.get():
        _emit_custom(event, data)
    else:
        get_stream_writer()({"event": event, "data": data})


def read_emitted(
    graph: CompiledStateGraph[Any, TurnContext, Any, Any], messages: Sequence[AnyMessage], context: TurnContext
) -> AsyncGenerator[StreamEvent]:
    """Run the graph: an `on_custom_event` with `name` and `data` for each event, and last `on_chain_end`.

    That has the state in its data's `output`. `only_emitted` is set where this is called. Whoever reads closes it.
    """
    only_emitted.set(True)
    events = graph.astream_events(
        {"messages": list(messages)},
        version="v2",
        include_names=[graph.name, *EMITTED],  # not the events of LangGraph's own steps
        stream_mode=[],
        context=context,
    )
    return cast("AsyncGenerator[StreamEvent]", events)  # it is a generator, though declared as an iterator


def event_streams(callbacks: BaseCallbackManager) -> list[BaseCallbackHandler]:
    """Those of the callbacks that make the events of `astream_events`; others are tracers."""
    return [handler for handler in callbacks.handlers if hasattr(handler, "tap_output_aiter")]


def _emit_custom(event: str, data: Any) -> None:
    """Put an event among those of `astream_events` at once; by the stream writer it passes two tasks of LangGraph.

    LangChain's `adispatch_custom_event` makes a manager of callbacks for each event, and has to be awaited.
    """
    callbacks = get_config().get("callbacks")
    assert isinstance(callbacks, BaseCallbackManager), "a run whose events are read has callbacks"
    assert callbacks.parent_run_id is not None, "inside a node the node is the parent"
    for stream in event_streams(callbacks):
        putting = stream.on_custom_event(event, data, run_id=callbacks.parent_run_id)
        with suppress(StopIteration):  # it puts it into a queue, and waits for nothing
            putting.send(None)


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
    "EMITTED",
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
    "event_streams",
    "only_emitted",
    "read_emitted",
    "run_deadline",
    "source_of",
    "stop_event",
]
