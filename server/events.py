"""The events of a run as a client gets them: each its name, its id and its payload.

What the nodes say has its types in graph/events.py; `run`, `done` and `failed` are the service's own.
"""

from typing import Annotated, Literal, NotRequired

from pydantic import Field, RootModel, with_config
from typing_extensions import TypedDict

from graph.events import Citation, Message, Reasoning, Sources, Status, Suggest
from graph.state.channels import Outcome, Usage
from graph.state.evidence import Grounding


@with_config(use_attribute_docstrings=True)
class RunStarted(TypedDict):
    """What a run is."""

    v: int
    """Version of the wire contract."""
    run_id: str
    thread_id: str | None
    """Null for a stateless call."""
    message_id: str
    model: str
    resumable: bool
    snapshot: NotRequired[bool]
    """The events that follow stand for the whole run and replace what a client had."""


class Timings(TypedDict):
    """Milliseconds from the start of the run; `ttft_ms` is null when no text was shown."""

    ttft_ms: int | None
    total_ms: int


class RunDone(TypedDict):
    """How a run ended that showed something."""

    status: Outcome
    message_id: str
    answer: str
    cited: list[int]
    grounding: Grounding
    usage: Usage
    timings: Timings


class Failure(TypedDict):
    """Why something failed; `message` is written for a person."""

    code: str
    message: str
    retryable: bool


class RunFailed(Failure):
    """Why a run failed."""

    message_id: NotRequired[str]


class RunStartedEvent(TypedDict):
    """The run begins: first, exactly once."""

    event: Literal["run"]
    id: str
    data: RunStarted


class StatusEvent(TypedDict):
    """A node starts, ends or is skipped."""

    event: Literal["status"]
    id: str
    data: Status


class SourceEvent(TypedDict):
    """What the answer is written from: once, before the first `message`."""

    event: Literal["source"]
    id: str
    data: Sources


class MessageEvent(TypedDict):
    """A piece of the answer."""

    event: Literal["message"]
    id: str
    data: Message


class ReasoningEvent(TypedDict):
    """A piece of what a reasoning model thinks aloud; never part of the answer."""

    event: Literal["reasoning"]
    id: str
    data: Reasoning


class CitationEvent(TypedDict):
    """A sentence is complete, and this is its proof."""

    event: Literal["citation"]
    id: str
    data: Citation


class SuggestEvent(TypedDict):
    """Questions that could come next."""

    event: Literal["suggest"]
    id: str
    data: Suggest


class DoneEvent(TypedDict):
    """The run has ended: last."""

    event: Literal["done"]
    id: str
    data: RunDone


class FailedEvent(TypedDict):
    """The run has failed, and no text was shown: last."""

    event: Literal["failed"]
    id: str
    data: RunFailed


class StreamEvent(
    RootModel[
        Annotated[
            RunStartedEvent
            | StatusEvent
            | SourceEvent
            | MessageEvent
            | ReasoningEvent
            | CitationEvent
            | SuggestEvent
            | DoneEvent
            | FailedEvent,
            Field(discriminator="event"),
        ]
    ]
):
    """One event of a run: a line of NDJSON, or the fields of a frame of SSE. `id` is `<run_id>:<n>`."""
