"""A run while it is active: who reads it, whether it is to stop, and how it ended."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson
import structlog

from graph.errors import CitestreamError
from server.ask import Ask
from server.errors import INTERNAL_MESSAGE, RunTimeout, ShuttingDown
from server.events import Failure, RunDone, RunFailed, Timings
from server.record import Record
from server.sse import encode_json
from server.threads import Place

log = structlog.get_logger(__name__)

INTERNAL_FAILURE: Failure = {"code": "internal", "message": INTERNAL_MESSAGE, "retryable": False}
READER_ELSEWHERE_S = 8.0
"""How long a reader in another process counts after that process last spoke of it."""

StopReason = Literal["asked", "interrupted", "left", "shutdown", "timeout"]


@dataclass(eq=False)
class Run:
    """A run while it is active."""

    ask: Ask
    record: Record
    disconnect_grace_s: float
    place: Place | None = None
    """Where its turn stands; None for a stateless run."""
    thread_version: int = 0
    """The version of its thread when its turn came."""
    started_at: float = field(default_factory=time.monotonic)
    first_text_at: float | None = None
    turn: Mapping[str, Any] | None = None
    """What the graph said at its end."""
    stop_reason: StopReason | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    readers: int = 0
    _elsewhere: dict[str, float] = field(default_factory=dict)
    """Worker id -> until when its readers count."""
    _grace: asyncio.TimerHandle | None = None

    def stop(self, reason: StopReason) -> None:
        """Ask the run to end; what it has written so far is kept. The first reason counts."""
        if self.stop_reason is None:
            self.stop_reason = reason
            self.stopping.set()

    def join(self) -> None:
        """One more reader."""
        self.readers += 1
        self._cancel_grace()

    def leave(self) -> None:
        """One reader less; the last one stops the run after the grace, unless the run goes on by itself."""
        self.readers -= 1
        self._check_readers()

    def join_elsewhere(self, worker: str) -> None:
        """Another process has a reader, or still has it."""
        self._elsewhere[worker] = time.monotonic() + READER_ELSEWHERE_S
        self._cancel_grace()

    def leave_elsewhere(self, worker: str) -> None:
        """The last reader of another process has left."""
        if self._elsewhere.pop(worker, None) is not None:
            self._check_readers()

    def forget_silent_workers(self) -> None:
        """Do not wait for the readers of processes that have stopped speaking of them."""
        now = time.monotonic()
        for worker in [worker for worker, until in self._elsewhere.items() if until < now]:
            self.leave_elsewhere(worker)

    def end(self) -> None:
        """The terminal event is in the log."""
        self._cancel_grace()
        self.ended.set()

    def conclude(self, record: Record, failure: Failure | None) -> tuple[str, bytes]:
        """Add the terminal event to a copy of `record`, which becomes the run's; returns its payload too."""
        return self._finish(record, *self._terminal(record, failure))

    def abandon(self, record: Record, failure: Failure) -> tuple[str, bytes]:
        """The same for a run that somebody else has already given up: it failed, whatever it has shown."""
        return self._finish(record, "failed", record.failed_event(failure))

    def timings(self) -> Timings:
        """How long it took until now."""
        first = self.first_text_at
        ttft_ms = None if first is None else round((first - self.started_at) * 1000)
        return {"ttft_ms": ttft_ms, "total_ms": round((time.monotonic() - self.started_at) * 1000)}

    def _finish(self, record: Record, event: str, data: RunDone | RunFailed) -> tuple[str, bytes]:
        line = encode_json(data)
        self.record = replace(record)
        self.record.add(event, orjson.loads(line))
        return event, line

    def _terminal(self, record: Record, failure: Failure | None) -> tuple[str, RunDone | RunFailed]:
        reason, turn = self.stop_reason, self.turn
        if reason == "timeout" and failure is None:
            failure = failure_of(RunTimeout())
        if reason == "shutdown" and not record.answer:
            failure = failure_of(ShuttingDown())
        if failure is None and turn is not None and (reason is None or record.answer):
            return "done", record.done_event(turn["status"], turn, self.timings())
        if reason in ("asked", "interrupted", "left", "shutdown") and (record.answer or reason != "shutdown"):
            return "done", record.done_event("stopped", turn, self.timings())
        if record.answer:
            return "done", record.done_event("incomplete", turn, self.timings())
        return "failed", record.failed_event(failure or INTERNAL_FAILURE)

    def _check_readers(self) -> None:
        if self.readers or self._elsewhere or self.ended.is_set() or self.ask.on_disconnect == "continue":
            return
        if self.disconnect_grace_s == 0:
            self.stop("left")
        else:
            self._cancel_grace()
            self._grace = asyncio.get_running_loop().call_later(self.disconnect_grace_s, self.stop, "left")

    def _cancel_grace(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None


def failure_of(exc: BaseException) -> Failure:
    """What a client may know of an error; the rest goes to the log, redacted there."""
    if isinstance(exc, CitestreamError):
        log.warning("run_failed", code=exc.code)
        return {"code": exc.code, "message": exc.message, "retryable": exc.retryable}
    log.error("run_failed", code="internal", exc_info=exc)
    return INTERNAL_FAILURE
