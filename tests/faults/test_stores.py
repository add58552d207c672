"""A store that is locked, full, restarted or cut off costs the turns in flight at most."""

import asyncio
import os
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from tests.acceptance.recorder import Measured, bar, many
from tests.faults.client import TERMINAL, Stream, ask, call, get, resume
from tests.faults.conftest import ONE, TWO, Start
from tests.faults.faults import Faults
from tests.faults.processes import Server
from tests.own_redis import OwnRedis

AT_ONCE = 12


@contextmanager
def locked(server: Server) -> Iterator[None]:
    """Another process's write lock on the conversations."""
    with closing(sqlite3.connect(server.data_dir / "threads.db", isolation_level=None)) as database:
        database.execute("begin immediate")
        try:
            yield
        finally:
            database.execute("rollback")


@pytest.fixture(scope="module")
def one(start: Start) -> Iterator[Server]:
    with start(ONE, disconnect_grace_s=30) as running:
        yield running


async def test_a_locked_database_refuses_questions_and_recovers(
    one: Server, faults: Faults, measured: Measured
) -> None:
    """F24: questions while another process holds the database's lock, and after it."""
    measured.count = many(3, 20)
    faults.mark()
    with locked(one):
        began = time.monotonic()
        answers = await asyncio.gather(
            *(call(one.address, "POST", "/v1/chat/stream", {"question": faults.question("say")})
              for _ in range(measured.count))
        )  # fmt: skip
        seconds = time.monotonic() - began
        assert {(status, body["error"]["code"]) for status, body in answers} == {(503, "database_unavailable")}
        assert faults.opened == 0
        assert (await call(one.address, "GET", "/healthz"))[0] == 200
    measured.note(refused_after_s=seconds)
    assert seconds <= 10
    began = time.monotonic()
    done = await (await ask(one.address, faults.question("say"))).to_end()
    assert done.data["status"] == "completed"
    measured.note(recovered_after_s=time.monotonic() - began)
    await asyncio.to_thread(one.wait_until, lambda: not one.active(), 15)


async def test_an_answer_that_ends_while_the_database_is_locked_is_stored_later(
    one: Server, faults: Faults, measured: Measured
) -> None:
    """F24: answers that end while the database is locked."""
    measured.count = many(3, 10)
    streams = [await ask(one.address, faults.question("slow:5:0.2")) for _ in range(measured.count)]
    await asyncio.gather(*(stream.until("message") for stream in streams))
    with locked(one):
        began = time.monotonic()
        ends = await asyncio.gather(*(stream.to_end() for stream in streams))
        measured.note(terminal_after_s=time.monotonic() - began)
        assert time.monotonic() - began <= bar(10) + 1
        for stream, end in zip(streams, ends, strict=True):
            record = await get(one.address, f"/v1/runs/{stream.run_id}")
            assert record["status"] == end.data.get("status", "failed")
    await asyncio.to_thread(one.wait_until, lambda: not one.active(), 20)
    for stream, end in zip(streams, ends, strict=True):
        (turn,) = (await get(one.address, f"/v1/threads/{stream.thread_id}"))["turns"]
        assert turn["status"] == end.data.get("status", "failed")
        assert turn["answer"] == end.data.get("answer", stream.text)
        done = await (await ask(one.address, faults.question("say"), thread_id=stream.thread_id)).to_end()
        assert done.data["status"] == "completed"


async def test_a_full_disk_refuses_questions_and_recovers(
    start: Start, faults: Faults, measured: Measured, tmp_path: Path
) -> None:
    """F24: the disk of the conversations is full, then has room again."""
    measured.count = 1
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk))
    if os.geteuid() != 0 or _run(*mount) != 0:
        pytest.skip("only root can mount a small disk to fill")
    try:
        with start(ONE, folder=disk) as server:
            stream = await ask(server.address, faults.question("say"))
            await stream.to_end()
            ballast = disk / "ballast"
            with ballast.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(b"x" * 4096)
            began = time.monotonic()
            # What SQLite's journal has room for is taken; then it is full.
            statuses: Counter[str] = Counter()
            while statuses["database_unavailable"] < 3:
                assert time.monotonic() - began < 60, statuses
                asked = time.monotonic()
                answer = await ask(server.address, faults.question("slow:200:0"))
                raw = await answer.body()
                assert time.monotonic() - asked <= bar(10)
                if answer.status == 200:
                    end = answer.events[-1]
                    assert end.event in TERMINAL
                    statuses[end.data.get("status") or end.data["code"]] += 1
                else:
                    assert (answer.status, b"database_unavailable" in raw) == (503, True)
                    statuses["database_unavailable"] += 1
            measured.note(**statuses)
            ballast.unlink()
            done = await (await ask(server.address, faults.question("say"))).to_end()
            assert done.data["status"] == "completed"
            await asyncio.to_thread(server.wait_until, lambda: not server.active(), 20)
            (turn,) = (await get(server.address, f"/v1/threads/{stream.thread_id}"))["turns"]
            assert turn["status"] == "completed"
    finally:
        _run("umount", str(disk))


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    own = OwnRedis(tmp_path_factory.mktemp("redis"))
    own.start()
    yield own
    own.kill()


