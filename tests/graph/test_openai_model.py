"""The cheap way of reading a model is the library's way, but for its price."""

import asyncio
import gzip
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import httpx2
import openai
import pytest
from langchain_core import exceptions as core
from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables.config import set_config_context

from graph.events import only_emitted
from graph.model_stream import Limits, Piece, open_model_stream
from graph.openai_model import FastCompletions, OpenAICompatible, Timeout
from graph.text_chunk import TextChunk, text_taker

CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"x": '}}
REST = {"index": 0, "function": {"arguments": "1}"}}
USAGE = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 3}}


def chunk(delta: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason, **more.pop("of_choice", {})}
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


FIRST = chunk({"role": "assistant", "content": ""})
LAST = [chunk({}, "stop", system_fingerprint="fp"), {**chunk({}), "choices": [], "usage": USAGE}]
STREAMS = {
    "text": [FIRST, *(chunk({"content": word}) for word in ("The ", "fox ", "sleeps")), *LAST],
    "all names given": [chunk({"content": "a", "role": None, "tool_calls": None, "refusal": None}), *LAST],
    "empty pieces": [FIRST, chunk({"content": ""}), chunk({"content": "a"}), chunk({"content": None}), *LAST],
    "text with the reason": [chunk({"content": "a"}), chunk({"content": "b"}, "length")],
    "a tool": [FIRST, chunk({"content": "a"}), chunk({"tool_calls": [CALL]}), chunk({"tool_calls": [REST]}), *LAST],
    "thoughts": [chunk({"reasoning_content": "I "}), chunk({"reasoning": "think"}), chunk({"content": "a"}), *LAST],
    "refusal": [chunk({"refusal": "no"}), *LAST],
    "probabilities": [chunk({"content": "a"}, of_choice={"logprobs": {"content": []}}), *LAST],
    "usage in every chunk": [chunk({"content": "a"}, usage=USAGE), chunk({"content": "b"}), LAST[0]],
    "a choice without a delta": [chunk(None), chunk({"content": "a"}), *LAST],
    "Azure's first chunk": [{"choices": [], "prompt_filter_results": []}, chunk({"content": "a"}), *LAST],
    "a name of our own": [{**chunk({"content": "a"}), "texts": ["b"]}, *LAST],
    "nothing": [],
}


def frames(chunks: Sequence[dict[str, Any]]) -> list[bytes]:
    return [*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), b"data: [DONE]\n\n"]


class Body(httpx2.AsyncByteStream):
    """A body in given reads; an exception among them is raised."""

    def __init__(self, reads: Sequence[bytes | Exception]) -> None:
        self.reads = reads
        self.closed = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for read in self.reads:
            if isinstance(read, Exception):
                raise read
            yield read

    async def aclose(self) -> None:
        self.closed.set()


WAYS = ("library", "read cheaply", "aiohttp alone")
"""How a model is read: not by us, out of a response of openai's client, and without that client."""


@asynccontextmanager
async def opened(body: Body, way: str, **headers: str) -> AsyncIterator[OpenAICompatible]:
    headers = {"content-type": "text/event-stream", **headers}
    if way == "aiohttp alone":
        async with serving(body, headers) as (address, _), fast_model(address) as model:
            yield model
        return
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, stream=body))
    async with httpx2.AsyncClient(transport=transport) as client:
        model = OpenAICompatible(
            model="m", api_key="k", base_url="http://upstream/v1", max_retries=0, timeout=Timeout(5),
            stream_chunk_timeout=None, stream_usage=True, use_responses_api=False, http_async_client=client,
        )  # fmt: skip
        if way == "read cheaply":
            model.async_client = FastCompletions(model.root_async_client)
        yield model


@asynccontextmanager
async def fast_model(address: str, **more: Any) -> AsyncIterator[OpenAICompatible]:
    model = OpenAICompatible.fast(
        Timeout(None, connect=5), model="m", api_key="k", base_url=address, max_retries=0, stream_chunk_timeout=None,
        stream_usage=True, use_responses_api=False, **more,
    )  # fmt: skip
    try:
        yield model
    finally:
        await model.aclose()


@asynccontextmanager
async def serving(body: Body, headers: dict[str, str]) -> AsyncIterator[tuple[str, list[bytes]]]:
    """The address of a server that answers every request with the body's reads, and the requests that it had."""
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            (length,) = re.findall(rb"(?i)content-length: (\d+)", head)
            requests.append(head + await reader.readexactly(int(length)))
            fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{fields}\r\n".encode())
            for part in body.reads:
                if isinstance(part, Exception):
                    writer.write_eof()
                    break
                writer.write(b"%x\r\n%s\r\n" % (len(part), part))
                await asyncio.sleep(0.005)
            else:
                writer.write(b"0\r\n\r\n")
            with suppress(ConnectionError):
                assert not await reader.read(1)  # the client closes, and asks for nothing more
            body.closed.set()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", requests


async def read(reads: Sequence[bytes | Exception], way: str, **headers: str) -> list[AIMessageChunk]:
    async with opened(Body(reads), way, **headers) as model:
        return [piece async for piece in model.astream("?")]


