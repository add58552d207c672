"""What every event log promises, of one client and of several."""

import asyncio
import time

import anyio
import pytest

from server.eventlog import MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Entry, EventLog, LogEnded, LogFull, LogGone
from tests.server.eventlog.conftest import Logs

EVERY_BYTE = bytes(range(256)) * 2 + "\u2028 ünïcödé 漢字 \U0001f600".encode()


async def read_all(log: EventLog, run_id: str, after: int = 0) -> list[Entry]:
    """Everything past a number, until the log has ended."""
    found: list[Entry] = []
    while batch := await log.read(run_id, found[-1].number if found else after):
        found.extend(batch)
    return found


async def fill(log: EventLog, run_id: str, *data: bytes) -> list[Entry]:
    """A log that has ended, with one event for each of `data`."""
    assert await log.create(run_id, {})
    return [await log.append(run_id, "message", line, last=n == len(data)) for n, line in enumerate(data, 1)]


async def test_events_are_numbered_from_one_and_kept_byte_for_byte(logs: Logs) -> None:
    log = await logs.open()
    await log.create("a", {})

    size_bytes = 2 + len(EVERY_BYTE)
    whole = [
        Entry(1, "run", b"{}", 2),
        Entry(2, "message", EVERY_BYTE, size_bytes),
        Entry(3, "done", b"", size_bytes, last=True),
    ]

    assert await log.append("a", "run", b"{}") == whole[0]
    assert await log.append("a", "message", EVERY_BYTE) == whole[1]
    assert await log.size("a") == (2, False)
    assert await log.append("a", "done", b"", last=True) == whole[2]
    assert await read_all(log, "a") == whole
    assert await log.size("a") == (3, True)
    assert await log.position("a") == size_bytes


async def test_reading_goes_on_after_every_event(logs: Logs) -> None:
    log, other = await logs.open(), await logs.open()
    whole = await fill(log, "a", *(b"%d" % n for n in range(20)))

    for k in range(21):
        assert await read_all(other, "a", after=k) == whole[k:]


async def test_reading_past_the_newest_event_finds_the_log_gone(logs: Logs) -> None:
    log = await logs.open()
    await log.create("a", {})
    await log.append("a", "run", b"{}")

    with pytest.raises(LogGone):
        await log.read("a", 2)


async def test_a_run_id_is_claimed_once(logs: Logs) -> None:
    clients = [await logs.open() for _ in range(4)]
    claims = await asyncio.gather(*(clients[n % 4].create("a", {"worker": str(n)}) for n in range(20)))

    assert sorted(claims) == [False] * 19 + [True]
    assert await clients[0].header("a") == {"worker": str(claims.index(True))}


async def test_a_waiting_reader_in_another_process_gets_the_event_at_once(logs: Logs) -> None:
    log, other = await logs.open(), await logs.open()
    await log.create("a", {})
    delays: list[float] = []

    async def read() -> None:
        after = 0
        while batch := await other.read("a", after):
            delays.append(time.perf_counter() - float(batch[-1].data))
            after = batch[-1].number

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        for n in range(50):
            await anyio.sleep(0.01)
            await log.append("a", "message", str(time.perf_counter()).encode(), last=n == 49)

    assert len(delays) == 50
    assert sorted(delays)[25] < 0.02


async def test_an_event_between_looking_and_waiting_is_not_missed(logs: Logs) -> None:
    """Writer and reader take turns without a pause, so that appends fall on every moment of a read."""
    log, other = await logs.open(), await logs.open()
    await log.create("a", {})
    reading = asyncio.create_task(read_all(other, "a"))
    with anyio.fail_after(20):
        for n in range(300):
            await log.append("a", "message", b"%d" % n)
            for _ in range(n % 7):
                await asyncio.sleep(0)
        await log.append("a", "done", b"", last=True)
        entries = await reading

    assert [entry.number for entry in entries] == list(range(1, 302))


async def test_one_of_many_racing_ends_wins(logs: Logs) -> None:
    clients = [await logs.open(), await logs.open()]
    await clients[0].create("a", {})

    async def end(n: int) -> bool:
        try:
            for _ in range(n % 5):
                await clients[n % 2].append("a", "message", b"{}")
            await clients[n % 2].append("a", "done", b"%d" % n, last=True)
        except LogEnded:
            return False
        return True

    ends = await asyncio.gather(*(end(n) for n in range(50)))
    entries = await read_all(clients[0], "a")

    assert ends.count(True) == 1
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry.last for entry in entries] == [False] * (len(entries) - 1) + [True]
    assert entries[-1].data == b"%d" % ends.index(True)


async def test_an_ended_log_takes_no_event_and_keeps_its_readers_no_longer(logs: Logs) -> None:
    log, other = await logs.open(), await logs.open()
    await fill(log, "a", b"1", b"2")

    for client in (log, other):
        with pytest.raises(LogEnded):
            await client.append("a", "message", b"{}")
        with anyio.fail_after(1):
            assert not await client.read("a", 2)


