"""A reader: one connection's place in the events of a run."""

from collections import deque
from collections.abc import Callable, Sequence

import structlog

from server.eventlog import Entry, EventLog, EventsUnavailable, LogGone

log = structlog.get_logger(__name__)

MAX_LAG_BYTES = 1024 * 1024
"""How much of what was logged since it joined a reader may have yet to read."""
LONG_BATCH_EVENTS = 32
LONG_BATCH_BYTES = 32 * 1024
"""A reader that gets less than this at once keeps up; its lag is not asked for."""


class Reader:
    """Iterates over a run's events past a number, until the terminal one, or until it cannot go on.

    It ends early when the log is gone or cannot be reached, and when the reader is slower than the run: `dropped` then
    is true. Whoever reads may come back with another reader. The events that were there when it joined are no lag.

    It is a class and not a generator because a generator that was never started does not run its `finally`:
    whoever makes a reader calls `leave()`, also when no event was ever read. Leaving twice counts once.
    """

    def __init__(
        self,
        event_log: EventLog,
        run_id: str,
        after: int,
        on_leave: Callable[[], None],
        on_drop: Callable[[], None] = lambda: None,
        *,
        max_lag_bytes: int = MAX_LAG_BYTES,
    ) -> None:
        self.run_id = run_id
        self.dropped = False
        """Whether it was too slow."""
        self._log = event_log
        self._after = after
        self._pending: deque[Entry] = deque()
        self._ended = False
        self._on_leave: Callable[[], None] | None = on_leave
        self._on_drop = on_drop
        self._max_lag_bytes = max_lag_bytes
        self._caught_up_to: int | None = None  # a position: that of the log when it joined, later that of the reader

    def __aiter__(self) -> "Reader":
        return self

    async def __anext__(self) -> Entry:
        if not self._pending and not self._ended:
            await self._fetch()
        if not self._pending:
            raise StopAsyncIteration
        entry = self._pending.popleft()
        self._after = entry.number
        return entry

    async def next_batch(self) -> Sequence[Entry]:
        """All that is there, once there is something; none at the end."""
        while not self._pending and not self._ended:
            await self._fetch()
        batch = tuple(self._pending)
        self._pending.clear()
        if batch:
            self._after = batch[-1].number
        return batch

    def leave(self) -> None:
        """Say that this connection reads no further."""
        on_leave, self._on_leave = self._on_leave, None
        if on_leave is not None:
            on_leave()

    async def _fetch(self) -> None:
        """Get the next events, unless there are none or the reader is to be dropped."""
        try:
            if self._caught_up_to is None:
                self._caught_up_to = await self._log.position(self.run_id)
            batch = await self._log.read(self.run_id, self._after)
            lag_bytes = await self._lag_bytes(batch, self._caught_up_to)
        except (LogGone, EventsUnavailable) as exc:
            log.warning("reader_cut_off", run_id=self.run_id, reason=type(exc).__name__)
            self._ended = True
            return
        if lag_bytes > self._max_lag_bytes:
            log.warning("reader_dropped", run_id=self.run_id, lag_bytes=lag_bytes)
            self.dropped = self._ended = True
            self._on_drop()
            return
        self._pending.extend(batch)
        self._ended = not batch or batch[-1].last
        if batch:
            self._caught_up_to = max(self._caught_up_to, batch[-1].position)

    async def _lag_bytes(self, batch: Sequence[Entry], caught_up_to: int) -> int:
        """What was logged since it joined and was unread before this batch; 0 after a short one, for it has all."""
        if len(batch) < LONG_BATCH_EVENTS and sum(len(entry.data) for entry in batch) < LONG_BATCH_BYTES:
            return 0
        return await self._log.position(self.run_id) - caught_up_to
