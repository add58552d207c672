"""The stream of a model's answer, which ends when it is stopped, when the model stays silent, or when time is up."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, AnyMessage

from graph.errors import ModelTimeout
from graph.events import stop_event
from graph.models import provider_errors

CANCEL_AGAIN_S = 0.05


@dataclass(frozen=True)
class Limits:
    """How long a model may take, in seconds: between two pieces, and until `deadline` (time.monotonic())."""

    idle_timeout_s: float
    deadline: float


class ModelStream:
    """Iterate to get the pieces of the answer; `stopped` tells afterwards whether somebody ended it early."""

    def __init__(self, limits: Limits) -> None:
        self.stopped = False
        self._limits = limits
        # Unbounded, as a model's answer is: its length is limited by the tokens asked for.
        self._pieces: asyncio.Queue[AIMessageChunk | Exception | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[AIMessageChunk]:
        """Yield pieces. Raises a ModelError when the model fails, stays silent or runs out of time."""
        while True:
            piece = await self._next()
            if piece is None:
                return
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def _next(self) -> AIMessageChunk | Exception | None:
        if not self._pieces.empty():
            return self._pieces.get_nowait()
        left = self._limits.deadline - time.monotonic()
        try:
            async with asyncio.timeout(min(self._limits.idle_timeout_s, max(left, 0))):
                return await self._pieces.get()
        except TimeoutError:
            raise ModelTimeout("the model fell silent. Try again, or raise CITESTREAM_IDLE_TIMEOUT_S.") from None

    async def pump(self, model: BaseChatModel, messages: Sequence[AnyMessage]) -> None:
        """Read the model to its end; whoever cancels this closes the model's connection."""
        try:
            with provider_errors():
                async with aclosing(model.astream(list(messages))) as chunks:  # type: ignore[type-var]  # a generator
                    async for chunk in chunks:
                        self._pieces.put_nowait(chunk)
        except Exception as exc:  # noqa: BLE001  # handed on to the reader, who raises it
            self._pieces.put_nowait(exc)
        finally:
            self._pieces.put_nowait(None)


@asynccontextmanager
async def open_model_stream(
    model: BaseChatModel, messages: Sequence[AnyMessage], limits: Limits
) -> AsyncIterator[ModelStream]:
    """Call the model in a task of its own; leaving closes its connection, whatever the reason."""
    stream = ModelStream(limits)
    pump = asyncio.create_task(stream.pump(model, messages))
    stop = stop_event.get()
    watcher = asyncio.create_task(_stop_when_set(stop, stream, pump)) if stop is not None else None
    try:
        yield stream
    finally:
        if watcher is not None:
            await _end(watcher)
        await _end(pump)


async def _stop_when_set(stop: asyncio.Event, stream: ModelStream, pump: "asyncio.Task[None]") -> None:
    await stop.wait()
    if not pump.done():
        stream.stopped = True
        await _end(pump)


async def _end(task: "asyncio.Task[None]") -> None:
    """Cancel a task until it is done: Python 3.11's `asyncio.wait_for`, which HTTP clients use, can swallow one."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN_S)
