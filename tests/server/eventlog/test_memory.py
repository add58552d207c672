"""The event log in memory: waking, and what it forgets. The rest is in test_contract.py."""

import anyio

from server.eventlog import LogGone
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


async def test_the_log_of_a_running_run_is_kept_whatever_the_ended_ones_hold() -> None:
    clock = Clock()
    log = MemoryEventLog(max_ended_runs=0, max_ended_bytes=10, max_ended_age_s=1, clock=clock)
    await fill(log, "running", size_bytes=1000, end=False)
    clock.now = 1000
    await fill(log, "ended")

    assert [run_id for run_id in ("running", "ended") if await exists(log, run_id)] == ["running"]
