"""citestream, and at its end a line on stderr about how long its event loop was held.

Usage: python -m bench.streaming.held serve …

Told are the steps: how long each callback and each step of a task held the loop, waiting for Python's lock included (in
asyncio's own loop, as uvloop tells nobody); and how late a timer of 5 ms was, for which all goes first that is ready.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

from citestream.cli import main
from server import serve
from server.app import open_state
from server.state import AppState

EVERY_S = 0.005


def no_uvloop() -> Callable[[], asyncio.AbstractEventLoop]:
    """In place of the factory of uvicorn."""
    return asyncio.SelectorEventLoop


@asynccontextmanager
async def watched(*arguments: Any) -> AsyncGenerator[AppState]:
    """The state of the app, with the loop watched as long as it is open."""
    late_ms: list[float] = []
    held_ms: list[float] = []
    loop = asyncio.get_running_loop()
    run = asyncio.Handle._run

    def run_timed(handle: asyncio.Handle) -> None:
        began = time.perf_counter()
        run(handle)
        held_ms.append((time.perf_counter() - began) * 1000)

    async def ring() -> None:
        while True:
            due = loop.time() + EVERY_S
            await asyncio.sleep(EVERY_S)
            late_ms.append((loop.time() - due) * 1000)

    async with open_state(*arguments) as state:
        with patch.object(asyncio.Handle, "_run", run_timed):
            ringing = asyncio.create_task(ring())
            yield state
            ringing.cancel()
    line = {"step_ms": told(held_ms), "timer_late_ms": told(late_ms), "steps": len(held_ms)}
    print(json.dumps(line), file=sys.stderr, flush=True)


def told(values: Sequence[float]) -> dict[str, float]:
    """Quantiles."""
    shares = statistics.quantiles(values, n=1000)
    named = {"p50": shares[499], "p99": shares[989], "p99.9": shares[998], "most": max(values)}
    return {name: round(value, 2) for name, value in named.items()}


if __name__ == "__main__":
    with patch.object(serve, "open_state", watched), patch.object(serve, "auto_loop_factory", no_uvloop):
        main()
