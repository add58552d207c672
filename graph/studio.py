"""The LangGraph server's entry: the graph without a checkpointer, as that server brings its own.

Importing this is cheap and touches no file; the resources are opened when the first run arrives, once a process.
"""

from contextlib import AsyncExitStack

import anyio

from graph.build import build_graph
from graph.resources import Resources, open_resources
from graph.settings import Settings


class _Opened:
    """Resources opened at first use and kept until the process ends."""

    def __init__(self) -> None:
        self._resources: Resources | None = None
        self._lock: anyio.Lock | None = None
        self._stack = AsyncExitStack()

    async def __call__(self) -> Resources:
        if self._resources is None:
            self._lock = self._lock or anyio.Lock()
            async with self._lock:
                if self._resources is None:
                    settings = await anyio.to_thread.run_sync(Settings.load)
                    self._resources = await self._stack.enter_async_context(open_resources(settings))
        return self._resources


graph = build_graph(_Opened())
