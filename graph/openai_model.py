"""OpenAI's protocol as vLLM, Ollama, llama.cpp, DeepSeek and others speak it: ChatOpenAI that reads plain text cheaply.

langchain-openai does all it does well: settings, keys, the request, errors, and every chunk that holds more than text.
Of a stream's plain text it makes four models a token, which is most of what a token costs; that text is taken out of
the response here, all that one read brought at once. `OpenAICompatible` is imported late: langchain-openai takes a
second.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import aiohttp
import httpx2
import openai
import orjson
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI
from openai.types.chat import ChatCompletionChunk

from graph.metrics import model_requests
from graph.openai_http import CompletionRequests, is_proxied
from graph.server_sent_events import EventData
from graph.text_chunk import TextChunk, text_taker

DRAIN_S = 0.1
"""How long to wait for the end of a body whose events have ended, as openai does: then its connection is used again."""
BROKEN = (httpx2.TransportError, aiohttp.ClientError, OSError)
"""What a connection that breaks raises."""
_EVENT_STREAM = "text/event-stream"
_OF_THE_CALL = frozenset({"extra_headers", "extra_query", "extra_body", "timeout"})
"""Parts of a payload that are no part of the request's body."""


class Timeout(openai.Timeout):
    """The timeout of openai's HTTP client, with a hash: by it langchain-openai keeps one client for equal models."""

    def __hash__(self) -> int:
        return hash((self.connect, self.read, self.write, self.pool))


class _Client(openai.DefaultAioHttpClient):
    """openai's client over aiohttp, whose transport calls a refused or dropped connection a timeout."""

    async def send(self, *args: Any, **kwargs: Any) -> httpx2.Response:
        try:
            return await super().send(*args, **kwargs)
        except httpx2.ConnectTimeout as exc:
            if isinstance(exc.__cause__, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
                raise httpx2.ConnectError(str(exc), request=exc.request) from exc.__cause__
            raise


class OpenAICompatible(ChatOpenAI):
    """ChatOpenAI that keeps `reasoning_content`."""

    @classmethod
    def fast(cls, timeout: Timeout, **fields: Any) -> "OpenAICompatible":
        """A model whose plain text is read cheaply, over aiohttp. Whoever makes it calls `aclose()`."""
        model = cls(timeout=timeout, http_async_client=_Client(timeout=timeout), **fields)
        client = model.root_async_client
        requests = None if is_proxied() else CompletionRequests(client, timeout.connect)
        model.async_client = FastCompletions(client, requests)
        return model

    async def aclose(self) -> None:
        """Close the connections that are this model's own."""
        if isinstance(self.async_client, FastCompletions):
            await self.async_client.aclose()
        if self.http_async_client is not None:
            await self.http_async_client.aclose()

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        if isinstance(chunk, _Texts):
            return ChatGenerationChunk(message=TextChunk.of(chunk["texts"]))
        generation = super()._convert_chunk_to_generation_chunk(chunk, AIMessageChunk, base_generation_info)
        choices = chunk.get("choices") or [{}]
        delta = choices[0].get("delta") or {}
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if generation is not None and isinstance(reasoning, str):
            generation.message.additional_kwargs["reasoning_content"] = reasoning
        return generation


class _Texts(dict[str, Any]):
    """The texts of several chunks, which hold nothing else; no server can send one."""


class FastCompletions:
    """What ChatOpenAI calls as `async_client`: openai's own, but event streams are read by `_TextStream`.

    With `requests` they are also asked for without openai's client, unless a call has headers or the like of its own.
    """

    def __init__(self, client: openai.AsyncOpenAI, requests: CompletionRequests | None = None) -> None:
        self._client = client
        self._requests = requests

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client.chat.completions, name)

    async def create(self, **payload: Any) -> Any:
        """A completion, or an async iterator of chunks. Raises as openai does."""
        if self._requests is not None and payload.get("stream") and not payload.keys() & _OF_THE_CALL:
            model_requests.labels("aiohttp").inc()
            response = await self._requests.post(payload)
            if _is_plain(response.headers):
                return _text_stream(response, self._requests.request)
            return self._requests.as_openai_stream(response)
        model_requests.labels("openai").inc()
        answer = await self._client.chat.completions.create(**payload)
        if isinstance(answer, openai.AsyncStream) and _is_plain(answer.response.headers):
            return _text_stream_of(answer)
        return answer

    async def aclose(self) -> None:
        """Close the connections of `requests`."""
        if self._requests is not None:
            await self._requests.aclose()


