"""The record of a turn: what its events add up to, and the events that tell it again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from typing_extensions import TypedDict

from graph.events import Source, Status
from graph.state.channels import Outcome, Usage
from graph.state.evidence import Citation, Grounding
from server.events import Failure, RunDone, RunFailed, RunStarted, Timings

CONTRACT_VERSION = 1
RUNNING = "running"

RunStatus = Literal["running", "completed", "stopped", "abstained", "incomplete", "failed"]
Score = Literal[1, -1]


class Feedback(TypedDict):
    """What a person thinks of an answer."""

    score: Score
    comment: str | None


@dataclass
class Record:
    """A turn, from its question on. `add()` each of its events, and the rest of it follows."""

    run_id: str
    thread_id: str | None
    message_id: str
    question: str
    created_at: datetime
    model: str
    status: RunStatus = "running"
    query: str | None = None
    """The standalone question, once it is known."""
    answer: str = ""
    sources: list[Source] | None = None
    """None until retrieval has ended."""
    citations: list[Citation] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    cited: list[int] = field(default_factory=list)
    grounding: Grounding | None = None
    usage: Usage | None = None
    timings: Timings | None = None
    error: Failure | None = None
    feedback: Feedback | None = None
    last_event: int = 0
    """Number of the newest event that was added."""

    def add(self, event: str, data: Mapping[str, Any]) -> None:
        """Take in the next event."""
        self.last_event += 1
        match event:
            case "message":
                self.answer += data["delta"]
            case "source":
                self.sources = list(data["sources"])
            case "citation":
                self.citations.append(_copy(data))
            case "status":
                self.statuses.append(_copy(data))
                self.query = data.get("detail", {}).get("question", self.query)
            case "done":
                self.status = data["status"]
                self.cited = list(data["cited"])
                self.grounding = data["grounding"]
                self.usage = _copy(data["usage"])
                self.timings = _copy(data["timings"])
            case "failed":
                self.status = "failed"
                self.error = {key: data[key] for key in ("code", "message", "retryable")}  # type: ignore[assignment]  # the keys of Failure

    @property
    def running(self) -> bool:
        """Whether the terminal event is still to come."""
        return self.status == RUNNING

    def run_event(self, *, snapshot: bool = False) -> RunStarted:
        """The payload of its `run` event."""
        payload: RunStarted = {
            "v": CONTRACT_VERSION,
            "run_id": self.run_id,
            "thread_id": self.thread_id,
            "message_id": self.message_id,
            "model": self.model,
            "resumable": True,
        }
        return {**payload, "snapshot": True} if snapshot else payload

    def done_event(self, status: Outcome, turn: Mapping[str, Any] | None, timings: Timings) -> RunDone:
        """The payload of a `done` event: `turn` is what the graph made of it, None when it was cut short."""
        turn = turn or {}
        return {
            "status": status,
            "message_id": self.message_id,
            "answer": self.answer,
            "cited": list(turn.get("cited", self._cited_so_far())),
            "grounding": turn.get("grounding", self._grounding_so_far()),
            "usage": _usage(turn.get("usage", {})),
            "timings": timings,
        }

    def failed_event(self, failure: Failure) -> RunFailed:
        """The payload of a `failed` event."""
        return {**failure, "message_id": self.message_id}

    def snapshot(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The few events that tell an ended turn: `(event, payload)`."""
        yield "run", self.run_event(snapshot=True)
        if self.sources is not None:
            yield "source", {"sources": self.sources}
        if self.answer:
            yield "message", {"delta": self.answer}
        for citation in self.citations:
            yield "citation", citation
        if self.error is not None:
            yield "failed", self.failed_event(self.error)
        else:
            yield "done", self._done_again()

    def _done_again(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "message_id": self.message_id,
            "answer": self.answer,
            "cited": self.cited,
            "grounding": self.grounding,
            "usage": self.usage,
            "timings": self.timings,
        }

    def _cited_so_far(self) -> list[int]:
        return sorted({citation["index"] for citation in self.citations})

    def _grounding_so_far(self) -> Grounding:
        """A text that was cut short is grounded in part at best."""
        supported = any(citation["verified"] != "unsupported" for citation in self.citations)
        return "partial" if supported else "none"


def now() -> datetime:
    """The time of a record: aware, UTC."""
    return datetime.now(UTC)


def _usage(reported: Mapping[str, Any]) -> Usage:
    return {
        "input_tokens": int(reported.get("input_tokens", 0)),
        "output_tokens": int(reported.get("output_tokens", 0)),
    }


def _copy(data: Mapping[str, Any]) -> Any:
    return dict(data)
