"""Many at once and many in a row: nothing gets mixed up, lost or slow."""

import asyncio
import sqlite3
import statistics
import time
from contextlib import closing

import asyncpg

from tests.acceptance.recorder import ACCEPTANCE, Measured, bar, many
from tests.faults.client import ask, get
from tests.faults.faults import NONCE, Faults, is_legal, nonce_in
from tests.faults.processes import Server


async def test_parallel_streams_do_not_mix(server: Server, faults: Faults, measured: Measured) -> None:
    """L1: parallel streams, each with a marker of its own."""
    measured.count = many(25, 100)
    faults.mark()
    questions = [faults.question("marker:40:0.02") for _ in range(measured.count)]

    async def read(question: str) -> set[str]:
        stream = await ask(server.address, question)
        done = await stream.to_end()
        assert done.data["status"] == "completed", done
        assert done.data["answer"] == stream.text
        assert [event.number for event in stream.events] == list(range(1, len(stream.events) + 1))
        assert len(stream.text.split()) == 40
        return set(NONCE.findall(stream.raw.decode()))

    found = await asyncio.gather(*map(read, questions))
    assert found == [{nonce_in(question)} for question in questions]
    server.wait_until(lambda: faults.open == 0, 5)
    assert faults.finished == measured.count
    server.wait_until(lambda: not server.active(), 5)


async def test_threads_keep_their_turns(server: Server, faults: Faults, measured: Measured) -> None:
    """L2: threads side by side, turn after turn."""
    threads, turns = many(6, 20), many(4, 20)
    measured.count = threads * turns

    async def talk() -> None:
        thread_id, asked = None, []
        for _ in range(turns):
            question = faults.question("marker:5:0")
            stream = await ask(server.address, question, **({"thread_id": thread_id} if thread_id else {}))
            done = await stream.to_end()
            assert done.data["status"] == "completed", done
            thread_id = stream.thread_id
            asked.append(question)
        stored = (await get(server.address, f"/v1/threads/{thread_id}"))["turns"]
        assert [turn["question"] for turn in stored] == asked
        for turn in stored:
            assert set(NONCE.findall(turn["answer"])) == {nonce_in(turn["question"])}
            assert turn["status"] == "completed"

    await asyncio.gather(*(talk() for _ in range(threads)))
    assert all(is_legal(body) for body in faults.prompts())


async def test_a_long_thread_stays_fast_and_small(server: Server, faults: Faults, measured: Measured) -> None:
    """L6: one thread of many turns."""
    measured.count = many(20 if server.shared else 40, 200)
    seconds, prompt_chars, thread_id = [], [], None
    before_mb = await _database_mb(server)
    for _ in range(measured.count):
        question = faults.question("marker:60:0")
        began = time.monotonic()
        stream = await ask(server.address, question, **({"thread_id": thread_id} if thread_id else {}))
        done = await stream.to_end()
        seconds.append(time.monotonic() - began)
        assert done.data["status"] == "completed"
        thread_id = stream.thread_id
        (prompt,) = faults.calls(question)
        prompt_chars.append(sum(len(message["content"]) for message in prompt["messages"]))
    stored = (await get(server.address, f"/v1/threads/{thread_id}"))["turns"]
    assert len(stored) == measured.count
    early, late = statistics.median(seconds[6:13]), statistics.median(seconds[-7:])
    size_mb = await _database_mb(server) - before_mb
    measured.note(early_turn_ms=early * 1000, late_turn_ms=late * 1000, database_mb=size_mb)
    if ACCEPTANCE:  # a few turns on a machine that is busy with other tests tell nothing about time
        assert late <= 2 * early + bar(0.02), seconds
    assert size_mb <= 10 * measured.count / 200
    # The history's budget is 1,500 tokens, and a token of these words has at most six characters.
    assert max(prompt_chars) <= prompt_chars[0] + 6 * 1500


async def _database_mb(server: Server) -> float:
    """What the conversations take, without the journal that is written before them."""
    if server.shared:
        connection = await asyncpg.connect(server.env["CITESTREAM_DATABASE_URL"])
        size_bytes = await connection.fetchval("select pg_database_size(current_database())")
        await connection.close()
        return float(size_bytes / 2**20)
    with closing(sqlite3.connect(server.data_dir / "threads.db")) as database:
        ((pages,),) = database.execute("pragma page_count")
        ((page_bytes,),) = database.execute("pragma page_size")
    return float(pages * page_bytes / 2**20)
