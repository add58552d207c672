"""kill -9 at every boundary of a node and at random moments: what was answered stays, what was not is marked."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.acceptance.recorder import ACCEPTANCE, Measured, bar, many
from tests.faults.client import Stream, ask, get, resume
from tests.faults.conftest import ONE, Start
from tests.faults.faults import Faults, is_legal, nonce_in, nonce_of
from tests.faults.processes import Server

NODES = ("condense", "retrieve", "cite_and_generate", "finalize")
BOUNDARIES = [(node, state) for node in NODES for state in ("start", "end")]
FEW = [("retrieve", "start"), ("finalize", "end")]
SEED = 5
AT_ONCE = 4
ANSWER_S = 0.6
"""About how long an answer takes here."""


@pytest.fixture(scope="module")
def server(start: Start) -> Iterator[Server]:
    with start(ONE) as running:
        yield running


@pytest.mark.long
async def test_killed_at_every_boundary_of_a_node(server: Server, faults: Faults, measured: Measured) -> None:
    """Crash matrix: kill -9 right after each node's start and end, and after the terminal event."""
    boundaries = BOUNDARIES * 3 if ACCEPTANCE else FEW
    measured.count = len(boundaries) + many(1, 3)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for boundary in boundaries:
        thread, answer = await _first_turn(server, faults)
        stream = await ask(server.address, faults.question("marker:8:0.02"), thread_id=thread)
        while (event := await stream.next()) is not None:
            if event.event == "status" and (event.data["node"], event.data["state"]) == boundary:
                break
        assert event is not None, boundary
        server.kill()
        await stream.body()
        slowest = max(slowest, server.start())
        outcomes[await _check(server, faults, thread, answer, stream)] += 1
    for _ in range(many(1, 3)):
        thread, answer = await _first_turn(server, faults)
        stream = await ask(server.address, faults.question("marker:8:0.02"), thread_id=thread)
        await stream.to_end()
        server.kill()
        slowest = max(slowest, server.start())
        assert await _check(server, faults, thread, answer, stream) == "completed"
        outcomes["completed"] += 1
    measured.note(slowest_start_s=slowest, **outcomes)
    assert slowest <= bar(10)


@pytest.mark.long
async def test_killed_at_random_moments(server: Server, faults: Faults, measured: Measured) -> None:
    """Crash matrix: kill -9 at random moments, four threads at a time."""
    measured.count = many(5, 50)
    chosen = random.Random(SEED)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for _ in range(measured.count):
        firsts = await asyncio.gather(*(_first_turn(server, faults) for _ in range(AT_ONCE)))
        answering = [asyncio.create_task(_second_turn(server.address, faults, thread)) for thread, _ in firsts]
        await asyncio.sleep(chosen.uniform(0, ANSWER_S))
        server.kill()
        streams = await asyncio.gather(*answering)
        slowest = max(slowest, server.start())
        for (thread, answer), stream in zip(firsts, streams, strict=True):
            outcomes[await _check(server, faults, thread, answer, stream)] += 1
    measured.note(slowest_start_s=slowest, threads_at_once=AT_ONCE, **outcomes)
    assert slowest <= bar(10)


async def _first_turn(server: Server, faults: Faults) -> tuple[str, str]:
    stream = await ask(server.address, faults.question("marker:3:0"))
    done = await stream.to_end()
    return stream.thread_id, str(done.data["answer"])


async def _second_turn(address: str, faults: Faults, thread: str) -> Stream | None:
    """A stream as far as it came; None when not even its head did."""
    try:
        stream = await ask(address, faults.question(f"marker:{random.randint(1, 20)}:0.02"), thread_id=thread)
    except (OSError, asyncio.IncompleteReadError):
        return None
    await stream.body()
    return stream


async def _check(server: Server, faults: Faults, thread: str, answer: str, stream: Stream | None) -> str:
    """What became of the turn that was running: nothing acknowledged is lost, nothing is half there."""
    turns = (await get(server.address, f"/v1/threads/{thread}"))["turns"]
    assert (turns[0]["status"], turns[0]["answer"]) == ("completed", answer)
    outcome = "never began"
    if stream is not None and stream.events:
        assert len(turns) == 2
    if len(turns) == 2:
        outcome = turns[1]["status"]
        assert outcome in ("completed", "failed")
        if outcome == "failed":
            record = await get(server.address, f"/v1/runs/{turns[1]['run_id']}")
            assert record["error"]["code"] == "server_restart"
            again = await resume(server.address, turns[1]["run_id"], f"{turns[1]['run_id']}:1")
            assert (await again.to_end()).data["code"] == "server_restart"
    if stream is not None and stream.events and stream.events[-1].event == "done":
        assert outcome == "completed"
        assert turns[1]["answer"] == stream.events[-1].data["answer"]
    elif outcome == "completed" and stream is not None:
        assert turns[1]["answer"].startswith(stream.text)
    question = faults.question("marker:3:0")
    done = await (await ask(server.address, question, thread_id=thread)).to_end()
    assert done.data["status"] == "completed"
    prompts = [body for body in faults.prompts() if nonce_of(body) == nonce_in(question)]
    assert prompts
    assert all(is_legal(body) for body in prompts)
    return outcome
