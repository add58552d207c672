"""Whoever leaves or stops ends the spending, whenever and however it happens."""

import asyncio
import random
import time
from collections import Counter

import pytest

from tests.acceptance.recorder import Measured, bar, many
from tests.faults.client import TERMINAL, Stream, ask, call, get, request, resume, send
from tests.faults.faults import Faults
from tests.faults.processes import Server, wait_until

SEED = 3
AT_ONCE = 20
LONG = "slow:400:0.05"


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
async def test_closing_at_any_moment_closes_the_model(
    server: Server, faults: Faults, measured: Measured, reset: bool
) -> None:
    """F1: connections closed at random moments, no grace."""
    measured.count = many(60, 120)
    chosen = random.Random(SEED)
    worst = 0.0
    fds: list[int] = []

    async def leave(number: int) -> None:
        body = {"question": faults.question(LONG)}
        if number % 2:
            stream = Stream(0, {}, *await send(server.address, "POST", "/v1/chat/stream", body))
        else:
            stream = await request(server.address, "POST", "/v1/chat/stream", body)
            await stream.until("source")
        await asyncio.sleep(chosen.uniform(0, 0.17))
        if reset:
            stream.reset()
        else:
            await stream.close()

    faults.mark()
    # At first connections to the stores are made, which are kept.
    for _ in range(1 + measured.count // AT_ONCE):
        await asyncio.gather(*map(leave, range(AT_ONCE)))
        worst = max(worst, server.wait_until(lambda: faults.open == 0, bar(1)))
        server.wait_until(lambda: not server.active(), bar(2))
        assert faults.open == 0
        fds.append(server.fds())
    measured.note(worst_close_s=worst, open_files=fds, model_calls=faults.opened, calls_that_finished=faults.finished)
    assert faults.finished == 0
    assert faults.closed_early == faults.opened > measured.count / 3
    leaked = AT_ONCE if server.shared else AT_ONCE // 2
    wait_until(lambda: server.fds() <= fds[1] + leaked, 5, lambda: f"{fds} files")
    assert await _statuses(server) <= {"completed", "stopped"}


async def test_a_run_that_is_to_continue_does_so_without_readers(
    server: Server, faults: Faults, measured: Measured
) -> None:
    """F1: everybody leaves a run that was asked with on_disconnect=continue."""
    measured.count = many(5, 20)
    faults.mark()

    async def leave() -> str:
        stream = await ask(server.address, faults.question("slow:10:0.1"), on_disconnect="continue")
        await stream.until("message")
        stream.reset()
        return stream.run_id

    runs = await asyncio.gather(*(leave() for _ in range(measured.count)))
    server.wait_until(lambda: not server.active(), 10)
    assert (faults.finished, faults.closed_early) == (measured.count, 0)
    for run_id in runs:
        assert (await get(server.address, f"/v1/runs/{run_id}"))["status"] == "completed"


async def test_leaving_an_answer_at_once_closes_the_model(server: Server, faults: Faults, measured: Measured) -> None:
    """F3: connections of the non-streaming call closed at random moments."""
    measured.count = many(10, 30)
    chosen = random.Random(SEED)
    faults.mark()

    async def leave(number: int) -> None:
        question = faults.question(LONG)
        stream = Stream(0, {}, *await send(server.address, "POST", "/v1/chat", {"question": question}))
        if number % 3:
            await asyncio.to_thread(wait_until, lambda: faults.calls(question), 20)
        await asyncio.sleep(chosen.uniform(0, 0.17))
        if number % 2:
            stream.reset()
        else:
            await stream.close()

    await asyncio.gather(*map(leave, range(measured.count)))
    worst = server.wait_until(lambda: faults.open == 0, bar(1))
    server.wait_until(lambda: not server.active(), bar(2))
    measured.note(worst_close_s=worst, model_calls=faults.opened, calls_that_finished=faults.finished)
    assert (faults.finished, faults.open) == (0, 0)
    assert faults.opened > measured.count / 3


async def test_stopping_again_changes_nothing(server: Server, faults: Faults, measured: Measured) -> None:
    """F5: a run stopped three times, and a finished one stopped."""
    measured.count = many(5, 30)
    worst = 0.0
    for _ in range(measured.count):
        faults.mark()
        stream = await ask(server.address, faults.question(LONG))
        await stream.until("message")
        asked = time.monotonic()
        stop = f"/v1/runs/{stream.run_id}/stop"
        answers = [await call(server.address, "POST", stop)]
        server.wait_until(lambda: faults.open == 0, bar(1))
        worst = max(worst, time.monotonic() - asked)
        assert time.monotonic() - asked < bar(1)
        answers += [await call(server.address, "POST", stop) for _ in range(2)]
        done = await stream.to_end()
        assert answers[0][0] == 200
        assert answers[0] == answers[1] == answers[2]
        assert answers[0][1]["status"] == done.data["status"] == "stopped"
        assert answers[0][1]["answer"] == done.data["answer"] == stream.text
        assert (faults.finished, faults.closed_early) == (0, 1)
    measured.note(worst_close_s=worst)
    stream = await ask(server.address, faults.question("say"))
    done = await stream.to_end()
    status, body = await call(server.address, "POST", f"/v1/runs/{stream.run_id}/stop")
    assert (status, body["status"], body["answer"]) == (200, "completed", done.data["answer"])


async def test_a_stop_that_races_the_end_has_one_outcome(server: Server, faults: Faults, measured: Measured) -> None:
    """F5: stops that race with the natural end."""
    measured.count = many(20, 50)
    chosen = random.Random(SEED)

    async def race() -> str:
        stream = await ask(server.address, faults.question("slow:5:0.01"))
        await stream.read(1)
        await asyncio.sleep(chosen.uniform(0, 0.25))
        stopped, done = await asyncio.gather(
            call(server.address, "POST", f"/v1/runs/{stream.run_id}/stop"), stream.to_end()
        )
        again = await call(server.address, "POST", f"/v1/runs/{stream.run_id}/stop")
        (turn,) = (await get(server.address, f"/v1/threads/{stream.thread_id}"))["turns"]
        assert stopped == again
        found = {stopped[1]["status"], done.data["status"], turn["status"]}
        assert len(found) == 1, found
        assert stopped[1]["answer"] == done.data["answer"] == turn["answer"]
        replay = await resume(server.address, stream.run_id)
        await replay.body()
        assert sum(event.event in TERMINAL for event in replay.events) == 1
        return str(found.pop())

    outcomes: Counter[str] = Counter()
    for _ in range(measured.count // 5):
        outcomes.update(await asyncio.gather(*(race() for _ in range(5))))
    measured.note(**outcomes)
    assert outcomes.keys() <= {"completed", "stopped"}
    server.wait_until(lambda: not server.active(), 5)


async def _statuses(server: Server) -> set[str]:
    """Statuses of all turns that are stored."""
    found: set[str] = set()
    cursor = ""
    while cursor is not None:
        page = await get(server.address, f"/v1/threads?limit=100{cursor}")
        for thread in page["items"]:
            turns = (await get(server.address, f"/v1/threads/{thread['id']}"))["turns"]
            found |= {turn["status"] for turn in turns}
        cursor = page["next"] and f"&cursor={page['next']}"
    return found
