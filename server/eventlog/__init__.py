"""The event log: every event of a run under its number, for readers that come, go and come back.

Errors of its own: LogGone, LogEnded and LogFull tell about one log; `EventsUnavailable` (events_unavailable) is a
CitestreamError and tells that no log can be reached.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from graph.errors import CitestreamError
from server.eventlog.address import parse_address

MAX_RUN_EVENTS = 50_000
"""Events that a run may log, its terminal one not counted."""
MAX_RUN_BYTES = 16 * 1024 * 1024
"""Bytes of data that a run may log, its terminal event not counted."""
MAX_BATCH_EVENTS = 500
MAX_BATCH_BYTES = 256 * 1024
"""How much `read` returns at once; a single event may be larger."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a run: `number` counts 1, 2, 3 …, `data` is its payload as one line of JSON."""

    number: int
    event: str
    data: bytes
    position: int = 0
    """Bytes of data of the log up to here, this event included."""
    last: bool = False
    """Whether it is the terminal event, after which none comes."""


class LogGone(LookupError):
    """There is no log of this run, or no longer, or not as far as it was read before."""


class LogEnded(Exception):
    """The log has its terminal event, and takes no other."""


class LogFull(Exception):
    """The log is at its bounds, and takes nothing but the terminal event."""


class EventsUnavailable(CitestreamError):
    """The place of the event logs cannot be reached, or does not do its part.

    Whether an append that raises it was stored is not known.
    """

    code = "events_unavailable"
    retryable = True

    def __init__(self, reason: str) -> None:
        super().__init__(f"the event log does not answer ({reason}). Try again in a moment.")


class EventLog(Protocol):
    """Where events wait for their readers.

    Methods for one run raise LogGone when it has no log, and all of them EventsUnavailable, after some seconds at
    most. A method that was cancelled may have been carried out.
    """

    async def create(self, run_id: str, header: Mapping[str, str]) -> bool:
        """Begin the log of a run; False when there is one already.

        Of all processes that share the logs one gets True, which makes it the claim on a run_id. Never raises LogGone.
        """

    async def header(self, run_id: str) -> Mapping[str, str]:
        """What `create` was given."""

    async def append(self, run_id: str, event: str, data: bytes, *, last: bool = False) -> Entry:
        """Add the next event; `last` ends the log, and its time to expire begins.

        Raises LogEnded when it has ended, so of several that end it one succeeds; and LogFull when the event would
        go beyond its bounds, but never for the last one.
        """

    async def read(self, run_id: str, after: int) -> Sequence[Entry]:
        """The next events past number `after`, waiting for one if need be; none means that the log has ended.

        At most MAX_BATCH_EVENTS and, beyond the first, MAX_BATCH_BYTES. An `after` past the newest event raises
        LogGone: the log that was read up to there is not this one.
        """

    async def size(self, run_id: str) -> tuple[int, bool]:
        """How many events there are, and whether the log has ended."""

    async def position(self, run_id: str) -> int:
        """How many bytes of data there are: the `position` of the newest event."""

    async def running(self) -> Mapping[str, Mapping[str, str]]:
        """The logs that have not ended, of all processes: run_id -> header."""

    async def drop(self, run_id: str) -> None:
        """Erase the log. Readers that wait for it find it gone. No error when there is none."""

    async def ready(self) -> None:
        """Return when it answers; raises EventsUnavailable within 2 seconds when it does not."""


@asynccontextmanager
async def open_event_log(url: str) -> AsyncGenerator[EventLog]:
    """The event log that a URL names; see `parse_address`. Connects when it is first used. Raises SettingsError."""
    address = parse_address(url)
    if not address.shared:
        from server.eventlog.memory import MemoryEventLog

        yield MemoryEventLog(max_ended_age_s=address.ttl_s)
        return
    from server.eventlog.redis import RedisEventLog
    from server.eventlog.redis_client import open_redis

    async with open_redis(address) as client:
        yield RedisEventLog(client, prefix=address.prefix, ttl_s=address.ttl_s)
