"""The store of threads and turns."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from graph.settings import Settings
from server.database import Database, open_database
from server.errors import DatabaseUnavailable, MessageNotFound, ThreadBusy, ThreadNotFound
from server.history import to_messages
from server.record import Record, now
from server.threads import ABANDONED_EVENT, MAX_WAITING, Threads, title_of
from server.workers import Workers

WORKER = "worker-of-mine"


@pytest.fixture
async def database(conversations: Settings) -> AsyncIterator[Database]:
    async with open_database(conversations) as opened:
        yield opened


def record(n: int = 1, thread_id: str = "thread") -> Record:
    return Record(f"run-{n}", thread_id, f"message-{n}", f"Question {n}?", now(), "fake")


def ended(n: int = 1, answer: str = "Answer {}.") -> Record:
    turn = record(n)
    turn.add("source", {"sources": [{"id": "s", "text": "é\u2028"}]})
    turn.add("message", {"delta": answer.format(n)})
    turn.add("citation", {"index": 1, "verified": "exact"})
    timings = {"ttft_ms": 1, "total_ms": 2}
    usage = {"input_tokens": 1, "output_tokens": 2}
    done = {"status": "completed", "cited": [1], "grounding": "full", "usage": usage, "timings": timings}
    turn.add("done", done)
    return turn


async def store(threads: Threads, n: int, *, replaces: str | None = None) -> None:
    await threads.begin_turn(record(n), WORKER, new_thread=n == 1, replaces=replaces)
    assert await threads.end_turn(ended(n), WORKER)


async def answers(threads: Threads) -> list[str]:
    return [turn.answer for turn in await threads.turns("thread")]


async def test_a_turn_comes_back_as_it_was_stored(database: Database) -> None:
    threads, turn = Threads(database), ended()
    await threads.begin_turn(record(), WORKER, new_thread=True)
    turn.created_at = (await threads.turns("thread"))[0].created_at
    assert await threads.end_turn(turn, WORKER)

    assert await threads.turn("run-1") == turn
    assert await threads.turns("thread") == [turn]


async def test_history_is_what_ended_before_with_an_answer_in_order(database: Database) -> None:
    threads = Threads(database)
    places = [await threads.begin_turn(record(n), WORKER, new_thread=n == 1) for n in (1, 2, 3, 4)]
    await threads.end_turn(ended(2), WORKER)
    await threads.end_turn(ended(1), WORKER)
    silent = record(3)
    silent.status = "stopped"
    await threads.end_turn(silent, WORKER)
    await threads.end_turn(ended(4), WORKER)

    history = await threads.history("thread")
    said = [(message.type, message.text) for message in to_messages(history, places[3].history_end)]
    both = [("human", "Question 1?"), ("ai", "Answer 1."), ("human", "Question 2?"), ("ai", "Answer 2.")]
    assert said == both
    assert [message.text for message in to_messages(history, places[1].history_end)] == ["Question 1?", "Answer 1."]


async def test_a_turn_waits_for_those_before_it(database: Database) -> None:
    threads = Threads(database)
    first, second, third = [await threads.begin_turn(record(n), WORKER, new_thread=n == 1) for n in (1, 2, 3)]
    assert (await threads.before("thread", first))[0] == []
    assert (await threads.before("thread", third))[0] == ["run-1", "run-2"]
    await threads.end_turn(ended(1), WORKER)
    assert await threads.before("thread", second) == ([], 1)
    assert await threads.running("thread") == ["run-2", "run-3"]


async def test_a_busy_thread_rejects_where_that_is_the_rule_and_its_queue_is_bounded(database: Database) -> None:
    threads = Threads(database)
    await threads.begin_turn(record(1), WORKER, new_thread=True)
    with pytest.raises(ThreadBusy):
        await threads.begin_turn(record(2), WORKER, new_thread=False, on_busy="reject")
    for n in range(2, MAX_WAITING + 1):
        await threads.begin_turn(record(n), WORKER, new_thread=False)
    with pytest.raises(ThreadBusy):
        await threads.begin_turn(record(99), WORKER, new_thread=False)
    assert len(await threads.turns("thread")) == MAX_WAITING


async def test_of_many_at_once_one_is_taken_where_a_busy_thread_rejects(database: Database) -> None:
    threads = Threads(database)
    await store(threads, 1)

    async def begin(n: int) -> bool:
        try:
            await threads.begin_turn(record(n), WORKER, new_thread=False, on_busy="reject")
        except ThreadBusy:
            return False
        return True

    assert sum(await asyncio.gather(*(begin(n) for n in range(2, 10)))) == 1


async def test_many_questions_at_once_are_all_stored(database: Database) -> None:
    threads = Threads(database)
    turns = [record(n, f"thread-{n}") for n in range(150)]
    await asyncio.gather(*(threads.begin_turn(turn, WORKER, new_thread=True) for turn in turns))
    assert len([turn for turn in turns if await threads.turn(turn.run_id)]) == 150


async def test_a_turn_takes_the_place_of_another_and_of_all_after_it_once_it_has_an_answer(database: Database) -> None:
    threads = Threads(database)
    for n in (1, 2, 3):
        await store(threads, n)
    place = await threads.begin_turn(record(4), WORKER, new_thread=False, replaces="message-2")
    seen = to_messages(await threads.history("thread"), place.history_end)
    assert [message.text for message in seen] == ["Question 1?", "Answer 1."]
    assert len(await threads.turns("thread")) == 4

    await threads.end_turn(ended(4), WORKER)
    assert await answers(threads) == ["Answer 1.", "Answer 4."]
    with pytest.raises(MessageNotFound):
        await threads.begin_turn(record(5), WORKER, new_thread=False, replaces="message-2")


async def test_a_turn_that_failed_replaces_nothing(database: Database) -> None:
    threads = Threads(database)
    await store(threads, 1)
    await threads.begin_turn(record(2), WORKER, new_thread=False, replaces="message-1")
    failed = record(2)
    failed.status = "failed"
    await threads.end_turn(failed, WORKER)
    assert await answers(threads) == ["Answer 1.", ""]


async def test_feedback_is_kept_with_its_turn_once_and_a_second_one_replaces_it(database: Database) -> None:
    threads = Threads(database)
    await store(threads, 1)
    await store(threads, 2)
    assert await threads.give_feedback("message-1", {"score": -1, "comment": "Too short \u2028 é"})
    assert [turn.feedback for turn in await threads.turns("thread")] == [
        {"score": -1, "comment": "Too short \u2028 é"},
        None,
    ]

    assert not await threads.give_feedback("message-1", {"score": -1, "comment": None})
    assert await threads.give_feedback("message-1", {"score": 1, "comment": None})
    found = await threads.turn("run-1")
    assert found is not None
    assert found.feedback == {"score": 1, "comment": None}


async def test_feedback_that_is_taken_back_is_erased(database: Database) -> None:
    threads = Threads(database)
    await store(threads, 1)
    await threads.give_feedback("message-1", {"score": -1, "comment": "private"})
    for _ in range(2):
        await threads.take_feedback_back("message-1")
    assert [turn.feedback for turn in await threads.turns("thread")] == [None]
    query = "select feedback_comment, feedback_at from turns"
    row = await database.read(lambda connection: connection.exec_driver_sql(query).one())
    assert tuple(row) == (None, None)


async def test_feedback_given_while_the_answer_is_written_outlives_its_end(database: Database) -> None:
    threads = Threads(database)
    await threads.begin_turn(record(), WORKER, new_thread=True)
    await threads.give_feedback("message-1", {"score": 1, "comment": None})
    await threads.end_turn(ended(), WORKER)
    (turn,) = await threads.turns("thread")
    assert (turn.status, turn.feedback) == ("completed", {"score": 1, "comment": None})


async def test_feedback_leaves_with_a_turn_that_is_replaced_or_erased(database: Database) -> None:
    threads = Threads(database)
    await store(threads, 1)
    await threads.give_feedback("message-1", {"score": -1, "comment": "wrong"})
    await store(threads, 2, replaces="message-1")
    assert [turn.feedback for turn in await threads.turns("thread")] == [None]
    for gone in (threads.give_feedback("message-1", {"score": 1, "comment": None}), threads.take_feedback_back("nope")):
        with pytest.raises(MessageNotFound):
            await gone

    await threads.give_feedback("message-2", {"score": 1, "comment": None})
    await threads.delete("thread")
    with pytest.raises(MessageNotFound):
        await threads.take_feedback_back("message-2")


async def test_a_turn_of_a_deleted_thread_cannot_be_stored(database: Database) -> None:
    threads = Threads(database)
    await threads.begin_turn(record(1), WORKER, new_thread=True)
    assert await threads.delete("thread") == ["run-1"]

    assert not await threads.end_turn(ended(1), WORKER)
    assert await threads.turn("run-1") is None
    with pytest.raises(ThreadNotFound):
        await threads.begin_turn(record(2), WORKER, new_thread=False)
    assert await threads.turn("run-2") is None


async def test_turns_of_a_dead_process_have_failed_and_it_cannot_end_them_any_more(database: Database) -> None:
    threads, living, dead = Threads(database), Workers(database), Workers(database)
    await living.beat()
    await threads.begin_turn(record(1), living.id, new_thread=True)
    await threads.begin_turn(record(2), dead.id, new_thread=False)

    assert await threads.fail_orphans({"code": "server_restart", "message": "gone", "retryable": True}) == ["run-2"]
    found = await threads.turn("run-2")
    assert found is not None
    assert (found.status, found.last_event) == ("failed", ABANDONED_EVENT)
    assert not await threads.end_turn(ended(2), dead.id)
    assert await threads.end_turn(ended(1), living.id)


async def test_threads_of_another_owner_are_not_found(database: Database) -> None:
    mine, theirs = Threads(database), Threads(database, owner="someone-else")
    await mine.begin_turn(record(), WORKER, new_thread=True)

    assert await theirs.turn("run-1") is None
    assert await theirs.turns("thread") == []
    with pytest.raises(ThreadNotFound):
        await theirs.history("thread")
    assert await theirs.running("thread") == []
    assert await theirs.page(None, 10) == ([], None)
    for call in (theirs.thread("thread"), theirs.rename("thread", "x"), theirs.delete("thread")):
        with pytest.raises(ThreadNotFound):
            await call
    for call_for in (
        theirs.give_feedback("message-1", {"score": 1, "comment": None}),
        theirs.take_feedback_back("message-1"),
    ):
        with pytest.raises(MessageNotFound):
            await call_for
    assert (await mine.thread("thread")).title == "Question 1?"
    assert (await mine.turns("thread"))[0].feedback is None


async def test_a_database_that_has_gone_is_told_by_its_code(conversations: Settings) -> None:
    rename = "alter table turns rename to elsewhere"
    async with open_database(conversations) as database:
        await database.write(lambda connection: connection.exec_driver_sql(rename).close())
        with pytest.raises(DatabaseUnavailable):
            await Threads(database).turn("run-1")


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
