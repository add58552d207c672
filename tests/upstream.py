"""An OpenAI-compatible server on 127.0.0.1 whose behaviour, faults included, is chosen by the model's name.

Raw asyncio, so that it can break the protocol where a framework would not let it. Parts of a name after `:` are
numbers: N and M count, S is seconds. Those in brackets may be left out.

Answers: `say` and every other name answer `ANSWER` · `slow:N:S` writes N words, S seconds apart · `endless[:S]` never
stops writing them · `late:S` is silent for S seconds first · `big:N:M` writes N pieces of M characters · `marker:N:S`
writes N words S seconds apart, each with the last `nonce-…` of the question · `essay:N:S` writes N words S seconds
apart in Markdown, with a marker in each sentence · `think` and `reasoning` think aloud ·
`text:TEXT` writes TEXT character by character.
Before an answer: `status:CODE` · `retryafter:S` is 429 with that Retry-After · `flaky:CODE:N` is CODE the first N
times, then `ANSWER` · `hanghead` never answers.
In it, after N words: `drop:N` closes · `hang:N` falls silent · `comment[:N]` sends comments for ever · `empty[:N]`
sends empty pieces for ever.
At its end, after N words or all: `nofinish[:N]` gives no finish_reason · `length[:N]`, `contentfilter[:N]` and
`toolcalls[:N]` give these · `error[:N]` sends an error object · `garbage[:N]` a chunk that is no JSON ·
`badutf8[:N]` one that is no UTF-8.

A prompt that asks for a standalone question gets `STANDALONE` (with the nonce, where it has one); only
`rewrite=NAME` treats it as the model NAME would, and every other prompt as `say`. What comes before an answer comes
before both.

`python -m tests.upstream --port P` serves until it is killed. `GET /stats` gives the counters, `GET /requests` the
bodies of the requests so far.
"""

import argparse
import asyncio
import itertools
import json
import re
import threading
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

ANSWER = "The fox sleeps in a den [1]. It was seen in 1999 [1]."
STANDALONE = "Where does the fox sleep?"
SECRET = "sk-SECRETKEY-from-upstream"
KEEP_ALIVE_S = 0.02
"""Between two comments or empty pieces."""

NONCE = re.compile(r"nonce-\w+")
REASONS = {"length": "length", "contentfilter": "content_filter", "toolcalls": "tool_calls"}


@dataclass
class Upstream:
    """What a test looks at: requests seen and how their connections ended."""

    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    opened: int = 0
    """Answers begun, and requests that `hanghead` leaves without one."""
    finished: int = 0
    closed_early: int = 0
    words_sent: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """Statuses that a `flaky` model has answered so far."""
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def open(self) -> int:
        return self.opened - self.finished - self.closed_early

    def stats(self) -> dict[str, int]:
        return {
            "requests": len(self.requests),
            "opened": self.opened,
            "finished": self.finished,
            "closed_early": self.closed_early,
            "open": self.open,
            "words_sent": self.words_sent,
        }


@contextmanager
def run_upstream() -> Iterator[Upstream]:
    """Serve in a thread of its own until the block ends."""
    upstream = Upstream()
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(main)
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.wait(pending))
        loop.run_until_complete(asyncio.sleep(0))  # connections that were closed just now
        loop.close()

    main = loop.create_task(_serve_until_cancelled(upstream, 0, ready.set))
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(5)
    try:
        yield upstream
    finally:
        loop.call_soon_threadsafe(main.cancel)
        thread.join(5)


async def _serve_until_cancelled(upstream: Upstream, port: int, on_ready: Callable[[], None]) -> None:
    server = await asyncio.start_server(lambda r, w: _serve(upstream, r, w), "127.0.0.1", port)
    upstream.port = server.sockets[0].getsockname()[1]
    on_ready()
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    server.close()
    for writer in list(upstream.writers):
        writer.transport.abort()
    await asyncio.sleep(0)


