"""The event log in Redis, shared by all processes that open the same URL."""

import itertools
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import anyio
import orjson

from server.eventlog import (
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_RUN_BYTES,
    MAX_RUN_EVENTS,
    Entry,
    EventsUnavailable,
    LogEnded,
    LogFull,
    LogGone,
    scripts,
)
from server.eventlog.redis_client import BLOCK_S, TIMEOUT_S, RedisClient, typed_errors

RUNNING_TTL_S = 24 * 3600
"""A log that has not ended is kept this long after its newest event."""
RECONNECT_S = 2.0
"""How long a reader tries to reach Redis again; the last try may take TIMEOUT_S more."""
RETRY_S = 0.1
WAKE_EVENTS = 32
"""Most events that one blocking read fetches: usually it is one."""
MAX_SEEN = 10_000


class RedisEventLog:
    """Each log is a Redis stream beside a hash; what must be atomic is a script.

    `ttl_s` is how long an ended log is kept. A log may also be lost: Redis restarted, or evicted it. That is LogGone,
    never a gap in the numbers.
    """

    def __init__(
        self,
        client: RedisClient,
        *,
        prefix: str,
        ttl_s: float,
        max_run_events: int = MAX_RUN_EVENTS,
        max_run_bytes: int = MAX_RUN_BYTES,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._ttl_ms = round(ttl_s * 1000)
        self._max_run_events = max_run_events
        self._max_run_bytes = max_run_bytes
        self._running_key = f"{prefix}running"
        self._writer = uuid.uuid4().hex
        self._writes = itertools.count()
        self._seen: dict[str, int] = {}  # run_id -> its newest event known here, for logs that went on after it
        self._create = client.commands.register_script(scripts.CREATE)
        self._append = client.commands.register_script(scripts.APPEND)
        self._read = client.commands.register_script(scripts.READ)
        self._drop = client.commands.register_script(scripts.DROP)
        self._forget = client.commands.register_script(scripts.FORGET)

    async def create(self, run_id: str, header: Mapping[str, str]) -> bool:
        """Begin the log of a run; False when there is one already."""
        arguments: list[str | bytes | int] = [self._nonce(), orjson.dumps(dict(header)), run_id, RUNNING_TTL_S * 1000]
        with typed_errors():
            created = bool(await self._create([*self._keys(run_id), self._running_key], arguments))
        if created:
            self._seen.pop(run_id, None)
            self._saw(run_id, 0)
        return created

    async def header(self, run_id: str) -> Mapping[str, str]:
        """What `create` was given."""
        (header,) = await self._head(run_id, "header")
        return _header(header)

    async def append(self, run_id: str, event: str, data: bytes, *, last: bool = False) -> Entry:
        """Add the next event; `last` ends the log. Raises LogEnded and LogFull."""
        arguments: list[str | bytes | int] = [
            self._nonce(),
            run_id,
            event,
            data,
            self._seen.get(run_id, 0),
            "1" if last else "0",
            self._max_run_events,
            self._max_run_bytes,
            self._ttl_ms if last else RUNNING_TTL_S * 1000,
        ]
        with typed_errors():
            number, position = await self._append([*self._keys(run_id), self._running_key], arguments)
        if number == scripts.FULL:
            raise LogFull(run_id)
        if last or number < 0:
            self._seen.pop(run_id, None)
        if number == scripts.GONE:
            raise LogGone(run_id)
        if number == scripts.ENDED:
            raise LogEnded(run_id)
        if not last:
            self._saw(run_id, number)
        return Entry(number, event, data, position, last)

    async def read(self, run_id: str, after: int) -> Sequence[Entry]:
        """The next events past number `after`, waiting for one if need be; none means that the log has ended.

        A log known to go on after `after` is waited for at once, so a reader that keeps up costs one call per event.
        """
        waiting = self._seen.get(run_id) == after
        give_up_at: float | None = None
        while True:
            try:
                if not waiting:
                    entries, ended = await self._fetch(run_id, after)
                    if entries or ended:
                        break
                    give_up_at = None
                if entries := await self._wait(run_id, after):
                    break
            except LogGone:
                self._seen.pop(run_id, None)
                raise
            except EventsUnavailable:
                give_up_at = give_up_at or time.monotonic() + RECONNECT_S
                if time.monotonic() >= give_up_at:
                    raise
                await anyio.sleep(RETRY_S)
            waiting = False
        if entries and not entries[-1].last:
            self._saw(run_id, entries[-1].number)
        return entries

    async def size(self, run_id: str) -> tuple[int, bool]:
        """How many events there are, and whether the log has ended."""
        count, ended = await self._head(run_id, "count", "ended")
        return int(count), ended is not None

    async def position(self, run_id: str) -> int:
        """How many bytes of data there are."""
        (size_bytes,) = await self._head(run_id, "bytes")
        return int(size_bytes)

    async def running(self) -> Mapping[str, Mapping[str, str]]:
        """The logs that have not ended, of all processes: run_id -> header."""
        found = {}
        with typed_errors():
            members: Iterable[Any] = await self._client.commands.smembers(self._running_key)
            run_ids = [member.decode() for member in members]
            async with self._client.commands.pipeline(transaction=False) as pipeline:
                for run_id in run_ids:
                    pipeline.hget(self._keys(run_id)[0], "header")
                headers = await pipeline.execute()
            for run_id, header in zip(run_ids, headers, strict=True):
                if header is None:
                    await self._forget([self._keys(run_id)[0], self._running_key], [run_id])
                else:
                    found[run_id] = _header(header)
        return found

    async def drop(self, run_id: str) -> None:
        """Erase the log; readers that wait for it find it gone."""
        self._seen.pop(run_id, None)
        mark_ms = round(10 * BLOCK_S * 1000)
        with typed_errors():
            await self._drop([*self._keys(run_id), self._running_key], [run_id, mark_ms])

    async def ready(self) -> None:
        """Return when Redis answers."""
        with typed_errors(), anyio.fail_after(TIMEOUT_S):
            await self._client.commands.ping()

    async def _head(self, run_id: str, *names: str) -> list[Any]:
        """Fields of the head; the first one is always there."""
        with typed_errors():
            fields = await self._client.commands.hmget(self._keys(run_id)[0], names)
        if fields[0] is None:
            raise LogGone(run_id)
        return fields

    async def _fetch(self, run_id: str, after: int) -> tuple[list[Entry], bool]:
        """What there is past `after`, and whether nothing comes after that."""
        with typed_errors():
            answer = await self._read(self._keys(run_id), [after, MAX_BATCH_EVENTS, MAX_BATCH_BYTES])
        if answer is None:
            raise LogGone(run_id)
        count, ended, found = answer
        pairs = [(name, dict(zip(fields[::2], fields[1::2], strict=True))) for name, fields in found]
        entries = _entries(run_id, after, pairs)
        if not entries and count > after:
            raise LogGone(run_id)
        return entries, bool(ended)

    async def _wait(self, run_id: str, after: int) -> list[Entry]:
        """The next events, or none when there was none for BLOCK_S."""
        key = self._keys(run_id)[1]
        block_ms = round(BLOCK_S * 1000)
        with typed_errors():
            answer: Any = await self._client.blocking.xread({key: f"{after}-0"}, count=WAKE_EVENTS, block=block_ms)
        return _entries(run_id, after, answer[0][1] if answer else [])

    def _keys(self, run_id: str) -> tuple[str, str]:
        """Head and log of a run; the braces keep them together in a cluster."""
        return f"{self._prefix}{{{run_id}}}:head", f"{self._prefix}{{{run_id}}}:log"

    def _nonce(self) -> str:
        return f"{self._writer}-{next(self._writes)}"

    def _saw(self, run_id: str, number: int) -> None:
        self._seen[run_id] = max(number, self._seen.pop(run_id, 0))
        if len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]


def _header(raw: bytes) -> dict[str, str]:
    header: dict[str, str] = orjson.loads(raw)
    return header


def _entries(run_id: str, after: int, found: Sequence[tuple[bytes, Mapping[bytes, bytes]]]) -> list[Entry]:
    """A batch out of stream entries. Raises LogGone when they do not follow `after`: the log was erased or evicted."""
    entries: list[Entry] = []
    size_bytes = 0
    for name, fields in found:
        number = int(name.partition(b"-")[0])
        if number != after + len(entries) + 1:
            raise LogGone(run_id)
        data = fields[b"data"]
        size_bytes += len(data)
        if entries and size_bytes > MAX_BATCH_BYTES:
            break
        position, last = int(fields[b"position"]), fields[b"last"] == b"1"
        entries.append(Entry(number, fields[b"event"].decode(), data, position, last))
    return entries
