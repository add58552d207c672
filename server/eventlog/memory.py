"""The event log in the memory of this process."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from server.eventlog import (
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_RUN_BYTES,
    MAX_RUN_EVENTS,
    Entry,
    LogEnded,
    LogFull,
    LogGone,
)

MAX_ENDED_RUNS = 1_000
MAX_ENDED_BYTES = 64 * 1024 * 1024
MAX_ENDED_AGE_S = 900.0


@dataclass
class _RunLog:
    header: Mapping[str, str]
    entries: list[Entry] = field(default_factory=list)
    size_bytes: int = 0
    ended_at: float | None = None
    grown: asyncio.Event = field(default_factory=asyncio.Event)


class MemoryEventLog:
    """The log of a running run is kept whole, and bounded for itself; the ended ones are bounded together.

    A run logs at most `max_run_events` and `max_run_bytes`, its terminal event not counted. An ended log goes when
    there are more than `max_ended_runs` of them, when together they hold more than `max_ended_bytes`, or when it ended
    more than `max_ended_age_s` ago by `clock`.
    """

    def __init__(
        self,
        *,
        max_run_events: int = MAX_RUN_EVENTS,
        max_run_bytes: int = MAX_RUN_BYTES,
        max_ended_runs: int = MAX_ENDED_RUNS,
        max_ended_bytes: int = MAX_ENDED_BYTES,
        max_ended_age_s: float = MAX_ENDED_AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_run_events = max_run_events
        self._max_run_bytes = max_run_bytes
        self._max_ended_runs = max_ended_runs
        self._max_ended_bytes = max_ended_bytes
        self._max_ended_age_s = max_ended_age_s
        self._clock = clock
        self._logs: dict[str, _RunLog] = {}
        self._ended: dict[str, _RunLog] = {}  # in the order in which they ended
        self._ended_bytes = 0

    async def create(self, run_id: str, header: Mapping[str, str]) -> bool:
        """Begin the log of a run; False when there is one already."""
        self._expire()
        if run_id in self._logs:
            return False
        self._logs[run_id] = _RunLog(header=dict(header))
        return True

    async def header(self, run_id: str) -> Mapping[str, str]:
        """What `create` was given."""
        return self._log(run_id).header

    async def append(self, run_id: str, event: str, data: bytes, *, last: bool = False) -> Entry:
        """Add the next event; `last` ends the log. Raises LogEnded and LogFull."""
        log = self._log(run_id)
        if log.ended_at is not None:
            raise LogEnded(run_id)
        entry = Entry(len(log.entries) + 1, event, data, log.size_bytes + len(data), last)
        if not last and (entry.number > self._max_run_events or entry.position > self._max_run_bytes):
            raise LogFull(run_id)
        log.entries.append(entry)
        log.size_bytes = entry.position
        if last:
            self._end(run_id, log)
        log.grown.set()
        log.grown = asyncio.Event()
        return entry

    async def read(self, run_id: str, after: int) -> Sequence[Entry]:
        """The next events past number `after`, waiting for one if need be; none means that the log has ended."""
        log = self._log(run_id)
        if after > len(log.entries):
            raise LogGone(run_id)
        while len(log.entries) == after and log.ended_at is None:
            await log.grown.wait()
            if self._log(run_id) is not log:
                raise LogGone(run_id)
        start = log.entries[after - 1].position if after else 0
        batch = log.entries[after : after + MAX_BATCH_EVENTS]
        return [entry for n, entry in enumerate(batch) if n == 0 or entry.position - start <= MAX_BATCH_BYTES]

    async def size(self, run_id: str) -> tuple[int, bool]:
        """How many events there are, and whether the log has ended."""
        log = self._log(run_id)
        return len(log.entries), log.ended_at is not None

    async def position(self, run_id: str) -> int:
        """How many bytes of data there are."""
        return self._log(run_id).size_bytes

    async def running(self) -> Mapping[str, Mapping[str, str]]:
        """The logs that have not ended, all of this process: run_id -> header."""
        return {run_id: log.header for run_id, log in self._logs.items() if log.ended_at is None}

    async def drop(self, run_id: str) -> None:
        """Erase the log; readers that wait for it find it gone."""
        log = self._logs.pop(run_id, None)
        if log is None:
            return
        if self._ended.pop(run_id, None) is not None:
            self._ended_bytes -= log.size_bytes
        log.grown.set()

    async def ready(self) -> None:
        """It always is."""

    def _log(self, run_id: str) -> _RunLog:
        log = self._logs.get(run_id)
        if log is not None and log.ended_at is not None:
            self._expire()
            log = self._logs.get(run_id)
        if log is None:
            raise LogGone(run_id)
        return log

    def _end(self, run_id: str, log: _RunLog) -> None:
        log.ended_at = self._clock()
        self._ended[run_id] = log
        self._ended_bytes += log.size_bytes
        self._expire()

    def _expire(self) -> None:
        """Drop ended logs until the rest is within bounds."""
        oldest_end = self._clock() - self._max_ended_age_s
        while self._ended:
            run_id, log = next(iter(self._ended.items()))
            old = log.ended_at is not None and log.ended_at < oldest_end
            if not old and len(self._ended) <= self._max_ended_runs and self._ended_bytes <= self._max_ended_bytes:
                return
            del self._ended[run_id]
            del self._logs[run_id]
            self._ended_bytes -= log.size_bytes
