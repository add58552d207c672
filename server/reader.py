"""A reader: one connection's place in the events of a run."""

from collections import deque
from collections.abc import Callable

from server.eventlog import Entry, EventLog, LogGone


class Reader:
    """Iterates over a run's events past a number, until the terminal one.

    It is a class and not a generator because a generator that was never started does not run its `finally`:
    whoever makes a reader calls `leave()`, also when no event was ever read. Leaving twice counts once.
    """

    def __init__(self, log: EventLog, run_id: str, after: int, on_leave: Callable[[], None]) -> None:
        self.run_id = run_id
        self._log = log
        self._after = after
        self._pending: deque[Entry] = deque()
        self._on_leave: Callable[[], None] | None = on_leave

    def __aiter__(self) -> "Reader":
        return self

    async def __anext__(self) -> Entry:
        if not self._pending:
            try:
                self._pending.extend(await self._log.read(self.run_id, self._after))
            except LogGone:
                raise StopAsyncIteration from None
        if not self._pending:
            raise StopAsyncIteration
        entry = self._pending.popleft()
        self._after = entry.number
        return entry

    def leave(self) -> None:
        """Say that this connection reads no further."""
        on_leave, self._on_leave = self._on_leave, None
        if on_leave is not None:
            on_leave()
