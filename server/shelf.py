"""The shelf: small things that server processes leave for each other, beside the event log. What is gone is gone."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from server.eventlog.address import parse_address
from server.history import Shelf

if TYPE_CHECKING:
    from server.eventlog.redis_client import RedisClient


class NoShelf:
    """The shelf of a process that shares nothing."""

    async def get(self, key: str) -> bytes | None:
        """Nothing."""
        return None

    async def put(self, key: str, value: bytes | None, ttl_s: float) -> None:
        """Nobody would find it."""


class RedisShelf:
    """Keys of Redis that expire."""

    def __init__(self, client: "RedisClient", prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    async def get(self, key: str) -> bytes | None:
        """What was put there. Raises EventsUnavailable."""
        return await self._client.get(self._prefix + key)

    async def put(self, key: str, value: bytes | None, ttl_s: float) -> None:
        """Leave a value for some time. Raises EventsUnavailable."""
        await self._client.put(self._prefix + key, value, ttl_s)


@asynccontextmanager
async def open_shelf(url: str) -> AsyncGenerator[Shelf]:
    """The shelf beside the event log at `url`. Connects when it is first used. Raises SettingsError."""
    address = parse_address(url)
    if not address.shared:
        yield NoShelf()
        return
    from server.eventlog.redis_client import open_redis  # noqa: PLC0415  # its client need not be installed

    async with open_redis(address) as client:
        yield RedisShelf(client, address.prefix)