async def _serve(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    upstream.writers.add(writer)
    try:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while await _serve_next(upstream, reader, writer):
                pass
    finally:
        upstream.writers.discard(writer)
        writer.close()


async def _serve_next(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Answer the next request of a connection; whether it may be used again."""
    request, *headers = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    lengths = [int(line.split(b":")[1]) for line in headers if line.lower().startswith(b"content-length")]
    body = json.loads(await reader.readexactly(sum(lengths)) or b"{}")
    path = request.split(b" ")[1]
    if path in (b"/stats", b"/requests"):
        return await _reply(writer, 200, upstream.stats() if path == b"/stats" else upstream.requests)
    upstream.requests.append(body)
    return await _answer(upstream, body, reader, writer)


async def _answer(
    upstream: Upstream, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Answer one request; whether the connection may be used again."""
    if "input" in body:
        data = [{"object": "embedding", "index": n, "embedding": _vector(text)} for n, text in enumerate(body["input"])]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return await _reply(writer, 200, {"object": "list", "model": "hash-8", "data": data, "usage": usage})
    name, numbers = _behaviour(body)
    if status := _status(upstream, name, numbers):
        error = {"error": {"message": f"upstream says {SECRET}", "type": "x", "code": None}}
        return await _reply(writer, status, error, retry_after=numbers[0] if name == "retryafter" else "0")
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


def _behaviour(body: dict[str, Any]) -> tuple[str, list[str]]:
    """What the model's name asks for at this prompt, and its numbers."""
    model = str(body["model"])
    where, equals, rest = model.partition("=")
    if equals and where == "rewrite":
        model = rest if _asks_for_rewrite(body) else "say"
    elif _asks_for_rewrite(body) and model.partition(":")[0] not in ("status", "retryafter", "flaky", "hanghead"):
        model = "standalone"
    name, *numbers = model.split(":")
    return name, numbers


def _asks_for_rewrite(body: dict[str, Any]) -> bool:
    return bool(_last_text(body).endswith("Standalone question:"))


def _last_text(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


def _status(upstream: Upstream, name: str, numbers: list[str]) -> int:
    """The status that the answer fails with; 0 when it does not."""
    if name == "status":
        return int(numbers[0])
    if name == "retryafter":
        return 429
    if name == "flaky" and upstream.failed[":".join(numbers)] < int(numbers[1]):
        upstream.failed[":".join(numbers)] += 1
        return int(numbers[0])
    return 0


async def _reply(writer: asyncio.StreamWriter, status: int, body: Any, *, retry_after: str = "") -> bool:
    """Answer with JSON and keep the connection."""
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n"
    if retry_after:
        head += f"retry-after: {retry_after}\r\n"
    writer.write(head.encode() + b"\r\n" + data)
    await writer.drain()
    return True


def _vector(text: str) -> list[float]:
    """Eight numbers a text, out of its words' hashes."""
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
    if name == "hanghead":
        await asyncio.sleep(3600)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    writer.write(_chunk({"role": "assistant", "content": ""}))
    if name == "late":
        await asyncio.sleep(float(numbers[0]))
    words = _words(name, numbers, body)
    ends_early = name in ("drop", "hang", "comment", "empty")
    if ends_early or name in (*REASONS, "nofinish", "error", "garbage", "badutf8"):
        default = 0 if ends_early else None
        words = itertools.islice(words, int(numbers[0]) if numbers else default)
    pace = {"slow": 1, "marker": 1, "essay": 1, "endless": 0}.get(name)
    pause_s = float(numbers[pace]) if pace is not None and len(numbers) > pace else 0.0
    written = 0
    for word in words:
        thought = name == "reasoning" and written < 3
        writer.write(_chunk({"reasoning_content": word} if thought else {"content": word}))
        written += 1
        upstream.words_sent += 1
        await writer.drain()
        await asyncio.sleep(pause_s)
    if name == "drop":
        writer.transport.abort()
        return
    async for frame in _end(name, written):
        writer.write(frame)
        await writer.drain()


async def _end(name: str, written: int) -> AsyncIterator[bytes]:
    """What follows the words."""
    while name in ("hang", "comment", "empty"):
        await asyncio.sleep(3600 if name == "hang" else KEEP_ALIVE_S)
        yield _frame(b": keep-alive\n\n") if name == "comment" else _chunk({"content": ""})
    if name == "error":
        yield _sse({"error": {"message": f"broke: {SECRET}", "code": 500}})
    elif name == "garbage":
        yield _frame(b"data: {no json\n\n")
    elif name == "badutf8":
        yield _frame(b'data: {"choices": "\xff\xfe"}\n\n')
    elif name != "nofinish":
        call = {"index": 0, "id": "call1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        yield _chunk({"tool_calls": [call]} if name == "toolcalls" else {}, REASONS.get(name, "stop"))
        usage = {"prompt_tokens": 11, "completion_tokens": written, "total_tokens": 11 + written}
        yield _sse(
            {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage}
        )
    yield _frame(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _words(name: str, numbers: list[str], body: dict[str, Any]) -> Iterable[str]:
    nonces = NONCE.findall(_last_text(body))
    if name == "standalone":
        return [" ".join([STANDALONE, *nonces[-1:]])]
    if name == "slow":
        return (f"word{number} " for number in range(int(numbers[0])))
    if name == "marker":
        return (f"{nonces[-1]}-{number} " for number in range(int(numbers[0])))
    if name == "essay":
        return _essay(int(numbers[0]))
    if name == "endless":
        return (f"word{number} " for number in itertools.count())
    if name == "big":
        return ("x" * int(numbers[1]) for _ in range(int(numbers[0])))
    if name == "text":
        return ":".join(numbers)
    text = {"think": f"<think>Let me see.</think>{ANSWER}", "reasoning": f"I think so. {ANSWER}"}.get(name, ANSWER)
    return (word if number == 0 else f" {word}" for number, word in enumerate(text.split(" ")))


def _essay(length: int) -> Iterator[str]:
    """Sentences of twelve words with a marker each, four in a paragraph; every fifth paragraph is a list, or code."""
    for number in range(length):
        paragraph, place = divmod(number, 48)
        start = {2: "- ", 4: "```sh\n"}.get(paragraph % 5, "") if place == 0 else ""
        ends = place % 12 == 11
        in_code = paragraph % 5 == 4
        stop = ("\n" if in_code else f" [{1 + paragraph % 2}]. ") if ends else " "
        item = "\n- " if paragraph % 5 == 2 and ends and place < 47 else ""
        end = ("```\n\n" if in_code else "\n\n") if place == 47 else ""
        yield f"{start}word{number}{stop}{item}{end}"


def _chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return _sse({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


def _sse(data: dict[str, Any]) -> bytes:
    return _frame(f"data: {json.dumps(data)}\n\n".encode())


def _frame(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    served = Upstream()
    with suppress(KeyboardInterrupt):
        asyncio.run(
            _serve_until_cancelled(served, parser.parse_args().port, lambda: print(served.base_url, flush=True))  # noqa: T201
        )
