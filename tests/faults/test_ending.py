"""However a server ends, its readers and its threads are left in order."""

import asyncio
import json
import signal
import time

import pytest

from tests.acceptance.recorder import ACCEPTANCE, Measured, bar, many
from tests.faults.client import TERMINAL, Stream, ask, call, get, request
from tests.faults.conftest import ONE, TWO, Start
from tests.faults.faults import Faults, is_legal, nonce_in, nonce_of

LONG = "slow:400:0.05"
GRACE_S = 1


@pytest.mark.parametrize("kind", [ONE, TWO])
async def test_a_server_that_is_told_to_end_finishes_its_streams(
    start: Start, faults: Faults, measured: Measured, kind: str
) -> None:
    """F11: SIGTERM with streams open, and a second life on the same data."""
    measured.count = many(20, 60)
    with start(kind, shutdown_grace_s=GRACE_S) as server:
        faults.mark()
        streams = [await ask(server.address, faults.question(LONG)) for _ in range(measured.count)]
        hanging = await ask(server.address, faults.question("hang"))
        await asyncio.gather(*(stream.until("message") for stream in streams), hanging.until("source"))
        address = server.address
        told = time.monotonic()
        server.signal(signal.SIGTERM)
        refused = asyncio.create_task(_refused(address, faults.question(LONG)))
        ends = await asyncio.gather(*(stream.to_end() for stream in streams))
        last = await hanging.to_end()
        status = await asyncio.to_thread(server.wait, 30)
        seconds = time.monotonic() - told
        measured.note(exit_s=seconds, grace_s=GRACE_S, exit_status=status)
        assert status in (0, -signal.SIGTERM)
        assert seconds <= GRACE_S + bar(2)
        for stream, end in zip(streams, ends, strict=True):
            assert (end.event, end.data["status"]) == ("done", "stopped")
            assert end.data["answer"] == stream.text
        assert (last.event, last.data["code"]) == ("failed", "shutting_down")
        assert await refused == {"shutting_down", "not ready"}
        assert faults.finished == 0
        assert faults.open == 0
        assert "Traceback" not in server.log
        if server.shared and not ACCEPTANCE:
            return
        server.start()
        for stream, end in zip(streams, ends, strict=True):
            (turn,) = (await get(server.address, f"/v1/threads/{stream.thread_id}"))["turns"]
            assert (turn["status"], turn["answer"]) == ("stopped", end.data["answer"])


async def _refused(address: str, question: str) -> set[str]:
    """What new questions are told while the server ends, and whether it says that it is not ready."""
    codes: set[str] = set()
    while True:
        try:
            if (await call(address, "GET", "/readyz"))[0] == 503:
                codes.add("not ready")
            response = await request(address, "POST", "/v1/chat/stream", {"question": question})
            if response.status == 200:
                # That worker has not heard of it yet. Its answer would take until the end, so leave and ask again.
                await response.close()
            else:
                codes.add(json.loads(await response.body())["error"]["code"])
        except ConnectionRefusedError:
            return codes
        except (OSError, asyncio.IncompleteReadError):
            pass  # a worker with nothing left to do has gone, with the connections it had not taken yet
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", [ONE, TWO])
async def test_answers_end_within_the_grace_and_a_second_signal_ends_at_once(
    start: Start, faults: Faults, measured: Measured, kind: str
) -> None:
    """F11: answers that end by themselves within a long grace, then a second signal."""
    measured.count = many(5, 20)
    with start(kind, shutdown_grace_s=60) as server:
        endless = await ask(server.address, faults.question(LONG))
        streams = [await ask(server.address, faults.question("slow:20:0.1")) for _ in range(measured.count)]
        await asyncio.gather(*(stream.until("message") for stream in (endless, *streams)))
        workers = server.workers()
        server.signal(signal.SIGTERM)
        ends = await asyncio.gather(*(stream.to_end() for stream in streams))
        assert {end.data["status"] for end in ends} == {"completed"}
        assert await endless.until("message")
        # A worker with nothing left to do may have ended.
        assert any(map(_lives, workers))
        server.signal(signal.SIGTERM)
        told = time.monotonic()
        status = await asyncio.to_thread(server.wait, 30)
        measured.note(exit_after_second_signal_s=time.monotonic() - told)
        assert time.monotonic() - told <= bar(1)
        assert status == -signal.SIGTERM
        await endless.body()
        assert not [pid for pid in workers if _lives(pid)]
        assert await asyncio.to_thread(_falls_to_zero, faults)


