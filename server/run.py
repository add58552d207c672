"""A run while it is active: who reads it, whether it is to stop, and how it ended."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import anyio
import orjson
import structlog

from graph.errors import CitestreamError
from server.ask import Ask
from server.errors import INTERNAL_MESSAGE, ShuttingDown
from server.record import Failure, Record, Timings
from server.sse import encode_json

log = structlog.get_logger(__name__)

INTERNAL_FAILURE: Failure = {"code": "internal", "message": INTERNAL_MESSAGE, "retryable": False}

StopReason = Literal["asked", "left", "shutdown"]


@dataclass(eq=False)
class Run:
    """A run while it is active."""

    ask: Ask
    record: Record
    disconnect_grace_s: float
    started_at: float = field(default_factory=time.monotonic)
    first_text_at: float | None = None
    turn: Mapping[str, Any] | None = None
    """What the graph said at its end."""
    stop_reason: StopReason | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    readers: int = 0
    _waiting: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _grace: asyncio.TimerHandle | None = None

    def stop(self, reason: StopReason) -> None:
        """Ask the run to end; what it has written so far is kept. The first reason counts."""
        if self.stop_reason is None:
            self.stop_reason = reason
            self.stopping.set()
            self._waiting.cancel()

    def join(self) -> None:
        """One more reader."""
        self.readers += 1
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None

    def leave(self) -> None:
        """One reader less; the last one stops the run after the grace, unless the run goes on by itself."""
        self.readers -= 1
        if self.readers or self.ended.is_set() or self.ask.on_disconnect == "continue":
            return
        if self.disconnect_grace_s == 0:
            self.stop("left")
        else:
            loop = asyncio.get_running_loop()
            self._grace = loop.call_later(self.disconnect_grace_s, self.stop, "left")

    def end(self) -> None:
        """The terminal event is in the log."""
        if self._grace is not None:
            self._grace.cancel()
        self.ended.set()

    async def wait_for_turn(self, lock: anyio.Lock) -> bool:
        """Acquire the lock of the thread; False when the run was stopped before."""
        with self._waiting:
            await lock.acquire()
            return True
        return False

    def conclude(self, record: Record, failure: Failure | None) -> tuple[str, bytes]:
        """Add the terminal event to a copy of `record`, which becomes the run's; returns its payload too."""
        event, data = self._terminal(record, failure)
        line = encode_json(data)
        self.record = replace(record)
        self.record.add(event, orjson.loads(line))
        return event, line

    def _terminal(self, record: Record, failure: Failure | None) -> tuple[str, dict[str, Any]]:
        if self.turn is not None and failure is None and (self.stop_reason is None or record.answer):
            return "done", record.done_event(self.turn["status"], self.turn, self.timings())
        if self.stop_reason == "shutdown" and not record.answer:
            return "failed", record.failed_event(failure_of(ShuttingDown()))
        if self.stop_reason is not None:
            return "done", record.done_event("stopped", self.turn, self.timings())
        if record.answer:
            return "done", record.done_event("incomplete", self.turn, self.timings())
        return "failed", record.failed_event(failure or INTERNAL_FAILURE)

    def timings(self) -> Timings:
        """How long it took until now."""
        first = self.first_text_at
        ttft_ms = None if first is None else round((first - self.started_at) * 1000)
        return {"ttft_ms": ttft_ms, "total_ms": round((time.monotonic() - self.started_at) * 1000)}


def failure_of(exc: BaseException) -> Failure:
    """What a client may know of an error; the rest goes to the log, redacted there."""
    if isinstance(exc, CitestreamError):
        log.warning("run_failed", code=exc.code)
        return {"code": exc.code, "message": exc.message, "retryable": exc.retryable}
    log.error("run_failed", code="internal", exc_info=exc)
    return INTERNAL_FAILURE
