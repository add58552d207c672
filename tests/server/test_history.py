"""What a turn knows of its thread, and what is kept of it between turns."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import event

from graph.settings import Settings
from server.database import open_database
from server.errors import ThreadNotFound
from server.eventlog import EventsUnavailable
from server.history import Histories, to_messages
from server.shelf import NoShelf, open_shelf
from server.threads import History, PastTurn, Threads
from tests.server.test_threads import WORKER, ended, record
from tests.services import redis_url


class Process:
    """A server process as far as histories go: it stores turns and reads what came before."""

    def __init__(self, threads: Threads, histories: Histories) -> None:
        self.threads = threads
        self.histories = histories

    async def turn(self, n: int, *, replaces: str | None = None) -> list[str]:
        """Ask and answer; returns what the turn knew."""
        place = await self.threads.begin_turn(record(n), WORKER, new_thread=n == 1, replaces=replaces)
        _, version = await self.threads.before("thread", place)
        known = to_messages(await self.histories.at("thread", version), place.history_end)
        stored = await self.threads.end_turn(ended(n), WORKER)
        assert stored is not None
        await self.histories.add(ended(n), place, stored)
        return [message.text for message in known if message.type == "ai"]


@pytest.fixture
async def threads(tmp_path: Path) -> AsyncIterator[Threads]:
    async with open_database(Settings(data_dir=tmp_path)) as database:
        yield Threads(database)


def answers(*numbers: int) -> list[str]:
    return [f"Answer {n}." for n in numbers]


async def test_a_process_reads_a_thread_once_and_then_knows_what_it_added(threads: Threads) -> None:
    read = []
    event.listen(
        threads.database.engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_: read.append(statement) if "turns.answer !=" in statement else None,
    )
    process = Process(threads, Histories(threads, NoShelf()))
    for n in range(1, 6):
        assert await process.turn(n) == answers(*range(1, n))
    assert len(read) == 1


async def test_processes_without_a_shelf_see_what_others_added(threads: Threads) -> None:
    one, two = (Process(threads, Histories(threads, NoShelf())) for _ in range(2))
    assert await one.turn(1) == []
    assert await two.turn(2) == answers(1)
    assert await one.turn(3) == answers(1, 2)
    assert await one.turn(4, replaces="message-2") == answers(1)
    assert await two.turn(5) == answers(1, 4)


async def test_processes_leave_histories_for_each_other_and_take_them_away(threads: Threads) -> None:
    prefix = f"citestream-test-{id(threads)}:"
    async with open_shelf(f"{redis_url()}?prefix={prefix}") as shelf:
        one, two = (Process(threads, Histories(threads, shelf)) for _ in range(2))
        await one.turn(1)
        await one.turn(2)
        assert await shelf.get("history:thread")
        assert await two.turn(3) == answers(1, 2)
        await one.histories.forget("thread")
        assert await shelf.get("history:thread") is None


async def test_a_shelf_that_is_away_costs_nothing_but_a_query(threads: Threads) -> None:
    class Away(NoShelf):
        async def get(self, key: str) -> bytes | None:
            raise EventsUnavailable("test")

        async def put(self, key: str, value: bytes | None, ttl_s: float) -> None:
            raise EventsUnavailable("test")

    process = Process(threads, Histories(threads, Away()))
    await process.turn(1)
    assert await process.turn(2) == answers(1)
    await process.histories.forget("thread")


async def test_a_history_that_is_not_of_this_version_is_not_used(threads: Threads) -> None:
    histories = Histories(threads, NoShelf())
    await Process(threads, histories).turn(1)
    stale = await histories.at("thread", 1)
    await Process(threads, Histories(threads, NoShelf())).turn(2)
    assert len(stale.turns) == 1
    assert len((await histories.at("thread", 2)).turns) == 2
    await threads.delete("thread")
    with pytest.raises(ThreadNotFound):
        await histories.at("thread", 3)


def test_a_summary_stands_for_the_turns_it_tells_unless_one_of_them_is_replaced() -> None:
    turns = tuple(PastTurn(n, f"Question {n}?", f"Answer {n}.") for n in (1, 2, 3))
    history = History(7, turns, "It was about cats.", 2)
    assert [m.text for m in to_messages(history, 9)] == ["It was about cats.", "Question 3?", "Answer 3."]
    assert [m.text for m in to_messages(history, 2)] == ["Question 1?", "Answer 1."]
