"""The stream of a model's answer: further tries before its first word, and the limits that end it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace

import structlog
from langchain_core import exceptions as core
from langchain_core.callbacks import BaseCallbackManager
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, AnyMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.runnables import RunnableConfig, ensure_config
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from graph.errors import ModelError, ModelRateLimited, ModelTimeout, ModelUnavailable
from graph.events import event_streams, only_emitted, run_deadline, stop_event
from graph.metrics import model_pieces, upstream_open
from graph.models import provider_errors
from graph.settings import Settings
from graph.text_chunk import TextChunk, text_taker

log = structlog.get_logger(__name__)

TRIES = 3
"""Calls of a model for one answer; after its first word it is never called again."""
TRIES_WITHIN_S = 10.0
"""Seconds after the first call in which a further one may begin."""
CANCEL_AGAIN_S = 0.05
CHARS_PER_TOKEN = 16
"""More than the tokens of any answer have on average: about 4 in English prose, 3 in code, 1 in Chinese."""
COMPLETE_REASONS = frozenset({"stop", "end_turn", "STOP", "stop_sequence", "eos", "COMPLETE"})

_BACKOFF = wait_random_exponential(multiplier=0.5, max=4, min=0.1)
_closing: set["asyncio.Task[None]"] = set()
"""Tasks that end a model's stream; the event loop itself would let go of them."""


