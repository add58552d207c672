"""The bus: short messages between the server processes that share an event log.

It is lossy. A message reaches the processes that listen at that moment: not one that is starting, reconnecting or too
slow. Who must be sure says it again, or looks into the event log or the database.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import anyio
import orjson

from server.eventlog.address import parse_address

if TYPE_CHECKING:
    from server.eventlog.redis_client import RedisClient

Hear = Callable[[Mapping[str, str]], None]
"""Called in the event loop for one message; it must neither block nor raise."""


class Bus(Protocol):
    """Every listener hears every message, in the sender's order; a process may hear its own."""

    async def publish(self, message: Mapping[str, str]) -> None:
        """Tell all that listen. Raises EventsUnavailable, after some seconds at most."""

    async def listen(self, hear: Hear) -> None:
        """Call `hear` for every message until cancelled. Comes back by itself after a dropped connection."""


class NoBus:
    """The bus of a process that shares nothing: nobody else is there."""

    async def publish(self, message: Mapping[str, str]) -> None:
        """Nobody hears it."""

    async def listen(self, hear: Hear) -> None:
        """Wait until cancelled."""
        await anyio.sleep_forever()


class RedisBus:
    """A channel of Redis. Channels do not belong to a database, so its name holds the number of ours."""

    def __init__(self, client: "RedisClient", channel: str) -> None:
        self._client = client
        self._channel = channel

    async def publish(self, message: Mapping[str, str]) -> None:
        """Tell all that listen. Raises EventsUnavailable."""
        await self._client.publish(self._channel, orjson.dumps(dict(message)))

    async def listen(self, hear: Hear) -> None:
        """Call `hear` for every message until cancelled."""

        def take(data: bytes) -> None:
            if (message := _parse(data)) is not None:
                hear(message)

        await self._client.listen(self._channel, take)


@asynccontextmanager
async def open_bus(url: str) -> AsyncGenerator[Bus]:
    """The bus beside the event log at `url`. Connects when it is first used. Raises SettingsError."""
    address = parse_address(url)
    if not address.shared:
        yield NoBus()
        return
    from server.eventlog.redis_client import open_redis  # noqa: PLC0415  # its client need not be installed

    async with open_redis(address) as client:
        yield RedisBus(client, f"{address.prefix}bus:{address.db}")


def _parse(data: bytes) -> Mapping[str, str] | None:
    """A message, or None for what another program sent."""
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if isinstance(message, dict) and all(isinstance(value, str) for value in message.values()):
        return message
    return None
