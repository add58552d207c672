"""A client of Redis: bounded in time, and with one error for all that can go wrong."""

import re
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import cast

import anyio
import structlog
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from server.eventlog import EventsUnavailable
from server.eventlog.address import Address

log = structlog.get_logger(__name__)

TIMEOUT_S = 2.0
"""How long connecting, and a command, may take."""
BLOCK_S = 2.0
"""How long one blocking command waits at most."""
MAX_CONNECTIONS = 10_000
"""Connections of one process for each of the two kinds. They are made when needed, then kept."""
RESUBSCRIBE_S = 0.5
SILENCE_S = 5.0
"""After this much silence a listener asks whether Redis is still there, and waits as long for the answer."""

_UNAVAILABLE = (RedisError, OSError)
_REDIS_CODE = re.compile(r"[A-Z]{3,20}\b")


@contextmanager
def typed_errors() -> Generator[None]:
    """Raise EventsUnavailable for whatever goes wrong with Redis.

    The first error is not chained, as Redis repeats the arguments of some commands in its errors.
    """
    try:
        yield
    except _UNAVAILABLE as exc:
        raise EventsUnavailable(_reason(exc)) from None


@dataclass(frozen=True)
class RedisClient:
    """Open with `open_redis`."""

    commands: Redis
    """Answers within TIMEOUT_S; a dropped connection is tried once more."""
    blocking: Redis
    """For commands that wait up to BLOCK_S; nothing is tried again."""

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell all that listen to a channel. Raises EventsUnavailable."""
        with typed_errors():
            await self.commands.publish(channel, message)

    async def get(self, key: str) -> bytes | None:
        """The value of a key. Raises EventsUnavailable."""
        with typed_errors():
            return cast("bytes | None", await self.commands.get(key))  # strings only if it were told to decode

    async def put(self, key: str, value: bytes | None, ttl_s: float) -> None:
        """Set a key for some time; None deletes it. Raises EventsUnavailable."""
        with typed_errors():
            if value is None:
                await self.commands.delete(key)
            else:
                await self.commands.set(key, value, px=round(ttl_s * 1000))

    async def listen(self, channel: str, hear: Callable[[bytes], None]) -> None:
        """Hand every message of a channel to `hear`, until cancelled; what comes while Redis is away is lost."""
        while True:
            try:
                await self._listen(channel, hear)
            except _UNAVAILABLE as exc:
                log.warning("bus_lost", reason=_reason(exc))
            await anyio.sleep(RESUBSCRIBE_S)

    async def _listen(self, channel: str, hear: Callable[[bytes], None]) -> None:
        pubsub = self.blocking.pubsub()
        try:
            await pubsub.subscribe(channel)
            asked = False
            while True:
                message = await pubsub.get_message(timeout=SILENCE_S)
                if message is not None:
                    asked = False
                    if message["type"] == "message":
                        hear(message["data"])
                elif asked:
                    return
                else:
                    await pubsub.ping()
                    asked = True
        finally:
            with suppress(*_UNAVAILABLE):
                await pubsub.aclose()  # type: ignore[no-untyped-call]  # it has no annotations


@asynccontextmanager
async def open_redis(address: Address) -> AsyncGenerator[RedisClient]:
    """A client for the Redis at `address`, which need not be there yet."""
    commands = _connect(address, TIMEOUT_S, retries=1)
    blocking = _connect(address, BLOCK_S + TIMEOUT_S, retries=0)
    try:
        yield RedisClient(commands, blocking)
    finally:
        for redis in (blocking, commands):
            with suppress(*_UNAVAILABLE):
                await redis.aclose()


def _connect(address: Address, timeout_s: float, retries: int) -> Redis:
    pool = ConnectionPool.from_url(
        address.redis_url,
        max_connections=MAX_CONNECTIONS,
        socket_connect_timeout=TIMEOUT_S,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), retries, (RedisConnectionError,)),
        protocol=2,
        driver_info=None,
    )
    return Redis.from_pool(pool)


def _reason(exc: Exception) -> str:
    """The kind of an error, such as `ConnectionError` or `MISCONF`, without its text."""
    code = _REDIS_CODE.match(str(exc))
    return code.group() if code else type(exc).__name__
