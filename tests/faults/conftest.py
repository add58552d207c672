"""Servers of the two kinds, and the upstream that fails them."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.e2e.conftest import environment, indexed
from tests.faults.client import leave_all
from tests.faults.faults import Faults, run_faults
from tests.faults.processes import Server, server_on
from tests.services import fresh_database_sync, redis_url

__all__ = ["indexed"]

ONE, TWO = "one process", "two workers"

Start = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="module")
def faults() -> Iterator[Faults]:
    with run_faults() as running:
        yield running


@pytest.fixture(scope="module")
def start(indexed: Path, faults: Faults, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start a server of a kind, with some settings changed; closing tests want no grace, so that is the default."""

    @contextmanager
    def starting(kind: str = ONE, folder: Path | None = None, **settings: Any) -> Iterator[Server]:
        with ExitStack() as stack:
            model = {"model": "openai:say", "openai_base_url": faults.upstream.base_url, "openai_api_key": "none"}
            chosen = {**model, "disconnect_grace_s": 0, "shutdown_grace_s": 1, **settings}
            if kind == TWO:
                chosen = {**stack.enter_context(shared_stores()), "workers": 2, **chosen}
            folder = folder or tmp_path_factory.mktemp("server")
            yield stack.enter_context(server_on(indexed, folder, environment(folder, **chosen)))

    return starting


@pytest.fixture(scope="module", params=[ONE, TWO])
def server(request: pytest.FixtureRequest, start: Start) -> Iterator[Server]:
    """A server of each kind, without grace."""
    with start(request.param) as running:
        yield running


@contextmanager
def shared_stores() -> Iterator[dict[str, str]]:
    """Settings of a PostgreSQL database and of keys in Redis that nobody else uses."""
    address, prefix = redis_url(), f"faults-{uuid.uuid4().hex}:"
    try:
        with fresh_database_sync() as database_url:
            yield {"database_url": database_url, "events_url": f"{address}?prefix={prefix}"}
    finally:
        with redis.Redis.from_url(address) as client:
            for key in client.scan_iter(f"{prefix}*"):
                client.delete(key)


@pytest.fixture(autouse=True)
async def _closing() -> AsyncIterator[None]:
    """A test that fails leaves streams open, and that is no failure of the one after it."""
    yield
    await leave_all()