@contextmanager
def taking(take: Callable[[Sequence[str]], bool]) -> Iterator[None]:
    token = text_taker.set(take)
    yield
    text_taker.reset(token)


def whole(pieces: Sequence[AIMessageChunk]) -> dict[str, Any]:
    """What the pieces add up to, without what differs from call to call."""
    generations = [ChatGenerationChunk(message=piece) for piece in pieces]
    total = generations[0]
    for generation in generations[1:]:
        total += generation
    return total.message.model_dump(exclude={"id", "texts"})


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("at_once", [False, True])
async def test_all_ways_give_the_same_message(name: str, at_once: bool) -> None:
    reads = frames(STREAMS[name])
    reads = [b"".join(reads)] if at_once else reads
    if name == "nothing":
        for way in WAYS:
            with pytest.raises(ValueError, match="No generation chunks"):
                await read(reads, way)
        return
    library, *others = [await read(reads, way) for way in WAYS]
    for cheap in others:
        assert whole(cheap) == whole(library)
        assert len({piece.id for piece in cheap}) == 1


async def test_text_that_comes_in_one_read_is_one_piece_that_knows_its_parts() -> None:
    first, *_ = await read([b"".join(frames(STREAMS["text"]))], "read cheaply")
    assert isinstance(first, TextChunk)
    assert (first.content, first.texts) == ("The fox sleeps", ["", "The ", "fox ", "sleeps"])


@pytest.mark.parametrize("name", [name for name in STREAMS if name != "nothing"])
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("way", WAYS[1:])
async def test_a_taker_gets_all_plain_text_but_the_first_in_its_place(name: str, at_once: bool, way: str) -> None:
    reads = frames(STREAMS[name])
    reads = [b"".join(reads)] if at_once else reads
    said: list[str] = []

    def take(texts: Sequence[str]) -> bool:
        said.append("".join(texts))
        return True

    async with opened(Body(reads), way) as model:
        with taking(take):
            async for piece in model.astream("?"):
                said.append(piece.text)
    assert "".join(said) == whole(await read(reads, "library"))["content"]


@pytest.mark.parametrize("way", WAYS[1:])
async def test_a_taker_may_end_the_stream(way: str) -> None:
    body = Body(frames(STREAMS["text"]))
    taken: list[str] = []

    def take(texts: Sequence[str]) -> bool:
        taken.extend(texts)
        return False

    async with opened(body, way) as model:
        with taking(take):
            pieces = [piece.text async for piece in model.astream("?")]
        assert (taken, "".join(pieces)) == (["The "], "")
        await asyncio.wait_for(body.closed.wait(), 2)


class Tracer(BaseCallbackHandler):
    """Hears every token, as LangSmith's does."""

    def __init__(self) -> None:
        self.heard = ""

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.heard += token


@pytest.mark.parametrize("traced", [False, True])
async def test_text_goes_past_langchain_only_where_nobody_else_wants_it(traced: bool) -> None:
    tracer = Tracer()
    callbacks = AsyncCallbackManager(handlers=[tracer] if traced else [])
    pieces: list[Piece] = []

    async def answer(model: OpenAICompatible) -> None:
        only_emitted.set(True)
        limits = Limits(5, 5, time.monotonic() + 5, max_output_tokens=100)
        async with open_model_stream(model, [HumanMessage("?")], limits, pieces.append) as stream:
            await stream.end()

    async with opened(Body(frames(STREAMS["text"])), "read cheaply") as model:
        with set_config_context({"callbacks": callbacks}) as context:
            await asyncio.create_task(answer(model), context=context)
    assert "".join(piece.text for piece in pieces) == "The fox sleeps"
    assert [piece.text for piece in pieces if piece.message_id is None] == (
        [] if traced else ["The ", "fox ", "sleeps"]
    )
    assert tracer.heard == ("The fox sleeps" if traced else "")
    assert pieces[-1].usage or pieces[-2].usage


@pytest.mark.parametrize("more", [{}, {"extra_body": {"top_k": 3}}, {"extra_headers": {"x-mine": "yes"}}])
async def test_a_request_is_the_one_that_the_library_sends(more: dict[str, Any]) -> None:
    sent: list[dict[str, Any]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        headers = {name: value for name, value in request.headers.items() if not name.startswith("x-stainless")}
        sent.append({"url": str(request.url), "headers": headers, "body": json.loads(request.content)})
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(frames(STREAMS["text"])))

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        for fast in (True, False):
            model = OpenAICompatible(
                model="m", api_key="k", base_url="http://upstream/v1", max_retries=0, timeout=Timeout(5), max_tokens=9,
                stream_usage=True, use_responses_api=False, http_async_client=client, temperature=0.5,
            )  # fmt: skip
            if fast:
                model.async_client = FastCompletions(model.root_async_client)
            talk = [SystemMessage("Be brief."), HumanMessage("?"), AIMessage("!"), HumanMessage("??")]
            pieces = [piece async for piece in model.astream(talk, **more)]
            assert "".join(piece.text for piece in pieces) == "The fox sleeps"
            assert isinstance(pieces[0], TextChunk) is fast
    assert sent[0] == sent[1]


