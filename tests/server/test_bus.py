"""Messages between server processes."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest

from graph.errors import SettingsError
from server.bus import Bus, NoBus, open_bus
from server.eventlog import EventsUnavailable
from tests.own_redis import OwnRedis
from tests.services import redis_url

Message = Mapping[str, str]


@asynccontextmanager
async def listening(bus: Bus) -> AsyncIterator[list[Message]]:
    """What a listener heard, from the moment on at which it listens."""
    heard: list[Message] = []
    task = asyncio.create_task(bus.listen(heard.append))
    while not any("hello" in message for message in heard):
        await bus.publish({"hello": ""})
        await anyio.sleep(0.02)
    yield heard
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def real(heard: list[Message]) -> list[Message]:
    return [message for message in heard if "hello" not in message]


async def until(condition: Callable[[], bool], within_s: float = 5) -> None:
    with anyio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110  # Redis is what it waits for
            await anyio.sleep(0.001)


async def test_every_process_hears_every_message_in_order() -> None:
    url = f"{redis_url()}?prefix=citestream-test-{uuid.uuid4().hex}:"
    async with AsyncExitStack() as stack:
        buses = [await stack.enter_async_context(open_bus(url)) for _ in range(3)]
        heard = [await stack.enter_async_context(listening(bus)) for bus in buses]
        messages = [{"kind": "stop", "run_id": str(n), "reason": "größer\n"} for n in range(100)]
        for message in messages:
            await buses[0].publish(message)
        await until(lambda: all(len(real(one)) == 100 for one in heard))

    assert all(real(one) == messages for one in heard)


async def test_a_message_arrives_within_milliseconds() -> None:
    url = f"{redis_url()}?prefix=citestream-test-{uuid.uuid4().hex}:"
    delays = []
    async with open_bus(url) as bus, open_bus(url) as other, listening(other) as heard:
        for n in range(20):
            started = time.perf_counter()
            await bus.publish({"n": str(n)})
            await until(partial(heard.__contains__, {"n": str(n)}))
            delays.append(time.perf_counter() - started)

    assert sorted(delays)[10] < 0.02


async def test_servers_with_another_database_or_prefix_are_not_heard() -> None:
    name = uuid.uuid4().hex
    base = redis_url().removesuffix("/9")
    async with AsyncExitStack() as stack:
        bus, *others = [
            await stack.enter_async_context(open_bus(f"{base}/{db}?prefix={prefix}"))
            for db, prefix in ((9, name), (8, name), (9, f"{name}x"))
        ]
        heard = [await stack.enter_async_context(listening(other)) for other in others]
        await bus.publish({"kind": "stop"})
        await anyio.sleep(0.1)

    assert [real(one) for one in heard] == [[], []]


async def test_a_listener_comes_back_after_redis_was_restarted(tmp_path: Path) -> None:
    redis = OwnRedis(tmp_path)
    redis.start()
    try:
        async with open_bus(redis.url) as bus, listening(bus) as heard:
            redis.kill()
            started = time.monotonic()
            with pytest.raises(EventsUnavailable):
                await bus.publish({"kind": "lost"})
            assert time.monotonic() - started < 5
            redis.start()
            before = len(heard)
            while len(heard) == before:
                await bus.publish({"hello": ""})
                await anyio.sleep(0.05)
                assert time.monotonic() - started < 10
            await bus.publish({"kind": "stop"})
            await until(lambda: {"kind": "stop"} in heard)
        assert {"kind": "lost"} not in heard
    finally:
        redis.kill()


async def test_a_listener_notices_that_redis_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.eventlog.redis_client.SILENCE_S", 0.3)
    redis = OwnRedis(tmp_path)
    redis.start()
    try:
        async with open_bus(redis.url) as bus, listening(bus) as heard:
            await anyio.sleep(1)
            with redis.admin() as admin:
                ids = [client["id"] for client in admin.client_list(_type="pubsub")]
                redis.hang()
                await anyio.sleep(1)
                redis.go_on()
                await until(lambda: bool(admin.client_list(_type="pubsub")))
                await anyio.sleep(0.6)
                assert [client["id"] for client in admin.client_list(_type="pubsub")] != ids
            await bus.publish({"kind": "stop"})
            await until(lambda: {"kind": "stop"} in heard)
    finally:
        redis.kill()


async def test_what_another_program_says_is_not_heard(tmp_path: Path) -> None:
    redis = OwnRedis(tmp_path)
    redis.start()
    try:
        async with open_bus(redis.url) as bus, listening(bus) as heard:
            with redis.admin() as admin:
                for noise in ("", "no json", "[]", '{"kind": 1}', "7"):
                    assert admin.publish("citestream:bus:0", noise) == 1
            await bus.publish({"kind": "stop"})
            await until(lambda: len(real(heard)) > 0)
        assert real(heard) == [{"kind": "stop"}]
    finally:
        redis.kill()


async def test_a_single_process_has_nobody_to_tell() -> None:
    async with open_bus("memory://") as bus:
        assert isinstance(bus, NoBus)
        await bus.publish({"kind": "stop"})
        with anyio.move_on_after(0.05) as scope:
            await bus.listen(lambda _: None)
        assert scope.cancelled_caught


async def test_an_unknown_kind_of_bus_is_refused() -> None:
    with pytest.raises(SettingsError):
        async with open_bus("omni://"):
            pass
