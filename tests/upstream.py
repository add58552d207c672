"""An OpenAI-compatible server on 127.0.0.1 whose behaviour, faults included, is chosen by the model's name.

Raw asyncio, so that it can break the protocol where a framework would not let it. Names (parts after `:` are numbers):
`say` answers `ANSWER` · `slow:N:S` writes N words, S seconds apart · `status:CODE` · `drop:N` closes after N words ·
`nofinish` ends without a finish_reason · `length` · `think` · `reasoning` · `error` sends an error object in the stream
· `garbage` sends a chunk that is no JSON · `hang:N` falls silent after N words. A prompt that asks for a
standalone question gets `STANDALONE`.
"""

import asyncio
import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

ANSWER = "The fox sleeps in a den [1]. It was seen in 1999 [1]."
STANDALONE = "Where does the fox sleep?"
SECRET = "sk-SECRETKEY-from-upstream"


@dataclass
class Upstream:
    """What a test looks at: requests seen and how their connections ended."""

    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    opened: int = 0
    finished: int = 0
    closed_early: int = 0
    words_sent: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def open(self) -> int:
        return self.opened - self.finished - self.closed_early


@contextmanager
def run_upstream() -> Iterator[Upstream]:
    """Serve in a thread of its own until the block ends."""
    upstream = Upstream()
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def serve() -> None:
        server = await asyncio.start_server(lambda r, w: _serve(upstream, r, w), "127.0.0.1", 0)
        upstream.port = server.sockets[0].getsockname()[1]
        ready.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        server.close()
        for writer in upstream.writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(main)
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.wait(pending))
        loop.close()

    main = loop.create_task(serve())
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(5)
    try:
        yield upstream
    finally:
        loop.call_soon_threadsafe(main.cancel)
        thread.join(5)


async def _serve(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    upstream.writers.add(writer)
    with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                ),
                0,
            )
            body = json.loads(await reader.readexactly(length) or b"{}")
            upstream.requests.append(body)
            if not await _answer(upstream, body, reader, writer):
                break
    writer.close()


async def _answer(
    upstream: Upstream, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Answer one request; whether the connection may be used again."""
    if "input" in body:
        return await _embed(body["input"], writer)
    name, *numbers = str(body["model"]).split(":")
    if name == "status":
        error = json.dumps({"error": {"message": f"upstream says {SECRET}", "type": "x", "code": None}}).encode()
        code = int(numbers[0])
        writer.write(
            f"HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {len(error)}\r\n".encode()
        )
        writer.write(b"retry-after: 0\r\n\r\n" + error)
        await writer.drain()
        return True
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    upstream.opened += 1
    answering = asyncio.create_task(_stream(upstream, name, numbers, body, writer))
    gone = asyncio.create_task(_wait_until_closed(reader))
    await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
    if answering.done() and answering.exception() is None:
        upstream.finished += 1
        gone.cancel()
        return False
    answering.cancel()
    with suppress(asyncio.CancelledError, ConnectionError):
        await answering
    upstream.closed_early += 1
    return False


async def _embed(texts: list[str], writer: asyncio.StreamWriter) -> bool:
    """Eight numbers a text, out of its words' hashes."""
    data = [{"object": "embedding", "index": n, "embedding": _vector(text)} for n, text in enumerate(texts)]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    answer = json.dumps({"object": "list", "model": "hash-8", "data": data, "usage": usage}).encode()
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
    writer.write(f"content-length: {len(answer)}\r\n\r\n".encode() + answer)
    await writer.drain()
    return True


def _vector(text: str) -> list[float]:
    vector = [0.01] * 8
    for word in text.lower().split():
        vector[zlib.crc32(word.encode()) % 8] += 1
    return vector


async def _wait_until_closed(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        await reader.read(1)


async def _stream(
    upstream: Upstream, name: str, numbers: list[str], body: dict[str, Any], writer: asyncio.StreamWriter
) -> None:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return _sse({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})

    words = _words(name, numbers, body)
    delay = float(numbers[1]) if name == "slow" else 0.0
    writer.write(chunk({"role": "assistant", "content": ""}))
    for position, word in enumerate(words):
        if name in ("drop", "hang") and position == int(numbers[0]):
            if name == "drop":
                writer.transport.abort()
                return
            await asyncio.sleep(3600)
        writer.write(chunk({"reasoning_content": word} if name == "reasoning" and position < 3 else {"content": word}))
        upstream.words_sent += 1
        await writer.drain()
        await asyncio.sleep(delay)
    if name == "error":
        writer.write(_sse({"error": {"message": f"broke: {SECRET}", "code": 500}}))
    elif name == "garbage":
        writer.write(_frame(b"data: {no json\n\n"))
    elif name != "nofinish":
        writer.write(chunk({}, "length" if name == "length" else "stop"))
        usage = {"prompt_tokens": 11, "completion_tokens": len(words), "total_tokens": 11 + len(words)}
        writer.write(
            _sse(
                {
                    "id": "c1",
                    "object": "chat.completion.chunk",
                    "created": 1,
                    "model": "m",
                    "choices": [],
                    "usage": usage,
                }
            )
        )
    writer.write(_frame(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    await writer.drain()


def _words(name: str, numbers: list[str], body: dict[str, Any]) -> list[str]:
    if name == "slow":
        return [f"word{number} " for number in range(int(numbers[0]))]
    if body["messages"][-1]["content"].endswith("Standalone question:"):
        return [STANDALONE]
    text = {"think": f"<think>Let me see.</think>{ANSWER}", "reasoning": f"I think so. {ANSWER}"}.get(name, ANSWER)
    return [word if number == 0 else f" {word}" for number, word in enumerate(text.split(" "))]


def _sse(data: dict[str, Any]) -> bytes:
    return _frame(f"data: {json.dumps(data)}\n\n".encode())


def _frame(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
