"""citestream, and at its end a line on stderr about how long its event loop was held.

Usage: python -m bench.streaming.held serve …

A timer rings every 5 ms; what it is late is what something held the loop for, or what the machine gave to others.
"""

import asyncio
import json
import statistics
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

from citestream.cli import main
from server import serve
from server.app import open_state
from server.state import AppState

EVERY_S = 0.005


@asynccontextmanager
async def watched(*arguments: Any) -> AsyncGenerator[AppState]:
    """The state of the app, with the loop watched as long as it is open."""
    late_ms: list[float] = []
    loop = asyncio.get_running_loop()

    async def ring() -> None:
        while True:
            due = loop.time() + EVERY_S
            await asyncio.sleep(EVERY_S)
            late_ms.append((loop.time() - due) * 1000)

    async with open_state(*arguments) as state:
        ringing = asyncio.create_task(ring())
        yield state
        ringing.cancel()
    shares = statistics.quantiles(late_ms, n=1000)
    told = {"p50": shares[499], "p99": shares[989], "p99.9": shares[998], "most": max(late_ms)}
    line = {"held_ms": {name: round(ms, 1) for name, ms in told.items()}, "times": len(late_ms)}
    print(json.dumps(line), file=sys.stderr, flush=True)


if __name__ == "__main__":
    with patch.object(serve, "open_state", watched):
        main()
