"""Readers: where they end, and when they are dropped."""

from collections.abc import Sequence

import pytest

from server.eventlog import Entry, EventLog, EventsUnavailable
from server.eventlog.memory import MemoryEventLog
from server.reader import Reader


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


class CountingLog(MemoryEventLog):
    """Counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = 0
        self.reads = 0

    async def position(self, run_id: str) -> int:
        self.positions += 1
        return await super().position(run_id)

    async def read(self, run_id: str, after: int) -> Sequence[Entry]:
        self.reads += 1
        return await super().read(run_id, after)


class BrokenLog(MemoryEventLog):
    """Cannot be read any more."""

    async def read(self, run_id: str, after: int) -> Sequence[Entry]:
        raise EventsUnavailable("test")


def reader_of(log: EventLog, after: int = 0, *, max_lag_bytes: int = 1000) -> tuple[Reader, Counter]:
    on_drop = Counter()
    return Reader(log, "a", after, lambda: None, on_drop, max_lag_bytes=max_lag_bytes), on_drop


async def test_a_reader_reads_from_its_place_to_the_terminal_event() -> None:
    log = CountingLog()
    await log.create("a", {})
    for n in range(1200):
        await log.append("a", "message", b"%d" % n, last=n == 1199)
    reader, on_drop = reader_of(log, after=100)

    assert [entry.number async for entry in reader] == list(range(101, 1201))
    assert log.reads == 3
    assert (reader.dropped, on_drop.count) == (False, 0)


async def test_a_reader_that_keeps_up_costs_one_call_per_event() -> None:
    log = CountingLog()
    await log.create("a", {})
    reader, _ = reader_of(log)
    for n in range(200):
        await log.append("a", "message", b"x" * 100, last=n == 199)
        assert (await anext(reader)).number == n + 1

    assert (log.reads, log.positions) == (200, 1)
    with pytest.raises(StopAsyncIteration):
        await anext(reader)
    assert log.reads == 200


async def test_a_reader_slower_than_its_run_is_dropped_and_can_come_back() -> None:
    log = MemoryEventLog()
    await log.create("a", {})
    await log.append("a", "run", b"{}")
    reader, on_drop = reader_of(log)
    assert (await anext(reader)).number == 1
    for _ in range(101):
        await log.append("a", "message", b"x" * 10)
    await log.append("a", "done", b"{}", last=True)

    assert [entry async for entry in reader] == []
    assert (reader.dropped, on_drop.count) == (True, 1)
    with pytest.raises(StopAsyncIteration):
        await anext(reader)
    assert on_drop.count == 1
    again, on_drop = reader_of(log, after=1)
    assert [entry.number async for entry in again] == list(range(2, 104))
    assert (again.dropped, on_drop.count) == (False, 0)


async def test_a_reader_that_is_behind_within_its_bound_is_kept() -> None:
    log = MemoryEventLog()
    await log.create("a", {})
    await log.append("a", "run", b"{}")
    reader, on_drop = reader_of(log)
    await anext(reader)
    for n in range(100):
        await log.append("a", "message", b"x" * 10, last=n == 99)

    assert len([entry async for entry in reader]) == 100
    assert on_drop.count == 0


async def test_what_was_there_before_is_no_lag() -> None:
    """A reader of a long answer reads far more than its bound, while the run adds to it."""
    log = MemoryEventLog()
    await log.create("a", {})
    for _ in range(2000):
        await log.append("a", "message", b"x" * 1000)
    reader, on_drop = reader_of(log, max_lag_bytes=100_000)
    numbers = [(await anext(reader)).number]
    for n in range(100):
        await log.append("a", "message", b"x" * 1000, last=n == 99)
    numbers += [entry.number async for entry in reader]

    assert numbers == list(range(1, 2101))
    assert on_drop.count == 0


async def test_a_reader_that_dawdles_over_an_old_backlog_is_dropped_by_what_is_new() -> None:
    log = MemoryEventLog()
    await log.create("a", {})
    for _ in range(2000):
        await log.append("a", "message", b"x" * 1000)
    reader, on_drop = reader_of(log, max_lag_bytes=100_000)
    await anext(reader)
    for _ in range(101):
        await log.append("a", "message", b"x" * 1000)
    numbers = [entry.number async for entry in reader]

    assert 0 < len(numbers) < 2100
    assert on_drop.count == 1


async def test_a_reader_ends_when_the_log_is_gone_or_cannot_be_read() -> None:
    gone, broken = MemoryEventLog(), BrokenLog()
    await broken.create("a", {})
    for log in (gone, broken):
        reader, on_drop = reader_of(log)

        assert [entry async for entry in reader] == []
        assert (reader.dropped, on_drop.count) == (False, 0)


async def test_leaving_twice_counts_once() -> None:
    on_leave = Counter()
    reader = Reader(MemoryEventLog(), "a", 0, on_leave)
    reader.leave()
    reader.leave()

    assert on_leave.count == 1
