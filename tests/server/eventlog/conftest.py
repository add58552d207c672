"""Event logs of both kinds, opened more than once as several processes would."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from server.eventlog import EventLog
from server.eventlog.address import parse_address
from server.eventlog.memory import MemoryEventLog
from server.eventlog.redis import RedisEventLog
from server.eventlog.redis_client import open_redis
from tests.services import redis_url


class Logs:
    """Opens event logs that share what they hold. In memory that is one object."""

    def __init__(self, kind: str, stack: AsyncExitStack, prefix: str) -> None:
        self.kind = kind
        self._stack = stack
        self._prefix = prefix
        self._memory: MemoryEventLog | None = None

    async def open(self, *, ttl_s: float = 900, **bounds: Any) -> EventLog:
        if self.kind == "memory":
            self._memory = self._memory or MemoryEventLog(max_ended_age_s=ttl_s, **bounds)
            return self._memory
        client = await self._stack.enter_async_context(open_redis(parse_address(redis_url())))
        return RedisEventLog(client, prefix=self._prefix, ttl_s=ttl_s, **bounds)


@pytest.fixture(params=["memory", "redis"])
async def logs(request: pytest.FixtureRequest) -> AsyncIterator[Logs]:
    prefix = f"citestream-test-{uuid.uuid4().hex}:"
    async with AsyncExitStack() as stack:
        yield Logs(request.param, stack, prefix)
    if request.param == "redis":
        async with Redis.from_url(redis_url()) as redis:
            if keys := [key async for key in redis.scan_iter(f"{prefix}*", count=10_000)]:
                await redis.delete(*keys)
