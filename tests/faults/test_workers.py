"""One of two workers is killed: its runs are told to have failed, the other's go on, and a new one comes."""

import asyncio
import os
import signal
import time

import asyncpg

from tests.acceptance.recorder import Measured, bar, many
from tests.faults.client import TERMINAL, Event, Stream, ask, call, get, resume
from tests.faults.conftest import TWO, Start
from tests.faults.faults import Faults
from tests.faults.processes import Server

AT_ONCE = 12
PATIENCE_S = 30


async def test_the_death_of_a_worker_costs_its_own_runs_only(start: Start, faults: Faults, measured: Measured) -> None:
    """Owner's death: kill -9 of one of two workers while both answer and everybody's readers come back."""
    measured.count = many(1, 15)
    failed = completed = 0
    slowest = 0.0
    # The grace is longer than the pause of readers that were cut off and of those that wait for a new worker.
    with start(TWO, disconnect_grace_s=10) as server:
        for _ in range(measured.count):
            questions = [faults.question("slow:80:0.05") for _ in range(AT_ONCE)]
            streams = await asyncio.gather(*(ask(server.address, question) for question in questions))
            await asyncio.gather(*(stream.until("message") for stream in streams))
            owners = await _owners(server)
            victim = owners[streams[0].run_id]
            os.kill(victim, signal.SIGKILL)
            killed = time.monotonic()
            ends = await asyncio.gather(*(_follow(server, stream) for stream in streams))
            for question, stream, (events, at) in zip(questions, streams, ends, strict=True):
                end = events[-1]
                if owners[stream.run_id] == victim:
                    assert (end.event, end.data["code"]) == ("failed", "server_restart"), end
                    slowest = max(slowest, at - killed)
                    failed += 1
                else:
                    assert (end.event, end.data["status"]) == ("done", "completed"), end
                    completed += 1
                await _check_log(server, stream.run_id, events)
                assert len(faults.calls(question)) == 1
            await asyncio.to_thread(server.wait_until, lambda: len(server.workers()) == 2, 20)
            await asyncio.to_thread(server.wait_until, lambda: not server.active(), 20)
            assert victim not in server.workers()
            assert (await call(server.address, "GET", "/readyz"))[0] == 200
            done = await (await ask(server.address, faults.question("say"))).to_end()
            assert done.data["status"] == "completed"
    measured.note(failed=failed, completed=completed, slowest_failed_s=slowest)
    assert failed >= measured.count
    assert completed
    assert slowest <= bar(10)


async def _owners(server: Server) -> dict[str, int]:
    """The process that answers each run."""
    connection = await asyncpg.connect(server.env["CITESTREAM_DATABASE_URL"])
    try:
        rows = await connection.fetch("select run_id, pid from turns join workers on workers.id = turns.worker")
    finally:
        await connection.close()
    return {row["run_id"]: row["pid"] for row in rows}


async def _follow(server: Server, stream: Stream) -> tuple[list[Event], float]:
    """Read to the terminal event, coming back as often as need be; when it came."""
    events = list(stream.events)
    end = time.monotonic() + PATIENCE_S
    while True:
        while (event := await stream.next()) is not None:
            events.append(event)
        await stream.close()
        if events[-1].event in TERMINAL:
            return events, time.monotonic()
        assert time.monotonic() < end, [event.event for event in events][-3:]
        await asyncio.sleep(0.2)
        try:
            stream = await resume(server.address, stream_run(events), events[-1].id)
        except (OSError, asyncio.IncompleteReadError):
            continue
        assert stream.status == 200, (stream.status, await stream.body())


def stream_run(events: list[Event]) -> str:
    return str(events[0].data["run_id"])


async def _check_log(server: Server, run_id: str, events: list[Event]) -> None:
    """What was read is gapless, and the log has one terminal event; the record says the same."""
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    replay = await resume(server.address, run_id)
    await replay.to_end()
    assert [event.frame for event in replay.events] == [event.frame for event in events]
    record = await get(server.address, f"/v1/runs/{run_id}")
    assert record["status"] == events[-1].data.get("status", "failed")
