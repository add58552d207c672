"""The model's stream by itself, over a model that does what a server cannot be made to do."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field

from graph.errors import ModelTimeout
from graph.events import stop_event
from graph.model_stream import Limits, Piece, open_model_stream
from tests.graph.asking import until

Content = str | list[str | dict[Any, Any]]


class Scripted(BaseChatModel):
    """Sends a list of pieces for each call. None in it fails, a number is a pause in seconds."""

    scripts: list[list[Content | float | None]]
    swallows: int = 0
    """Cancels that its last pause does not hear."""
    calls: int = 0
    closed: int = 0
    heard: list[float] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        script = self.scripts[self.calls]
        self.calls += 1
        try:
            for part in script:
                if part is None:
                    raise ConnectionError
                if isinstance(part, float):
                    await self._pause(part)
                else:
                    yield ChatGenerationChunk(message=AIMessageChunk(content=part))
        finally:
            self.closed += 1

    async def _pause(self, seconds: float) -> None:
        for _ in range(self.swallows):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(seconds)
            self.heard.append(time.monotonic())
        await asyncio.sleep(seconds)


@pytest.fixture(autouse=True)
def nobody_stops() -> Iterator[None]:
    token = stop_event.set(None)
    yield
    stop_event.reset(token)


def limits(**changed: Any) -> Limits:
    usual: dict[str, Any] = {"first_content_timeout_s": 5, "idle_timeout_s": 5, "max_output_tokens": 100}
    return Limits(deadline=time.monotonic() + 20, **{**usual, **changed})


async def read(model: BaseChatModel, **changed: Any) -> list[Piece]:
    pieces: list[Piece] = []
    async with open_model_stream(model, [HumanMessage("?")], limits(**changed), pieces.append) as stream:
        await stream.end()
    return pieces


async def test_a_try_that_failed_before_its_first_word_leaves_nothing() -> None:
    """The message's id is that of its first piece; the LangGraph server sends an answer twice when it is another's."""
    model = Scripted(scripts=[["", None], ["", "word"]])
    pieces = await read(model)
    assert "".join(piece.text for piece in pieces) == "word"
    assert len({piece.message_id for piece in pieces}) == 1
    assert (model.calls, model.closed) == (2, 2)


async def test_a_run_that_is_stopped_already_does_not_even_call_the_model() -> None:
    model = Scripted(scripts=[["word"]])
    stop = asyncio.Event()
    stop.set()
    stop_event.set(stop)
    pieces: list[Piece] = []
    async with open_model_stream(model, [HumanMessage("?")], limits(), pieces.append) as stream:
        await stream.end()
        assert stream.stopped
    assert pieces == []
    assert model.calls == 0


async def test_a_model_that_swallows_a_cancel_is_cancelled_again() -> None:
    model = Scripted(scripts=[["word", 5.0]], swallows=3)
    with pytest.raises(ModelTimeout):
        await read(model, idle_timeout_s=0.1)
    assert (len(model.heard), model.closed) == (3, 1)


async def test_a_stop_does_not_wait_for_a_model_that_swallows_cancels() -> None:
    model = Scripted(scripts=[["word", 5.0]], swallows=8)
    stop = asyncio.Event()
    stop_event.set(stop)
    async with open_model_stream(model, [HumanMessage("?")], limits(), lambda _: stop.set()) as stream:
        await stream.end()
        assert stream.stopped
        assert model.closed == 0
    assert model.closed == 1


async def test_a_fault_of_whoever_takes_the_pieces_is_not_the_models() -> None:
    model = Scripted(scripts=[["one", "two", 5.0]])
    taken: list[Piece] = []

    def take(piece: Piece) -> None:
        taken.append(piece)
        raise ValueError("mine")

    async with open_model_stream(model, [HumanMessage("?")], limits(), take) as stream:
        with pytest.raises(ValueError, match="mine"):
            await stream.end()
    assert ([piece.text for piece in taken], model.calls, model.closed) == (["one"], 1, 1)


async def test_what_comes_after_silence_was_given_up_is_not_taken() -> None:
    model = Scripted(scripts=[["one", 0.3, "two"]], swallows=1)
    pieces: list[Piece] = []
    async with open_model_stream(model, [HumanMessage("?")], limits(idle_timeout_s=0.1), pieces.append) as stream:
        with pytest.raises(ModelTimeout):
            await stream.end()
        await asyncio.sleep(1)
    assert [piece.text for piece in pieces] == ["one"]


async def test_a_node_that_is_cancelled_while_it_closes_the_stream_does_not_leave_it_open() -> None:
    model = Scripted(scripts=[["word", 5.0]], swallows=5)
    reading = asyncio.create_task(read(model))
    await until(lambda: model.calls == 1)
    await asyncio.sleep(0.05)
    for _ in range(2):
        reading.cancel()
        await asyncio.wait({reading}, timeout=0.01)
    assert reading.cancelled()
    assert model.closed == 0
    await until(lambda: model.closed == 1, 2)


@pytest.mark.parametrize(
    "thought", [[{"type": "thinking", "thinking": "hm"}], [{"type": "reasoning", "reasoning": "hm"}]]
)
async def test_thoughts_are_content_wherever_a_provider_puts_them(thought: Content) -> None:
    model = Scripted(scripts=[[thought, 0.2, thought, 0.2, "word"]])
    assert (await read(model, first_content_timeout_s=0.3, idle_timeout_s=0.3))[-2].text == "word"
