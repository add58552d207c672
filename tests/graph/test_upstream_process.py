"""tests/upstream.py as a process of its own, for tests that look at it from outside."""

import asyncio
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.graph.asking import ask, openai
from tests.graph.conftest import OpenWith
from tests.upstream import Upstream

ROOT = Path(__file__).parents[2]


async def test_cross_talk_can_be_looked_for_from_outside(open_with: OpenWith) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.upstream", "--port", "0", stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    address = (await process.stdout.readline()).decode().strip()
    upstream = Upstream(port=int(address.split(":")[2].partition("/")[0]))
    try:
        async with open_with(**openai(upstream, "marker:20:0.01")) as resources:
            nonces = [f"nonce-{number:03}" for number in range(10)]
            runs = await asyncio.gather(*(ask(resources, f"Where does the fox sleep? {nonce}") for nonce in nonces))
        for nonce, run in zip(nonces, runs, strict=True):
            assert run.answer == "".join(f"{nonce}-{number} " for number in range(20))
        stats = await asyncio.to_thread(get, f"http://127.0.0.1:{upstream.port}/stats")
        assert stats == {
            "requests": 10, "opened": 10, "finished": 10, "closed_early": 0, "open": 0, "words_sent": 200
        }  # fmt: skip
        assert len(await asyncio.to_thread(get, f"http://127.0.0.1:{upstream.port}/requests")) == 10
    finally:
        process.kill()
        await process.communicate()


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)
