"""The event log in Redis when Redis is restarted, killed, full, hung or behind a bad line."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from server.eventlog import EventLog, EventsUnavailable, LogGone, open_event_log
from tests.own_redis import OwnRedis
from tests.server.eventlog.test_contract import read_all


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    own = OwnRedis(tmp_path)
    own.start()
    yield own
    own.kill()


@pytest.fixture
async def log(redis: OwnRedis) -> AsyncIterator[EventLog]:
    async with open_event_log(redis.url) as log:
        yield log


async def raises_unavailable(call: Awaitable[object], within_s: float) -> None:
    started = time.monotonic()
    with pytest.raises(EventsUnavailable):
        await call
    assert time.monotonic() - started < within_s


def every_call(log: EventLog) -> list[Callable[[], Awaitable[object]]]:
    return [
        lambda: log.create("b", {}),
        lambda: log.header("a"),
        lambda: log.append("a", "message", b"{}"),
        lambda: log.append("a", "done", b"{}", last=True),
        lambda: log.read("a", 0),
        lambda: log.size("a"),
        lambda: log.position("a"),
        log.running,
        lambda: log.drop("a"),
        log.ready,
    ]


async def test_a_redis_that_is_not_there_is_a_typed_error_and_a_new_one_is_used(redis: OwnRedis, log: EventLog) -> None:
    await log.create("a", {})
    redis.kill()
    for call in every_call(log):
        await raises_unavailable(call(), within_s=5)
    redis.start()

    await log.ready()
    with pytest.raises(LogGone):
        await log.append("a", "message", b"{}")
    assert await log.create("a", {})
    await log.append("a", "done", b"{}", last=True)
    assert len(await read_all(log, "a")) == 1


async def test_a_redis_that_hangs_is_a_typed_error(redis: OwnRedis, log: EventLog) -> None:
    await log.create("a", {})
    await log.append("a", "run", b"{}")
    waiting = asyncio.create_task(raises_unavailable(log.read("a", 1), within_s=9))
    await anyio.sleep(0.2)
    redis.hang()
    try:
        async with asyncio.TaskGroup() as group:
            for call in every_call(log):
                if call != log.ready:
                    group.create_task(raises_unavailable(call(), within_s=5))
            group.create_task(raises_unavailable(log.ready(), within_s=2.5))
        await waiting
    finally:
        redis.go_on()

    await log.ready()


async def test_readers_of_a_redis_that_was_killed_learn_it_in_time(redis: OwnRedis, log: EventLog) -> None:
    await log.create("a", {})
    await log.append("a", "run", b"{}")
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(raises_unavailable(log.read("a", 1), within_s=5))
        await anyio.sleep(0.2)
        redis.kill()


async def test_readers_of_a_redis_that_was_restarted_empty_find_the_log_gone(redis: OwnRedis, log: EventLog) -> None:
    await log.create("a", {})
    await log.append("a", "run", b"{}")

    async def read() -> None:
        with pytest.raises(LogGone):
            await log.read("a", 1)

    with anyio.fail_after(5):
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(read())
            await anyio.sleep(0.2)
            redis.kill()
            redis.start()


async def test_appends_and_reads_go_wrong_in_a_typed_way_whenever_redis_is_restarted(
    redis: OwnRedis, log: EventLog
) -> None:
    """Writers and readers at full speed while Redis is killed and started, five times."""
    stopping = asyncio.Event()
    interruptions: list[str] = []

    async def write(run_id: str) -> None:
        while not stopping.is_set():
            try:
                await log.create(run_id, {})
                while not stopping.is_set():
                    await log.append(run_id, "message", b"{}")
            except (EventsUnavailable, LogGone) as exc:
                interruptions.append(type(exc).__name__)
                await anyio.sleep(0.05)

    async def read(run_id: str) -> None:
        after = 0
        while not stopping.is_set():
            try:
                batch = await log.read(run_id, after)
            except (EventsUnavailable, LogGone):
                after = 0
                await anyio.sleep(0.05)
            else:
                assert [entry.number for entry in batch] == list(range(after + 1, after + len(batch) + 1))
                after = batch[-1].number

    async with asyncio.TaskGroup() as group:
        for n in range(5):
            group.create_task(write(f"run-{n}"))
            group.create_task(read(f"run-{n}"))
        for _ in range(5):
            await anyio.sleep(0.2)
            redis.kill()
            await anyio.sleep(0.1)
            redis.start()
        await anyio.sleep(0.2)
        stopping.set()
        for n in range(5):
            await log.drop(f"run-{n}")

    assert len(interruptions) >= 5
    await log.ready()


async def test_a_log_that_redis_took_from_an_old_snapshot_is_gone(tmp_path: Path) -> None:
    """Its newest events are lost; to go on would give their numbers to others."""
    redis = OwnRedis(tmp_path)
    redis.start()
    try:
        async with open_event_log(redis.url) as log:
            await log.create("a", {})
            await log.append("a", "run", b"{}")
            with redis.admin() as admin:
                admin.save()
            await log.append("a", "message", b"1")
            reading = asyncio.create_task(log.read("a", 2))
            await anyio.sleep(0.1)
            redis.kill()
            redis.start()

            with pytest.raises(LogGone):
                await log.append("a", "message", b"2")
            with anyio.fail_after(5), pytest.raises(LogGone):
                await reading
    finally:
        redis.kill()


async def test_a_reader_survives_a_dropped_connection(redis: OwnRedis, log: EventLog) -> None:
    await log.create("a", {})
    reading = asyncio.create_task(read_all(log, "a"))
    with redis.admin() as admin:
        for n in range(10):
            await anyio.sleep(0.05)
            admin.client_kill_filter(_type="normal", skipme=True)
            await log.append("a", "message", b"%d" % n, last=n == 9)
    with anyio.fail_after(5):
        entries = await reading

    assert [entry.data for entry in entries] == [b"%d" % n for n in range(10)]


async def test_a_full_redis_is_a_typed_error_and_the_log_can_be_dropped(redis: OwnRedis, log: EventLog) -> None:
    await log.create("a", {})
    await log.append("a", "message", b"x" * 100_000)
    with redis.admin() as admin:
        admin.config_set("maxmemory", "1mb")
        with pytest.raises(EventsUnavailable, match=r"OutOfMemory|OOM"):
            await log.append("a", "message", b"x" * 100_000)
        assert len(await log.read("a", 0)) == 1
        await log.drop("a")
        admin.config_set("maxmemory", "0")

    assert await log.create("a", {})


async def test_a_redis_that_takes_no_writes_is_a_typed_error(redis: OwnRedis, log: EventLog) -> None:
    await log.create("a", {})
    with redis.admin() as admin:
        admin.replicaof("127.0.0.1", "1")
        with pytest.raises(EventsUnavailable, match=r"ReadOnly|READONLY"):
            await log.append("a", "message", b"{}")
        admin.replicaof("NO", "ONE")

    await log.append("a", "message", b"{}")


async def test_an_evicted_log_is_gone(redis: OwnRedis, log: EventLog) -> None:
    for run_id in ("a", "b"):
        await log.create(run_id, {})
        await log.append(run_id, "run", b"{}")
    with redis.admin() as admin:
        admin.delete("citestream:{a}:log", "citestream:{b}:head")

    with pytest.raises(LogGone):
        await log.read("a", 0)
    await log.append("a", "message", b"{}")
    for run_id in ("a", "b"):
        with pytest.raises(LogGone):
            await log.read(run_id, 0)
    assert list(await log.running()) == ["a"]


async def test_logs_that_never_end_expire_after_a_day(redis: OwnRedis, log: EventLog) -> None:
    await log.create("a", {})
    await log.append("a", "run", b"{}")
    with redis.admin() as admin:
        lives_ms = [admin.pttl(f"citestream:{{a}}:{part}") for part in ("head", "log")]
        await log.append("a", "done", b"{}", last=True)
        ended_ms = [admin.pttl(f"citestream:{{a}}:{part}") for part in ("head", "log")]

    assert all(23 * 3_600_000 < life <= 24 * 3_600_000 for life in lives_ms)
    assert all(890_000 < life <= 900_000 for life in ended_ms)


async def test_redis_is_reached_through_a_socket_file(tmp_path: Path) -> None:
    redis = OwnRedis(tmp_path, "--unixsocket", str(tmp_path / "redis.sock"), "--requirepass", "a b")
    redis.start()
    try:
        async with open_event_log(f"unix://:a%20b@{tmp_path}/redis.sock?db=3") as log:
            assert await log.create("a", {})
        with redis.admin(password="a b") as admin:
            assert admin.info("keyspace")["db3"]["keys"] == 2
    finally:
        redis.kill()


async def test_a_wrong_password_is_a_typed_error_that_does_not_tell_it(tmp_path: Path) -> None:
    redis = OwnRedis(tmp_path, "--requirepass", "hunter2")
    redis.start()
    try:
        async with open_event_log(redis.url.replace("//", "//:hunter3@")) as log:
            with pytest.raises(EventsUnavailable) as caught:
                await log.create("a", {})
        async with open_event_log(redis.url.replace("//", "//:hunter2@")) as log:
            assert await log.create("a", {})
    finally:
        redis.kill()

    assert "hunter" not in caught.value.message
    assert "hunter" not in str(caught.value.__context__)


async def test_readers_that_leave_leave_no_connection_behind(redis: OwnRedis, log: EventLog) -> None:
    await log.create("a", {})
    with redis.admin() as admin:
        for _ in range(3):
            readers = [asyncio.create_task(log.read("a", 0)) for _ in range(30)]
            await anyio.sleep(0.1)
            assert admin.info("clients")["blocked_clients"] == 30
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
        await anyio.sleep(0.1)
        clients = admin.info("clients")

    assert clients["blocked_clients"] == 0
    assert clients["connected_clients"] < 10


class BadLine:
    """A way to Redis that now and then carries a command there and not its answer back."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cuts = 0
        """How many of the next answers get lost, each with its connection."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        async with await asyncio.start_server(self._connect, "127.0.0.1", 0) as server:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        redis_reader, redis_writer = await asyncio.open_connection("127.0.0.1", self._port)
        forth = asyncio.create_task(self._carry(reader, redis_writer))
        try:
            while data := await redis_reader.read(65536):
                if self.cuts:
                    self.cuts -= 1
                    break
                writer.write(data)
        finally:
            forth.cancel()
            writer.close()
            redis_writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)


async def test_a_call_whose_answer_got_lost_is_not_done_twice(redis: OwnRedis) -> None:
    line = BadLine(redis.port)
    async with line.open() as url, open_event_log(url) as log:
        await log.create("warm-up", {})
        await log.append("warm-up", "run", b"{}", last=True)

        line.cuts = 1
        assert await log.create("a", {})
        line.cuts = 1
        assert (await log.append("a", "message", b"1")).number == 1
        line.cuts = 1
        assert (await log.append("a", "done", b"2", last=True)).number == 2
        assert line.cuts == 0
        assert [entry.data for entry in await read_all(log, "a")] == [b"1", b"2"]
