"""Everything at once for a while: nothing grows."""

import asyncio
import os
import random
import time
from collections import Counter

import pytest

from tests.acceptance.recorder import ACCEPTANCE, Measured, many
from tests.faults.client import ask, call, resume
from tests.faults.conftest import ONE, TWO, Start
from tests.faults.faults import Faults
from tests.faults.processes import Server, wait_until

SOAK_S = float(os.environ.get("CITESTREAM_SOAK_S", many(8, 600)))
WARM_UP = many(40, 300)
AT_ONCE = many(20, 60)
PER_SECOND = 5
GROWTH_MB = 30
SEED = 7


@pytest.mark.parametrize("kind", [ONE, TWO] if ACCEPTANCE else [ONE])
@pytest.mark.long
async def test_a_mixed_load_lets_nothing_grow(start: Start, faults: Faults, measured: Measured, kind: str) -> None:
    """L4: soak of asking, stopping, leaving and coming back."""
    chosen = random.Random(SEED)
    done: Counter[str] = Counter()
    # Ended runs are kept for those who come back, so that memory grows until the first of them expire.
    kept = {"events_url": "memory://?ttl_s=20"} if kind == ONE else {}
    with start(kind, disconnect_grace_s=1, **kept) as server:
        # The pools of the stores keep what the busiest moment needed: this one.
        await asyncio.gather(*(_asks(server, faults, 0) for _ in range(AT_ONCE)))
        await _load(server, faults, chosen, done, WARM_UP)
        await _idle(server)
        rss_mb, fds = server.rss_mb(), server.fds()
        warm = done.total()
        await _load(server, faults, chosen, done, round(SOAK_S * PER_SECOND))
        await _idle(server)
        grown_mb, grown_fds = server.rss_mb() - rss_mb, server.fds() - fds
        measured.count = done.total() - warm
        measured.note(
            soak_s=SOAK_S, rss_mb=rss_mb, grown_mb=grown_mb, open_files=fds, grown_files=grown_fds,
            leaked_runs=server.metrics()["leaked_runs"], **done,
        )  # fmt: skip
        assert grown_mb <= GROWTH_MB
        assert grown_fds <= (3 if ACCEPTANCE else 10) * len(server.workers())
        assert faults.open == 0
        assert not server.active()


async def _load(server: Server, faults: Faults, chosen: random.Random, done: Counter[str], count: int) -> None:
    """So many visitors, at an even pace."""
    doing = (_asks, _stops, _leaves, _resumes, _asks_at_once)
    async with asyncio.TaskGroup() as visitors:
        for _ in range(count):
            act = chosen.choice(doing)
            visitors.create_task(act(server, faults, chosen.uniform(0, 0.5)))
            done[act.__name__.removeprefix("_")] += 1
            await asyncio.sleep(1 / PER_SECOND if ACCEPTANCE else 0.5 / PER_SECOND)


async def _idle(server: Server) -> None:
    await asyncio.to_thread(server.wait_until, lambda: not server.active(), 15)
    settled = time.monotonic() + many(1, 10)
    await asyncio.to_thread(wait_until, lambda: time.monotonic() > settled, 60)


async def _asks(server: Server, faults: Faults, _pause_s: float) -> None:
    first = await ask(server.address, faults.question("marker:10:0.02"))
    assert (await first.to_end()).data["status"] == "completed"
    second = await ask(server.address, faults.question("say"), thread_id=first.thread_id)
    assert (await second.to_end()).data["status"] == "completed"


async def _asks_at_once(server: Server, faults: Faults, _pause_s: float) -> None:
    status, body = await call(server.address, "POST", "/v1/chat", {"question": faults.question("say")})
    assert (status, body["status"]) == (200, "completed")


async def _stops(server: Server, faults: Faults, pause_s: float) -> None:
    stream = await ask(server.address, faults.question("slow:100:0.05"))
    await stream.read(1)
    await asyncio.sleep(pause_s)
    await call(server.address, "POST", f"/v1/runs/{stream.run_id}/stop")
    assert (await stream.to_end()).data["status"] == "stopped"


async def _leaves(server: Server, faults: Faults, pause_s: float) -> None:
    stream = await ask(server.address, faults.question("slow:100:0.05"))
    await stream.read(1)
    await asyncio.sleep(pause_s)
    stream.reset()


async def _resumes(server: Server, faults: Faults, pause_s: float) -> None:
    stream = await ask(server.address, faults.question("slow:30:0.05"))
    await stream.read(1)
    await asyncio.sleep(pause_s)
    stream.reset()
    rest = await resume(server.address, stream.run_id, stream.last_id)
    done = await rest.to_end()
    assert (done.data["status"], done.data["answer"]) == ("completed", stream.text + rest.text)
