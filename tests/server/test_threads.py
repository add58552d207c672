"""The store of threads and turns."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from server.database import open_database
from server.errors import ThreadNotFound
from server.record import Record, now
from server.threads import Threads, title_of


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with open_database(tmp_path) as opened:
        yield opened


def record(n: int = 1, thread_id: str = "thread") -> Record:
    return Record(f"run-{n}", thread_id, f"message-{n}", f"Question {n}?", now(), "fake")


def ended(n: int = 1) -> Record:
    turn = record(n)
    turn.add("source", {"sources": [{"id": "s", "text": "é\u2028"}]})
    turn.add("message", {"delta": f"Answer {n}."})
    turn.add("citation", {"index": 1, "verified": "exact"})
    timings = {"ttft_ms": 1, "total_ms": 2}
    usage = {"input_tokens": 1, "output_tokens": 2}
    done = {"status": "completed", "cited": [1], "grounding": "full", "usage": usage, "timings": timings}
    turn.add("done", done)
    return turn


async def test_a_turn_comes_back_as_it_was_stored(engine: AsyncEngine) -> None:
    threads, turn = Threads(engine), ended()
    await threads.begin_turn(record(), new_thread=True)
    turn.created_at = (await threads.turns("thread"))[0].created_at
    await threads.end_turn(turn)

    assert await threads.turn("run-1") == turn
    assert await threads.turns("thread") == [turn]


async def test_history_is_ended_turns_with_an_answer_in_order(engine: AsyncEngine) -> None:
    threads = Threads(engine)
    for n in (1, 2, 3, 4):
        await threads.begin_turn(record(n), new_thread=n == 1)
    await threads.end_turn(ended(2))
    await threads.end_turn(ended(1))
    silent = record(3)
    silent.status = "stopped"
    await threads.end_turn(silent)

    assert await threads.history("thread") == [("Question 1?", "Answer 1."), ("Question 2?", "Answer 2.")]


async def test_a_turn_of_a_deleted_thread_cannot_be_stored(engine: AsyncEngine) -> None:
    threads = Threads(engine)
    await threads.begin_turn(record(1), new_thread=True)
    assert await threads.delete("thread") == ["run-1"]

    await threads.end_turn(ended(1))
    assert await threads.turn("run-1") is None
    with pytest.raises(ThreadNotFound):
        await threads.begin_turn(record(2), new_thread=False)
    assert await threads.turn("run-2") is None


async def test_threads_of_another_owner_are_not_found(engine: AsyncEngine) -> None:
    mine, theirs = Threads(engine), Threads(engine, owner="someone-else")
    await mine.begin_turn(record(), new_thread=True)

    assert await theirs.turn("run-1") is None
    assert await theirs.turns("thread") == []
    assert await theirs.history("thread") == []
    assert await theirs.page(None, 10) == ([], None)
    for call in (theirs.thread("thread"), theirs.rename("thread", "x"), theirs.delete("thread")):
        with pytest.raises(ThreadNotFound):
            await call
    assert (await mine.thread("thread")).title == "Question 1?"


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("Short?", "Short?"),
        ("Two\n lines\t here", "Two lines here"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("word " * 20, "word " * 11 + "word…"),
        ("a" * 30 + " " + "b" * 40, "a" * 30 + "…"),
        ("猫" * 100, "猫" * 59 + "…"),
    ],
)
def test_a_title_is_the_question_shortened_at_a_word(question: str, title: str) -> None:
    assert title_of(question) == title
    assert len(title_of(question)) <= 60