@dataclass(frozen=True)
class Limits:
    """How long a model may take, in seconds, and how much it may write.

    Text and thoughts count as content; empty pieces and comments of the protocol are no sign of life.
    """

    first_content_timeout_s: float
    """Until the first content, further tries included."""
    idle_timeout_s: float
    """Between two pieces of content."""
    deadline: float
    """When everything ends, by time.monotonic()."""
    max_output_tokens: int
    """A backstop for servers that ignore `max_tokens`; what obeys it is never cut.

    A server sends at least one token a piece, so an answer that obeys has at most as many pieces; pieces of a single
    character do not count, as gateways cut answers into those. Nor has it more than CHARS_PER_TOKEN times as many
    characters.
    """
    tries: int = TRIES

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The limits of an answer within the run that this is called in."""
        return cls(
            settings.first_content_timeout_s, settings.idle_timeout_s, deadline(settings), settings.max_output_tokens
        )


def deadline(settings: Settings) -> float:
    """When the run must be over, by time.monotonic(); without a server that says so, `run_timeout_s` from now."""
    of_run = run_deadline.get()
    return time.monotonic() + settings.run_timeout_s if of_run is None else of_run


@dataclass(frozen=True, slots=True)
class Piece:
    """What a model said at once."""

    text: str = ""
    reasoning: str = ""
    """What it thinks aloud."""
    message_id: str | None = None
    """The id that LangChain gave the message; pieces that came the short way have none."""
    usage: UsageMetadata | None = None
    finish_reason: str | None = None


class ModelStream:
    """The answer of a model while it comes; its attributes tell afterwards how it ended.

    `take` gets each piece as soon as it is there, in the task that reads the model: no queue, timer or change of task
    stands between the connection and whoever shows the text.
    """

    def __init__(self, limits: Limits, take: Callable[[Piece], None]) -> None:
        self.stopped = False
        """Somebody ended it early."""
        self.cut = False
        """It was longer than allowed."""
        self.finish_reason: str | None = None
        """Why the model ended, in its provider's words; None when it did not say."""
        self._limits = limits
        self._take = take
        self._taking = True
        self._spoke = False
        self._silence_ends = time.monotonic() + limits.first_content_timeout_s
        self._texts = self._chars = 0
        self._ways: Counter[str] = Counter()
        self._failure: Exception | None = None
        self._ended = asyncio.Event()

    @property
    def complete(self) -> bool:
        """Whether the model said that its answer is whole."""
        return self.finish_reason in COMPLETE_REASONS

    async def end(self) -> None:
        """Wait for the end, a stop or the limit of output. Raises a ModelError when the model fails.

        Nothing is taken after it has returned or raised.
        """
        try:
            while not self._ended.is_set():
                if (left := self._left()) <= 0:
                    raise self._timeout()
                # Silence that begins now ends no earlier than that: pieces set no timer.
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, self._limits.idle_timeout_s)):
                        await self._ended.wait()
        finally:
            self._taking = False
        if self._failure is not None and not self.stopped:
            raise self._failure

    def stop(self) -> None:
        """Take nothing more; nobody waits for a model that takes its time to end."""
        self.stopped = True
        self._taking = False
        self._ended.set()

    async def pump(self, model: BaseChatModel, messages: Sequence[AnyMessage]) -> None:
        """Read the model to its end; whoever cancels this closes the model's connection."""
        budget_s = min(TRIES_WITHIN_S, self._left())
        retrying = AsyncRetrying(
            retry=retry_if_exception(self._may_try_again),
            stop=stop_after_attempt(self._limits.tries) | stop_before_delay(budget_s),
            wait=_pause_s,
            before_sleep=_log_try,
            reraise=True,
        )
        try:
            with upstream_open.track_inprogress():
                await retrying(self._try, model, messages)
        except Exception as exc:  # noqa: BLE001  # `end` raises it
            self._failure = self._failure or exc
        finally:
            self._ended.set()
            for way, number in self._ways.items():
                model_pieces.labels(way).inc(number)

    async def _try(self, model: BaseChatModel, messages: Sequence[AnyMessage]) -> None:
        """Call the model once. What comes before content is held back, so that a try that fails leaves nothing."""
        held: list[Piece] = []
        callbacks = _callbacks()
        config: RunnableConfig | None = None if callbacks is None else {"callbacks": callbacks}
        if callbacks is not None and not callbacks.handlers:
            text_taker.set(lambda texts: self._add(Piece("".join(texts)), texts, held, "short"))
        with provider_errors():
            async with aclosing(model.astream(list(messages), config)) as chunks:  # type: ignore[type-var]  # a generator
                async for chunk in chunks:
                    way = "joined" if isinstance(chunk, TextChunk) else "single"
                    if not self._add(_piece(chunk), _texts(chunk), held, way):
                        break
        self._give(held)

    def _add(self, piece: Piece, texts: Sequence[str], held: list[Piece], way: str) -> bool:
        """Add a piece with these texts, as far as they are within the limit; whether the model may go on.

        `way` is how they came (graph/metrics.py).
        """
        if self.cut:
            return False  # LangChain has a last word after a stream that was ended
        self._ways[way] += len(texts) - texts.count("")
        fitting = self._count_fitting(texts)
        self.cut = fitting < len(texts)
        if not self.cut:
            held.append(piece)
        elif fitting:
            held.append(replace(piece, text="".join(texts[:fitting])))
        if any(texts):
            self._silence_ends = time.monotonic() + self._limits.idle_timeout_s
        if self._spoke:
            self._give(held)
        return self._taking and not self.cut

    def _give(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            self.finish_reason = piece.finish_reason or self.finish_reason
            if self._taking:
                try:
                    self._take(piece)
                except Exception as exc:  # noqa: BLE001  # no fault of the model; `end` raises it
                    self._failure, self._taking = exc, False
        pieces.clear()

    def _count_fitting(self, texts: Sequence[str]) -> int:
        """How many of the next texts are still within the limit of output; empty ones are."""
        most = self._limits.max_output_tokens
        for number, text in enumerate(texts):
            if text:
                self._spoke = True
                self._texts += len(text) > 1
                self._chars += len(text)
                if self._texts > most or self._chars > CHARS_PER_TOKEN * most:
                    return number
        return len(texts)

    def _may_try_again(self, exc: BaseException) -> bool:
        if self._spoke or isinstance(exc.__cause__, core.ModelTimeoutError):
            return False
        return isinstance(exc, ModelRateLimited | ModelUnavailable)

    def _left(self) -> float:
        return min(self._silence_ends, self._limits.deadline) - time.monotonic()

    def _timeout(self) -> ModelTimeout:
        if time.monotonic() >= self._limits.deadline:
            return ModelTimeout("the answer took too long. Ask for less, or raise CITESTREAM_RUN_TIMEOUT_S.")
        if self._spoke:
            return ModelTimeout("the model fell silent. Try again, or raise CITESTREAM_IDLE_TIMEOUT_S.")
        return ModelTimeout(
            "the model did not begin to answer in time. Try again, or raise CITESTREAM_FIRST_CONTENT_TIMEOUT_S."
        )


@asynccontextmanager
async def open_model_stream(
    model: BaseChatModel, messages: Sequence[AnyMessage], limits: Limits, take: Callable[[Piece], None]
) -> AsyncIterator[ModelStream]:
    """Call the model in a task of its own, and `take` its pieces there; await `end()` within the block.

    Leaving closes the model's connection, whatever the reason. A run that is stopped already, or has no time left,
    does not call it.
    """
    stream = ModelStream(limits, take)
    stop = stop_event.get()
    if stop is not None and stop.is_set():
        stream.stop()
    if stream.stopped or limits.deadline <= time.monotonic():
        yield stream
        return
    tasks = [asyncio.create_task(stream.pump(model, messages))]
    if stop is not None:
        tasks.append(asyncio.create_task(_stop_when_set(stop, stream, tasks[0])))
    try:
        yield stream
    finally:
        closing = asyncio.create_task(_end(tasks))
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)
        await asyncio.shield(closing)  # goes on when this node is cancelled meanwhile