class _TextStream:
    """The chunks of a stream; those that came at once and hold plain text only are one `_Texts`.

    Where there is a `text_taker`, it gets them all but the first, from which LangChain makes its message.
    """

    def __init__(
        self, reads: AsyncIterator[bytes], close: Callable[[], Awaitable[None]], request: httpx2.Request
    ) -> None:
        self._reads = reads
        self._close = close
        self._request = request

    async def __aenter__(self) -> "_TextStream":
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def __aiter__(self) -> AsyncIterator[ChatCompletionChunk | dict[str, Any]]:
        events = EventData()
        take, begun = text_taker.get(), False
        try:
            async for read in self._reads:
                for chunk in self._chunks(events.feed(read)):
                    if take is None or not begun or not isinstance(chunk, _Texts):
                        yield chunk
                        begun = True
                    elif not take(chunk["texts"]):
                        return
                if events.done:
                    await _drain(self._reads)
                    return
        except (httpx2.TimeoutException, TimeoutError) as exc:
            raise openai.APITimeoutError(request=self._request) from exc
        except BROKEN as exc:
            raise openai.APIConnectionError(request=self._request) from exc

    def _chunks(self, datas: list[bytes]) -> Iterator[ChatCompletionChunk | dict[str, Any]]:
        texts: list[str] = []
        for data in datas:
            try:
                chunk = orjson.loads(data)
            except orjson.JSONDecodeError:
                if texts:
                    yield _Texts(texts=texts)
                raise
            text = _text_of(chunk)
            if text is not None:
                texts.append(text)
                continue
            if texts:
                yield _Texts(texts=texts)
                texts = []
            if chunk.get("error"):
                raise openai.APIError("the stream holds an error", request=self._request, body=chunk["error"])
            # LangChain takes a dict as it is, and makes one of anything else.
            yield ChatCompletionChunk.construct(**chunk) if _has_probabilities(chunk) else chunk
        if texts:
            yield _Texts(texts=texts)


def _text_stream(response: aiohttp.ClientResponse, request: httpx2.Request) -> _TextStream:
    async def close() -> None:
        response.release()  # for another request where all was read; otherwise it closes the connection

    return _TextStream(response.content.iter_any(), close, request)


def _text_stream_of(stream: openai.AsyncStream[Any]) -> _TextStream:
    reads = stream.response.aiter_raw()

    async def close() -> None:
        await reads.aclose()
        await stream.close()

    return _TextStream(reads, close, stream.response.request)


async def _drain(reads: AsyncIterator[bytes]) -> None:
    with suppress(TimeoutError, *BROKEN):
        async with asyncio.timeout(DRAIN_S):
            async for _ in reads:
                pass


def _text_of(chunk: dict[str, Any]) -> str | None:
    """The text of a chunk that says nothing else; None where it does."""
    choices = chunk.get("choices")
    if not choices or len(choices) > 1 or chunk.get("usage") or chunk.get("error"):
        return None
    choice = choices[0]
    delta = choice.get("delta")
    if not delta or choice.get("finish_reason") or choice.get("logprobs"):
        return None
    for name, value in delta.items():
        if value and name != "content" and (name, value) != ("role", "assistant"):
            return None
    text = delta.get("content")
    return text if isinstance(text, str) else None


def _has_probabilities(chunk: dict[str, Any]) -> bool:
    """Whether it holds what LangChain gives away as it came, with the names that are empty."""
    return any(choice.get("logprobs") for choice in chunk.get("choices") or ())


def _is_plain(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").startswith(_EVENT_STREAM) and "content-encoding" not in headers
