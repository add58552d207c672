"""Coming back loses nothing and costs nothing, and one question is one run."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.acceptance.recorder import ACCEPTANCE, Measured, bar, many
from tests.faults.client import Event, Stream, ask, get, request, resume
from tests.faults.conftest import ONE, TWO, Start
from tests.faults.faults import Faults, is_legal, nonce_in, nonce_of
from tests.faults.processes import Server

LONG = "slow:400:0.05"
ALL = [("reject", ONE), ("reject", TWO), ("interrupt", ONE), ("interrupt", TWO)]


@pytest.fixture(scope="module", params=[ONE, TWO])
def server(request: pytest.FixtureRequest, start: Start) -> Iterator[Server]:
    """A server that waits for readers to come back, as it does by default."""
    with start(request.param, disconnect_grace_s=2) as running:
        yield running


def joined(events: list[Event]) -> bytes:
    return b"".join(event.frame for event in events)


async def test_a_reader_that_stays_away_ends_the_run_after_the_grace(
    server: Server, faults: Faults, measured: Measured
) -> None:
    """F1: readers that leave for good, default grace."""
    measured.count = many(10, 60)
    faults.mark()
    streams = await asyncio.gather(*(ask(server.address, faults.question(LONG)) for _ in range(measured.count)))
    await asyncio.gather(*(stream.until("message") for stream in streams))
    for stream in streams:
        stream.reset()
    left = time.monotonic()
    await asyncio.sleep(1.2)
    assert faults.open == measured.count
    server.wait_until(lambda: faults.open == 0, bar(1) + 0.8)
    measured.note(closed_after_s=time.monotonic() - left)
    assert faults.finished == 0
    server.wait_until(lambda: not server.active(), 5)
    for stream in streams:
        assert (await get(server.address, f"/v1/runs/{stream.run_id}"))["status"] == "stopped"


async def test_a_reader_that_comes_back_within_the_grace_finds_the_run_going_on(
    server: Server, faults: Faults, measured: Measured
) -> None:
    """F1: readers that come back within the default grace."""
    measured.count = many(10, 60)

    async def blink() -> None:
        question = faults.question("slow:50:0.1")
        stream = await ask(server.address, question)
        await stream.until("message")
        await stream.close()
        await asyncio.sleep(1)
        rest = await resume(server.address, stream.run_id, stream.last_id)
        done = await rest.to_end()
        assert done.data["status"] == "completed"
        assert done.data["answer"] == stream.text + rest.text
        assert len(faults.calls(question)) == 1

    await asyncio.gather(*(blink() for _ in range(measured.count)))
    server.wait_until(lambda: not server.active(), 5)


async def test_cut_at_every_event_once(server: Server, faults: Faults, measured: Measured) -> None:
    """F6: one reconnection, at each event."""
    words = many(8, 60)
    whole = await ask(server.address, faults.question(f"slow:{words}:0.02"))
    await whole.to_end()
    total = len(whole.events)
    measured.count = total

    async def cut(at: int) -> None:
        question = faults.question(f"slow:{words}:0.02")
        first = await ask(server.address, question, on_disconnect="continue")
        await first.read(at)
        first.reset()
        second = await resume(server.address, first.run_id, first.last_id)
        if at < total:
            await second.to_end()
        else:
            assert (second.status, await second.body()) == (204, b"")
        replay = await resume(server.address, first.run_id)
        await replay.to_end()
        assert joined(first.events + second.events) == joined(replay.events)
        assert replay.text == whole.text
        assert len(faults.calls(question)) == 1

    for batch in range(1, total + 1, 20):
        await asyncio.gather(*(cut(at) for at in range(batch, min(batch + 20, total + 1))))


async def test_cut_at_all_events_of_one_run(server: Server, faults: Faults, measured: Measured) -> None:
    """F6: a reconnection after every single event of a run."""
    measured.count = many(4, 20)

    async def read(post: bool) -> None:
        question = faults.question("slow:20:0.05")
        stream = await ask(server.address, question, on_disconnect="continue")
        events = list(await stream.read(1))
        while events[-1].event not in ("done", "failed"):
            await stream.close()
            stream = await _again(server, stream, events[-1], question if post else None)
            events += await stream.read(1)
        await stream.close()
        replay = await resume(server.address, str(events[0].data["run_id"]))
        await replay.to_end()
        assert joined(events) == joined(replay.events)
        assert len(faults.calls(question)) == 1

    await asyncio.gather(*(read(post=number % 2 == 0) for number in range(measured.count)))


async def _again(server: Server, stream: Stream, last: Event, question: str | None) -> Stream:
    """Come back after an event: by the events route, or by asking again with Last-Event-ID."""
    if question is None:
        return await resume(server.address, last.id.rpartition(":")[0], last.id)
    headers = {"last-event-id": last.id}
    return await request(server.address, "POST", "/v1/chat/stream", {"question": question}, headers=headers)


async def test_coming_back_after_the_end_starts_nothing(server: Server, faults: Faults, measured: Measured) -> None:
    """F8: a browser that comes back after the end is told to stop, by GET and by POST."""
    measured.count = 2
    question = faults.question("say")
    stream = await ask(server.address, question)
    await stream.to_end()
    headers = {"last-event-id": stream.last_id}
    got = await request(
        server.address, "GET", f"/v1/chat/stream?question={question.replace(' ', '+')}", headers=headers
    )
    assert (got.status, await got.body()) == (204, b"")
    posted = await request(server.address, "POST", "/v1/chat/stream", {"question": question}, headers=headers)
    assert (posted.status, await posted.body()) == (200, b"")
    assert len(faults.calls(question)) == 1


async def test_one_run_id_is_one_run(server: Server, faults: Faults, measured: Measured) -> None:
    """F9: the same run_id asked ten times in parallel."""
    measured.count = many(3, 20)
    for _ in range(measured.count):
        question, run_id = faults.question("slow:10:0.02"), f"run-{uuid.uuid4().hex}"
        streams = await asyncio.gather(*(ask(server.address, question, run_id=run_id) for _ in range(10)))
        await asyncio.gather(*(stream.to_end() for stream in streams))
        assert len({joined(stream.events) for stream in streams}) == 1
        assert streams[0].run_id == run_id
        assert len(faults.calls(question)) == 1
        turns = (await get(server.address, f"/v1/threads/{streams[0].thread_id}"))["turns"]
        assert [turn["run_id"] for turn in turns] == [run_id]
    threads = (await get(server.address, "/v1/threads?limit=100"))["items"]
    for thread in threads:
        assert (await get(server.address, f"/v1/threads/{thread['id']}"))["turns"]


async def test_questions_at_once_in_one_thread(server: Server, faults: Faults, measured: Measured) -> None:
    """F10: five questions at once in one thread, which are to wait."""
    measured.count = many(2, 10)
    await asyncio.gather(*(_five(server, faults, "queue") for _ in range(measured.count)))
    server.wait_until(lambda: not server.active(), 5)


@pytest.mark.parametrize(("on_busy", "kind"), ALL if ACCEPTANCE else ALL[1:3])
async def test_questions_at_once_in_one_thread_that_do_not_wait(
    start: Start, faults: Faults, measured: Measured, kind: str, on_busy: str
) -> None:
    """F10: five questions at once in one thread, which are not to wait."""
    measured.count = many(2, 10)
    with start(kind, on_busy=on_busy) as server:
        await asyncio.gather(*(_five(server, faults, on_busy) for _ in range(measured.count)))
        server.wait_until(lambda: not server.active(), 5)


async def _five(server: Server, faults: Faults, on_busy: str) -> None:
    first = await ask(server.address, faults.question("say"))
    await first.to_end()
    questions = [faults.question("marker:5:0.1") for _ in range(5)]
    streams = await asyncio.gather(
        *(ask(server.address, question, thread_id=first.thread_id) for question in questions)
    )
    taken = [stream for stream in streams if stream.status == 200]
    refused = [stream for stream in streams if stream.status != 200]
    done = [await stream.to_end() for stream in taken]
    for stream in refused:
        assert (stream.status, b"thread_busy" in await stream.body()) == (409, True)
    turns = (await get(server.address, f"/v1/threads/{first.thread_id}"))["turns"][1:]
    # Nothing that was taken is lost, and every turn has the outcome that its reader saw.
    outcomes = {stream.run_id: event.data["status"] for stream, event in zip(taken, done, strict=True)}
    assert {turn["run_id"]: turn["status"] for turn in turns} == outcomes
    if on_busy == "queue":
        assert list(outcomes.values()) == ["completed"] * 5
        _assert_one_after_the_other(faults, [turn["question"] for turn in turns])
    elif on_busy == "reject":
        assert (list(outcomes.values()), len(refused)) == (["completed"], 4)
    else:
        assert len(outcomes) == 5
        assert turns[-1]["status"] == "completed"
        assert set(outcomes.values()) <= {"completed", "stopped"}
    asked = {nonce_in(question) for question in questions}
    assert all(is_legal(body) for body in faults.prompts() if nonce_of(body) in asked)


def _assert_one_after_the_other(faults: Faults, questions: list[str]) -> None:
    """Each turn has seen the answer of the one before it."""
    for before, question in pairwise(questions):
        (prompt,) = faults.calls(question)
        history = prompt["messages"][:-1]
        assert any(f"{nonce_in(before)}" in message["content"] for message in history if message["role"] == "assistant")
