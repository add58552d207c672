"""The registry of runs, where HTTP has no part in it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from server.ask import Ask
from server.database import open_database
from server.errors import RunNotFound, ShuttingDown
from server.eventlog import Entry
from server.eventlog.memory import MemoryEventLog
from server.runs import Runs, open_runs
from server.threads import Threads
from tests.fakes import Answerer


class TornLog(MemoryEventLog):
    """Loses the terminal event of its first run."""

    torn = False

    async def append(self, run_id: str, event: str, data: bytes, *, last: bool = False) -> Entry:
        if last and not self.torn:
            self.torn = True
            raise OSError("the log is gone")
        return await super().append(run_id, event, data, last=last)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with open_database(tmp_path) as opened:
        yield opened


async def read(runs: Runs, run_id: str) -> list[str]:
    reader = runs.read(run_id)
    names = [entry.event async for entry in reader]
    reader.leave()
    return names


async def test_a_run_that_breaks_ends_its_readers_and_no_other_run(engine: AsyncEngine) -> None:
    async with open_runs(Answerer().build(), "fake", Threads(engine), TornLog(), 0) as runs:
        broken = await read(runs, await runs.start(Ask(question="Cats?")))
        whole = await read(runs, await runs.start(Ask(question="Dogs?")))

    assert broken[-1] == "message"
    assert whole[-1] == "done"


async def test_a_graph_that_ends_without_a_turn_is_an_internal_failure(engine: AsyncEngine) -> None:
    class Silent(Answerer):
        async def _answer(self, state: Any, runtime: Any) -> Any:
            return {"messages": []}

    async with open_runs(Silent().build(), "fake", Threads(engine), MemoryEventLog(), 0) as runs:
        run_id = await runs.start(Ask(question="Cats?"))
        assert await read(runs, run_id) == ["run", "failed"]
        record = await runs.record(run_id)

    assert record.error is not None
    assert record.error["code"] == "internal"


async def test_events_that_clients_do_not_know_are_kept_back(engine: AsyncEngine) -> None:
    from graph.events import emit

    class Chatty(Answerer):
        async def _answer(self, state: Any, runtime: Any) -> Any:
            emit("debug", {"secret": True})  # type: ignore[call-overload]  # a name that does not exist
            emit("message", {"delta": ""})
            return await super()._answer(state, runtime)

    async with open_runs(Chatty().build(), "fake", Threads(engine), MemoryEventLog(), 0) as runs:
        names = await read(runs, await runs.start(Ask(question="Cats?")))

    assert names == ["run", "status", "status", "source", "message", "message", "message", "done"]


async def test_a_closed_registry_takes_no_runs(engine: AsyncEngine) -> None:
    async with open_runs(Answerer().build(), "fake", Threads(engine), MemoryEventLog(), 0) as runs:
        await runs.close()
        with pytest.raises(ShuttingDown):
            await runs.start(Ask(question="Cats?"))
        with pytest.raises(RunNotFound):
            await runs.record("run-of-mine")
