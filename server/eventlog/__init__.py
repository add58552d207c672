"""The event log: every event of a run under its number, for readers that come, go and come back."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from graph.errors import SettingsError


@dataclass(frozen=True)
class Entry:
    """One event of a run: `number` counts 1, 2, 3 …, `data` is its payload as one line of JSON."""

    number: int
    event: str
    data: bytes


class LogGone(LookupError):
    """There is no log of this run, or no longer."""


class EventLog(Protocol):
    """Where events wait for their readers. Every method but `create` raises LogGone for an unknown run."""

    async def create(self, run_id: str, header: Mapping[str, str]) -> bool:
        """Begin the log of a run; False when there is one already, which makes it the claim on a run_id."""

    async def header(self, run_id: str) -> Mapping[str, str]:
        """What `create` was given."""

    async def append(self, run_id: str, event: str, data: bytes, *, last: bool = False) -> Entry:
        """Add the next event; `last` ends the log, and its time to expire begins."""

    async def read(self, run_id: str, after: int) -> Sequence[Entry]:
        """All events past number `after`, waiting for one if need be; none means that the log has ended."""

    async def size(self, run_id: str) -> tuple[int, bool]:
        """How many events there are, and whether the log has ended."""

    async def drop(self, run_id: str) -> None:
        """Erase the log. Readers of it find it gone. No error when there is none."""


@asynccontextmanager
async def open_event_log(url: str) -> AsyncGenerator[EventLog]:
    """The event log that the URL's scheme names: `memory://`. Raises SettingsError for another one."""
    scheme = urlsplit(url).scheme
    if scheme != "memory":
        raise SettingsError(f"the event log {scheme!r}:// is not known; use memory://.")
    from server.eventlog.memory import MemoryEventLog

    yield MemoryEventLog()
