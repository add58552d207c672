"""The event log in memory: order, waiting, and what it forgets."""

import anyio
import pytest

from graph.errors import SettingsError
from server.eventlog import Entry, LogGone, open_event_log
from server.eventlog.memory import MemoryEventLog


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def fill(log: MemoryEventLog, run_id: str, size_bytes: int = 10, *, end: bool = True) -> None:
    await log.create(run_id, {})
    await log.append(run_id, "run", b"{}")
    await log.append(run_id, "done", b"x" * size_bytes, last=end)


async def exists(log: MemoryEventLog, run_id: str) -> bool:
    try:
        await log.size(run_id)
    except LogGone:
        return False
    return True


async def test_events_are_numbered_and_read_past_a_number() -> None:
    log = MemoryEventLog()
    await fill(log, "a")

    assert await log.read("a", 0) == [Entry(1, "run", b"{}"), Entry(2, "done", b"x" * 10)]
    assert await log.read("a", 1) == [Entry(2, "done", b"x" * 10)]
    assert await log.read("a", 2) == []
    assert await log.size("a") == (2, True)


async def test_a_run_id_is_claimed_once() -> None:
    log = MemoryEventLog()

    assert await log.create("a", {"question": "x"})
    assert not await log.create("a", {"question": "y"})
    assert await log.header("a") == {"question": "x"}


async def test_every_reader_that_waits_gets_the_next_event() -> None:
    log = MemoryEventLog()
    await log.create("a", {})
    got: list[int] = []

    async def read() -> None:
        after = 0
        while entries := await log.read("a", after):
            got.extend(entry.number for entry in entries)
            after = entries[-1].number

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(read)
        for n in range(5):
            await anyio.wait_all_tasks_blocked()
            await log.append("a", "message", b"{}", last=n == 4)
    assert sorted(got) == sorted([1, 2, 3, 4, 5] * 3)


async def test_a_reader_that_waits_learns_that_the_log_was_erased() -> None:
    log = MemoryEventLog()
    await log.create("a", {})
    async with anyio.create_task_group() as group:

        async def read() -> None:
            with pytest.raises(LogGone):
                await log.read("a", 0)

        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await log.drop("a")
    await log.drop("a")


async def test_the_oldest_ended_logs_go_when_there_are_too_many() -> None:
    log = MemoryEventLog(max_ended_runs=2)
    for run_id in "abcd":
        await fill(log, run_id)

    assert [run_id for run_id in "abcd" if await exists(log, run_id)] == ["c", "d"]


async def test_the_oldest_ended_logs_go_when_they_are_too_large() -> None:
    log = MemoryEventLog(max_ended_bytes=250)
    for run_id in "abcd":
        await fill(log, run_id, size_bytes=100)

    assert [run_id for run_id in "abcd" if await exists(log, run_id)] == ["c", "d"]


async def test_ended_logs_go_after_a_while() -> None:
    clock = Clock()
    log = MemoryEventLog(max_ended_age_s=60, clock=clock)
    await fill(log, "a")
    clock.now = 59
    await fill(log, "b")
    clock.now = 61

    assert [run_id for run_id in "ab" if await exists(log, run_id)] == ["b"]


async def test_the_log_of_a_running_run_is_kept_whatever_its_size_and_age() -> None:
    clock = Clock()
    log = MemoryEventLog(max_ended_runs=0, max_ended_bytes=10, max_ended_age_s=1, clock=clock)
    await fill(log, "running", size_bytes=1000, end=False)
    clock.now = 1000
    await fill(log, "ended")

    assert [run_id for run_id in ("running", "ended") if await exists(log, run_id)] == ["running"]


async def test_an_unknown_log_is_gone() -> None:
    log = MemoryEventLog()
    for call in (log.read("a", 0), log.header("a"), log.append("a", "run", b""), log.size("a")):
        with pytest.raises(LogGone):
            await call


async def test_an_event_log_is_opened_by_its_url() -> None:
    async with open_event_log("memory://") as log:
        assert await log.create("a", {})
    with pytest.raises(SettingsError, match="carrier-pigeon"):
        async with open_event_log("carrier-pigeon://"):
            pass