@pytest.mark.parametrize("kind", [ONE, TWO] if ACCEPTANCE else [TWO])
async def test_a_killed_server_leaves_threads_that_go_on(
    start: Start, faults: Faults, measured: Measured, kind: str
) -> None:
    """F13: kill -9 in the middle of answers, then a restart."""
    measured.count = many(5, 40)
    with start(kind) as server:
        opened = [await ask(server.address, faults.question("say")) for _ in range(measured.count)]
        for first in opened:
            await first.to_end()
        questions = [faults.question(LONG) for _ in opened]
        streams = [
            await ask(server.address, question, thread_id=first.thread_id)
            for question, first in zip(questions, opened, strict=True)
        ]
        await asyncio.gather(*(stream.until("message") for stream in streams))
        server.kill()
        for stream in streams:
            await stream.body()
            assert not stream.clean
            assert not any(event.event in TERMINAL for event in stream.events)
        ready_s = server.start()
        measured.note(ready_s=ready_s)
        assert ready_s <= bar(10)
        await asyncio.gather(*(_goes_on(server.address, faults, stream) for stream in streams))
        server.wait_until(lambda: not server.active(), 5)


async def test_workers_end_in_order_when_their_supervisor_is_killed(
    start: Start, faults: Faults, measured: Measured
) -> None:
    """F13: kill -9 of the process that watches two workers."""
    measured.count = many(4, 20)
    with start(TWO, shutdown_grace_s=GRACE_S) as server:
        faults.mark()
        streams = [await ask(server.address, faults.question(LONG)) for _ in range(measured.count)]
        await asyncio.gather(*(stream.until("message") for stream in streams))
        workers = server.workers()
        server.signal(signal.SIGKILL)
        told = time.monotonic()
        ends = await asyncio.gather(*(stream.to_end() for stream in streams))
        assert {end.data["status"] for end in ends} == {"stopped"}
        await asyncio.to_thread(server.wait_until, lambda: not any(map(_lives, workers)), 20)
        measured.note(gone_s=time.monotonic() - told, grace_s=GRACE_S)
        assert faults.finished == 0


async def _goes_on(address: str, faults: Faults, broken: Stream) -> None:
    """The turn that was cut off has failed, and the thread takes another."""
    record = await get(address, f"/v1/runs/{broken.run_id}")
    assert (record["status"], record["error"]["code"]) == ("failed", "server_restart")
    again = await request(address, "GET", f"/v1/runs/{broken.run_id}/events", headers={"last-event-id": broken.last_id})
    end = await again.to_end()
    assert (end.event, end.data["code"]) == ("failed", "server_restart")
    question = faults.question("say")
    done = await (await ask(address, question, thread_id=broken.thread_id)).to_end()
    assert done.data["status"] == "completed"
    turns = (await get(address, f"/v1/threads/{broken.thread_id}"))["turns"]
    assert [turn["status"] for turn in turns] == ["completed", "failed", "completed"]
    prompts = [body for body in faults.prompts() if nonce_of(body) == nonce_in(question)]
    assert prompts
    assert all(is_legal(body) for body in prompts)


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _falls_to_zero(faults: Faults) -> bool:
    end = time.monotonic() + 5
    while faults.open and time.monotonic() < end:
        time.sleep(0.02)
    return faults.open == 0