async def test_a_dropped_log_wakes_its_readers(logs: Logs) -> None:
    log, other = await logs.open(), await logs.open()
    await log.create("a", {})
    await log.append("a", "run", b"{}")
    woken: list[float] = []

    async def read(client: EventLog) -> None:
        with pytest.raises(LogGone):
            await client.read("a", 1)
        woken.append(time.monotonic())

    async with anyio.create_task_group() as group:
        group.start_soon(read, log)
        group.start_soon(read, other)
        await anyio.sleep(0.1)
        dropped = time.monotonic()
        await log.drop("a")
    await other.drop("a")

    assert max(woken) - dropped < 0.5
    with pytest.raises(LogGone):
        await other.size("a")


async def test_a_dropped_log_can_begin_anew(logs: Logs) -> None:
    log, other = await logs.open(), await logs.open()
    await fill(log, "a", b"1", b"2")
    await other.read("a", 0)
    await log.drop("a")

    assert await other.create("a", {"worker": "2"})
    await other.append("a", "message", b"new", last=True)
    assert [entry.data for entry in await read_all(log, "a")] == [b"new"]


async def test_a_log_is_bounded_by_count_but_can_always_end(logs: Logs) -> None:
    log = await logs.open(max_run_events=3)
    await log.create("a", {})
    for _ in range(3):
        await log.append("a", "message", b"{}")
    for _ in range(2):
        with pytest.raises(LogFull):
            await log.append("a", "message", b"{}")

    assert (await log.append("a", "done", b"{}", last=True)).number == 4


async def test_a_log_is_bounded_by_bytes_but_can_always_end(logs: Logs) -> None:
    log = await logs.open(max_run_bytes=100)
    await log.create("a", {})
    await log.append("a", "message", b"x" * 99)
    with pytest.raises(LogFull):
        await log.append("a", "message", b"xx")
    await log.append("a", "message", b"x")

    assert (await log.append("a", "done", b"x" * 1000, last=True)).position == 1100
    assert await log.size("a") == (3, True)


async def test_a_batch_is_bounded_by_count_and_bytes(logs: Logs) -> None:
    log = await logs.open()
    await fill(log, "many", *[b"{}"] * (MAX_BATCH_EVENTS + 1))
    await fill(log, "large", *[b"x" * (MAX_BATCH_BYTES // 2)] * 2, b"x" * (MAX_BATCH_BYTES + 1), b"{}")

    assert len(await log.read("many", 0)) == MAX_BATCH_EVENTS
    assert len(await log.read("many", MAX_BATCH_EVENTS)) == 1
    assert [len(await log.read("large", after)) for after in range(4)] == [2, 1, 1, 1]


async def test_a_long_log_is_read_whole(logs: Logs) -> None:
    log, other = await logs.open(), await logs.open()
    await log.create("a", {})
    async with anyio.create_task_group() as group:

        async def write(lane: int) -> None:
            for _ in range(500):
                await log.append("a", "message", b"%d" % lane)

        for lane in range(20):
            group.start_soon(write, lane)
    await log.append("a", "done", b"", last=True)

    assert [entry.number for entry in await read_all(other, "a")] == list(range(1, 10_002))


async def test_two_hundred_readers_read_one_run(logs: Logs) -> None:
    log, other = await logs.open(), await logs.open()
    await log.create("a", {})
    readers = [asyncio.create_task(read_all((log, other)[n % 2], "a")) for n in range(200)]
    for n in range(20):
        await anyio.sleep(0.01)
        await log.append("a", "message", b"%d" % n, last=n == 19)
    with anyio.fail_after(20):
        whole = await asyncio.gather(*readers)

    assert all(entries == whole[0] for entries in whole)
    assert [entry.data for entry in whole[0]] == [b"%d" % n for n in range(20)]


async def test_logs_that_have_not_ended_are_known_with_their_headers(logs: Logs) -> None:
    log, other = await logs.open(), await logs.open()
    await log.create("a", {"worker": "1"})
    await other.create("b", {"worker": "2", "question": "Was ist größer?"})
    await fill(log, "ended", b"{}")
    await log.create("dropped", {})
    await log.drop("dropped")

    assert await log.running() == {"a": {"worker": "1"}, "b": {"worker": "2", "question": "Was ist größer?"}}
    assert await other.running() == await log.running()


async def test_an_ended_log_expires(logs: Logs) -> None:
    log = await logs.open(ttl_s=0.2)
    await log.create("running", {})
    await log.append("running", "run", b"{}")
    await fill(log, "ended", b"{}")
    assert await log.size("ended") == (1, True)
    await anyio.sleep(0.3)

    with pytest.raises(LogGone):
        await log.size("ended")
    assert await log.size("running") == (1, False)
    assert await log.create("ended", {})


async def test_an_unknown_log_is_gone_at_once(logs: Logs) -> None:
    log = await logs.open()
    for call in (
        log.read("a", 0),
        log.read("a", 7),
        log.header("a"),
        log.append("a", "run", b""),
        log.append("a", "done", b"", last=True),
        log.size("a"),
        log.position("a"),
    ):
        with anyio.fail_after(1), pytest.raises(LogGone):
            await call


async def test_an_event_log_that_answers_is_ready(logs: Logs) -> None:
    log = await logs.open()

    await log.ready()
