"""Which server processes live, and what becomes of what a dead one left."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import orjson
import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from graph.settings import Settings
from server import workers as module
from server.ask import Ask
from server.database import open_database
from server.database import workers as table
from server.eventlog.memory import MemoryEventLog
from server.record import Record, now
from server.threads import Threads
from server.workers import LEASE_S, Workers, host_of_this_process
from tests.fakes import Answerer
from tests.server.registry import open_registry, read


@pytest.fixture
async def engine(conversations: Settings) -> AsyncIterator[AsyncEngine]:
    async with open_database(conversations) as opened:
        yield opened


async def add(engine: AsyncEngine, name: str, *, host: str, pid: int) -> None:
    seen_at = module._clock(engine.dialect.name)
    async with engine.begin() as connection:
        await connection.execute(insert(table).values(id=name, host=host, pid=pid, seen_at=seen_at))


async def silence(engine: AsyncEngine, name: str, seconds: float) -> None:
    async with engine.begin() as connection:
        older = update(table).where(table.c.id == name).values(seen_at=table.c.seen_at - seconds)
        await connection.execute(older)


async def test_a_process_of_this_machine_that_is_gone_is_dead_at_once(engine: AsyncEngine) -> None:
    gone = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await gone.wait()
    workers = Workers(engine)
    await workers.beat()
    await add(engine, "gone", host=host_of_this_process(), pid=gone.pid)
    await add(engine, "had-our-pid", host=host_of_this_process(), pid=os.getpid())
    await add(engine, "lives", host=host_of_this_process(), pid=os.getppid())
    await add(engine, "elsewhere", host="another machine", pid=gone.pid)
    await workers.bury()
    assert await workers.living() == {workers.id, "lives", "elsewhere"}


async def test_a_process_elsewhere_is_dead_when_it_was_not_seen_for_the_lease(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = Workers(engine)
    await workers.beat()
    await add(engine, "silent", host="another machine", pid=1)
    await silence(engine, "silent", LEASE_S + 5)
    await add(engine, "slow", host="another machine", pid=1)
    await silence(engine, "slow", LEASE_S - 5)

    await workers.bury()
    assert await workers.living() == {workers.id, "silent", "slow"}, "it has not watched long enough itself"
    monkeypatch.setattr(workers, "_steady_since", workers._steady_since - LEASE_S - 1)
    await workers.bury()
    assert await workers.living() == {workers.id, "slow"}


async def test_a_process_that_was_taken_for_dead_comes_back_with_its_next_beat(engine: AsyncEngine) -> None:
    workers = Workers(engine)
    await workers.beat()
    await workers.leave()
    assert await workers.living() == set()
    await workers.beat()
    await workers.beat()
    assert await workers.living() == {workers.id}


async def test_runs_of_a_dead_process_get_their_terminal_event_also_without_a_first_one(settings: Settings) -> None:
    log = MemoryEventLog()
    dead = {"question": "Cats?", "created_at": now().isoformat(), "worker": "dead"}
    record = Record("run-of-the-dead", "thread", "message", "Cats?", now(), "fake")
    async with open_database(settings) as engine:
        await Threads(engine).begin_turn(record, "dead", new_thread=True)
    await log.create("run-of-the-dead", dead)
    await log.append("run-of-the-dead", "run", orjson.dumps(record.run_event()))
    await log.create("stateless-run", dead)

    async with open_registry(settings, event_log=log) as runs:
        assert await read(runs, "run-of-the-dead") == ["run", "failed"]
        assert await read(runs, "stateless-run") == ["failed"]
        stored = await runs.record("run-of-the-dead")
        assert stored.error is not None
        assert (stored.status, stored.error["code"]) == ("failed", "server_restart")
        run_id = await runs.start(Ask(question="And now?", thread_id="thread"))
        assert (await read(runs, run_id))[-1] == "done"


async def test_a_run_that_was_given_up_by_others_fails_whatever_it_has_said(settings: Settings) -> None:
    """As after a process was asleep for longer than its lease."""
    async with open_registry(settings, Answerer(pause_s=0.2)) as runs:
        run_id = await runs.start(Ask(question="Cats?"))
        await runs._workers.leave()
        failure = {"code": "server_restart", "message": "gone", "retryable": True}
        await runs._threads.fail_orphans(failure)  # type: ignore[arg-type]
        assert (await read(runs, run_id))[-1] == "failed"
        stored = await runs._threads.turn(run_id)
    assert stored is not None
    assert (stored.status, stored.answer) == ("failed", "")
