"""Which server processes live, and what becomes of what a dead one left."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import orjson
import pytest
from sqlalchemy import insert, update

from graph.settings import Settings
from server import workers as module
from server.ask import Ask
from server.database import Database, open_database
from server.database import workers as table
from server.eventlog.memory import MemoryEventLog
from server.record import Record, now
from server.threads import Threads
from server.workers import LEASE_S, Workers, host_of_this_process
from tests.fakes import Answerer
from tests.server.registry import open_registry, read


@pytest.fixture
async def database(conversations: Settings) -> AsyncIterator[Database]:
    async with open_database(conversations) as opened:
        yield opened


async def add(database: Database, name: str, *, host: str, pid: int) -> None:
    seen_at = module._clock(database.engine.dialect.name)
    row = insert(table).values(id=name, host=host, pid=pid, seen_at=seen_at)
    await database.write(lambda connection: connection.execute(row).close())


async def silence(database: Database, name: str, seconds: float) -> None:
    older = update(table).where(table.c.id == name).values(seen_at=table.c.seen_at - seconds)
    await database.write(lambda connection: connection.execute(older).close())


async def test_a_process_of_this_machine_that_is_gone_is_dead_at_once(database: Database) -> None:
    gone = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await gone.wait()
    workers = Workers(database)
    await workers.beat()
    await add(database, "gone", host=host_of_this_process(), pid=gone.pid)
    await add(database, "had-our-pid", host=host_of_this_process(), pid=os.getpid())
    await add(database, "lives", host=host_of_this_process(), pid=os.getppid())
    await add(database, "elsewhere", host="another machine", pid=gone.pid)
    await workers.bury()
    assert await workers.living() == {workers.id, "lives", "elsewhere"}


async def test_a_process_elsewhere_is_dead_when_it_was_not_seen_for_the_lease(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = Workers(database)
    await workers.beat()
    await add(database, "silent", host="another machine", pid=1)
    await silence(database, "silent", LEASE_S + 5)
    await add(database, "slow", host="another machine", pid=1)
    await silence(database, "slow", LEASE_S - 5)

    await workers.bury()
    assert await workers.living() == {workers.id, "silent", "slow"}, "it has not watched long enough itself"
    monkeypatch.setattr(workers, "_steady_since", workers._steady_since - LEASE_S - 1)
    await workers.bury()
    assert await workers.living() == {workers.id, "slow"}


async def test_a_process_that_was_taken_for_dead_comes_back_with_its_next_beat(database: Database) -> None:
    workers = Workers(database)
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
    async with open_database(settings) as database:
        await Threads(database).begin_turn(record, "dead", new_thread=True)
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