@pytest.fixture(scope="module")
def two(start: Start, own_redis: OwnRedis) -> Iterator[Server]:
    with start(TWO, disconnect_grace_s=2, events_url=own_redis.url) as running:
        yield running


async def test_postgresql_connections_that_are_cut_cost_turns_in_flight_at_most(
    two: Server, faults: Faults, measured: Measured
) -> None:
    """PostgreSQL cuts all connections under load."""
    measured.count = many(2, 20)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for _ in range(measured.count):
        asking = [asyncio.create_task(_try(two, faults)) for _ in range(AT_ONCE)]
        await asyncio.sleep(0.3)
        for _ in range(5):
            await _cut_postgresql(two)
            await asyncio.sleep(0.1)
        cut = time.monotonic()
        while (await call(two.address, "GET", "/readyz"))[0] != 200:
            assert time.monotonic() - cut < bar(10)
            await asyncio.sleep(0.1)
        done = await (await ask(two.address, faults.question("say"))).to_end()
        assert done.data["status"] == "completed"
        slowest = max(slowest, time.monotonic() - cut)
        for stream in await asyncio.gather(*asking):
            outcomes[await _outcome(two, stream)] += 1
        await asyncio.to_thread(two.wait_until, lambda: not two.active(), 20)
    measured.note(next_answer_after_s=slowest, **outcomes)
    assert slowest <= bar(10)
    assert outcomes["completed"]


async def test_redis_that_is_killed_costs_turns_in_flight_at_most(
    two: Server, own_redis: OwnRedis, faults: Faults, measured: Measured
) -> None:
    """Redis is killed under load and comes back empty."""
    measured.count = many(1, 10)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for _ in range(measured.count):
        asking = [asyncio.create_task(_try(two, faults)) for _ in range(AT_ONCE)]
        await asyncio.sleep(0.6)
        own_redis.kill()
        began = time.monotonic()
        answer = await ask(two.address, faults.question("say"))
        raw = await answer.body()
        assert answer.status == 503, (answer.status, raw)
        assert b"events_unavailable" in raw
        assert time.monotonic() - began <= bar(10)
        assert (await call(two.address, "GET", "/readyz"))[0] == 503
        own_redis.start()
        back = time.monotonic()
        while (await call(two.address, "GET", "/readyz"))[0] != 200:
            assert time.monotonic() - back < bar(10)
            await asyncio.sleep(0.1)
        done = await (await ask(two.address, faults.question("say"))).to_end()
        assert done.data["status"] == "completed"
        slowest = max(slowest, time.monotonic() - back)
        streams = await asyncio.gather(*asking)
        await asyncio.to_thread(two.wait_until, lambda: not two.active() and faults.open == 0, 30)
        for stream in streams:
            outcomes[await _outcome(two, stream)] += 1
    measured.note(next_answer_after_s=slowest, **outcomes)
    assert slowest <= bar(10)


def _run(*command: str) -> int:
    return subprocess.run(command, check=False, capture_output=True).returncode


async def _try(server: Server, faults: Faults) -> Stream:
    """Ask while something breaks; the stream as far as it came."""
    stream = await ask(server.address, faults.question("slow:40:0.05"))
    await stream.body()
    return stream


async def _outcome(server: Server, stream: Stream) -> str:
    """How a turn ended: its reader, its record and its thread agree."""
    if stream.status != 200:
        assert stream.status == 503, (stream.status, stream.raw)
        return "refused"
    if not stream.events:
        return "never began"
    terminal = [event for event in stream.events if event.event in TERMINAL]
    assert terminal == stream.events[-1:] or not terminal
    record = await get(server.address, f"/v1/runs/{stream.run_id}")
    (turn,) = (await get(server.address, f"/v1/threads/{stream.thread_id}"))["turns"]
    assert turn["status"] == record["status"] != "running"
    if terminal:
        assert terminal[0].data.get("status", "failed") == record["status"]
        assert terminal[0].data.get("answer", "") == turn["answer"]
    else:
        again = await resume(server.address, stream.run_id, stream.last_id)
        end = await again.to_end()
        assert end.data.get("status", "failed") == record["status"]
    return str(record["status"]) if terminal else f"cut off, then {record['status']}"


async def _cut_postgresql(server: Server) -> None:
    connection = await asyncpg.connect(server.env["CITESTREAM_DATABASE_URL"])
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    await connection.close()