async def _stop_when_set(stop: asyncio.Event, stream: ModelStream, pump: "asyncio.Task[None]") -> None:
    await stop.wait()
    if not pump.done():
        stream.stop()
        await _end([pump])


async def _end(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Cancel tasks until they are done: Python 3.11's `asyncio.wait_for`, which HTTP clients use, can swallow one."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=CANCEL_AGAIN_S)


def _callbacks() -> BaseCallbackManager | None:
    """The callbacks without those that make LangChain's events, where nobody takes these; tracers stay.

    They would be told of each piece, in a task of its own. None where all callbacks are to be told.
    """
    if not only_emitted.get():
        return None
    callbacks = ensure_config().get("callbacks")
    if not isinstance(callbacks, BaseCallbackManager):
        return None
    callbacks = callbacks.copy()
    for handler in event_streams(callbacks):
        callbacks.remove_handler(handler)
    return callbacks


def _piece(chunk: AIMessageChunk) -> Piece:
    return Piece(
        text=str(chunk.text),
        reasoning=chunk.additional_kwargs.get("reasoning_content") or "",
        message_id=chunk.id,
        usage=chunk.usage_metadata,
        finish_reason=_finish_reason(chunk),
    )


def _texts(chunk: AIMessageChunk) -> Sequence[str]:
    """What counts as content: the pieces that its server sent, thoughts as well, wherever a provider puts them."""
    if isinstance(chunk, TextChunk):
        return chunk.texts
    blocks = [chunk.content] if isinstance(chunk.content, str) else chunk.content
    found = [block if isinstance(block, str) else block.get(block.get("type", "")) for block in blocks]
    found.append(chunk.additional_kwargs.get("reasoning_content"))
    return ["".join(part for part in found if isinstance(part, str))]


def _finish_reason(piece: AIMessageChunk) -> str | None:
    metadata = piece.response_metadata
    reason = metadata.get("finish_reason") or metadata.get("stop_reason") or metadata.get("done_reason")
    return reason if isinstance(reason, str) else None


def _pause_s(state: RetryCallState) -> float:
    """A random pause that grows with the tries, and is never shorter than the provider asks for."""
    exc = state.outcome.exception() if state.outcome is not None else None
    asked = exc.retry_after_s if isinstance(exc, ModelError) else None
    return max(_BACKOFF(state), asked or 0)


def _log_try(state: RetryCallState) -> None:
    exc = state.outcome.exception() if state.outcome is not None else None
    code = exc.code if isinstance(exc, ModelError) else None
    log.info("model_called_again", code=code, tries=state.attempt_number, wait_s=round(state.upcoming_sleep, 2))