async def test_without_its_client_a_request_is_still_the_one_that_the_library_sends() -> None:
    text = {"content-type": "text/event-stream"}
    talk = [SystemMessage("Be brief."), HumanMessage("\u0444?"), AIMessage("!"), HumanMessage("??")]
    async with (
        serving(Body(frames(STREAMS["text"])), text) as (address, requests),
        fast_model(address, temperature=0.5, organization="o") as model,
    ):
        for more in ({}, {"extra_headers": {}}):  # a call with headers of its own goes the way of the library
            assert [piece async for piece in model.astream(talk, **more)]
    sent = [dict(parsed(request)) for request in requests]
    # What a client says of itself and of the connection.
    for of_client in ("accept-encoding", "connection", "x-stainless-retry-count"):
        for request in sent:
            request.pop(of_client, None)
    assert sent[0] == sent[1]
    assert sent[0]["authorization"] == "Bearer k"
    assert sent[0]["openai-organization"] == "o"


def parsed(request: bytes) -> Iterator[tuple[str, Any]]:
    """Name and value of all that is in a request."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    yield "first line", first
    for name, value in (field.split(": ", 1) for field in fields):
        if name.lower() != "content-length":  # of the same values, written otherwise
            yield name.lower(), value
    yield "body", json.loads(body)


@pytest.mark.parametrize(
    ("name", "value", "alone"),
    [("HTTPS_PROXY", "", True), ("NO_PROXY", "127.0.0.1", True), ("HTTPS_PROXY", "http://127.0.0.1:9", False)],
)
def test_where_there_is_a_proxy_openais_client_finds_the_way(
    name: str, value: str, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    model = OpenAICompatible.fast(Timeout(5), model="m", api_key="k", base_url="http://127.0.0.1:9/v1")
    assert (model.async_client._requests is not None) is alone


@pytest.mark.parametrize("headers", [{"content-type": "application/json"}, {"content-encoding": "identity"}])
@pytest.mark.parametrize("way", WAYS)
async def test_what_is_no_plain_event_stream_goes_the_way_of_the_library(headers: dict[str, str], way: str) -> None:
    pieces = await read(frames(STREAMS["text"]), way, **headers)
    assert "".join(piece.text for piece in pieces) == "The fox sleeps"
    assert not any(isinstance(piece, TextChunk) for piece in pieces)


@pytest.mark.parametrize("way", WAYS)
async def test_a_compressed_answer_is_read(way: str) -> None:
    packed = gzip.compress(b"".join(frames(STREAMS["text"])))
    pieces = await read([packed[:9], packed[9:]], way, **{"content-encoding": "gzip"})
    assert "".join(piece.text for piece in pieces) == "The fox sleeps"


FAULTS: dict[bytes | Exception, type[Exception]] = {
    b'data: {"error": {"message": "broke", "code": 500}}\n\n': openai.APIError,
    b"data: {no json\n\n": json.JSONDecodeError,
    b'data: {"choices": "\xff"}\n\n': ValueError,
    httpx2.ReadError("dropped"): core.ModelConnectionError,
}
SILENT = httpx2.ReadTimeout("silent")
"""Without openai's client no read has a timeout: graph/model_stream.py keeps the time."""


@pytest.mark.parametrize(
    ("way", "fault", "error"),
    [
        *((way, fault, error) for way in WAYS for fault, error in FAULTS.items()),
        *((way, SILENT, core.ModelTimeoutError) for way in WAYS[:-1]),
    ],
)
async def test_a_fault_comes_after_the_text_before_it_and_closes_the_response(
    way: str, fault: bytes | Exception, error: type[Exception]
) -> None:
    text = b"".join(frames(STREAMS["text"])[:3])
    body = Body([text + fault] if isinstance(fault, bytes) else [text, fault])
    got: list[str] = []

    async def listen(model: OpenAICompatible) -> None:
        async for piece in model.astream("?"):
            got.append(piece.text)

    async with opened(body, way) as model:
        with pytest.raises(error):
            await listen(model)
        assert "".join(got) == "The fox "
        await asyncio.wait_for(body.closed.wait(), 2)


@pytest.fixture
async def dropping() -> AsyncIterator[str]:
    """The address of a server that closes each connection at its first byte."""

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(drop, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


@pytest.mark.parametrize("closed", [False, True])
async def test_a_refused_or_dropped_connection_is_no_timeout(dropping: str, closed: bool) -> None:
    """openai's aiohttp transport calls it one, and a timeout is not tried again."""
    address = "http://127.0.0.1:9/v1" if closed else dropping
    model = OpenAICompatible.fast(Timeout(5), model="m", api_key="k", base_url=address, max_retries=0)
    try:
        with pytest.raises(openai.APIConnectionError) as caught:
            await model.ainvoke("?")
    finally:
        await model.aclose()
    assert not isinstance(caught.value, openai.APITimeoutError)
