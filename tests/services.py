"""PostgreSQL and Redis on this machine, for the tests that need them."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import pytest
import redis

POSTGRES = "127.0.0.1:5432"
REDIS = "redis://127.0.0.1:6379/9"
REQUIRED = "CITESTREAM_REQUIRE_SERVICES"


def need(reachable: bool, what: str) -> None:
    """Skip the test where a service is not there, or fail it where services are required."""
    if reachable:
        return
    reason = f"{what} cannot be reached"
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@asynccontextmanager
async def fresh_database() -> AsyncIterator[str]:
    """The URL of an empty PostgreSQL database, which is dropped afterwards."""
    user = os.environ.get("PGUSER", "postgres")
    try:
        admin = await asyncpg.connect(f"postgresql://{user}@{POSTGRES}/test", timeout=3)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        need(False, f"PostgreSQL at {POSTGRES}")
        raise
    name = f"citestream_{uuid.uuid4().hex}"
    await admin.execute(f"create database {name}")
    try:
        yield f"postgresql://{user}@{POSTGRES}/{name}"
    finally:
        await admin.execute(f"drop database {name} with (force)")
        await admin.close()


@contextmanager
def fresh_database_sync() -> Iterator[str]:
    """The same for a test without an event loop of its own."""
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(fresh_database()) as url:
        yield url


def redis_url() -> str:
    """The URL of Redis."""
    client = redis.Redis.from_url(REDIS, socket_connect_timeout=3)
    try:
        client.ping()
    except redis.RedisError:
        need(False, f"Redis at {REDIS}")
    finally:
        client.close()
    return REDIS
