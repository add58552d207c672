"""Events as bytes: Server-Sent Events, lines of JSON, or the answer's text alone."""

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import orjson

from server.eventlog import Entry

RETRY_MS = 1_000
CHUNK_BYTES = 64 * 1024
"""What is written at once, and an event beyond it."""
SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
TEXT = "text/plain"
VIEWS = (SSE, NDJSON, TEXT)

NextBatch = Callable[[], Awaitable[Sequence[Entry]]]
"""Gives the next events, at least one, and none at the end."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_ENDS = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))


def encode_json(data: Any) -> bytes:
    """JSON in UTF-8 on what every client takes for one line: U+0085, U+2028 and U+2029 are escaped as well.

    Half a surrogate pair, which UTF-8 cannot carry, becomes U+FFFD. The bytes take the memory that they need: orjson's
    own come with a buffer of 4 KiB at least (https://github.com/home-assistant/core/pull/181245), and logs keep events.
    """
    try:
        line = b"".join((orjson.dumps(data), b""))
    except orjson.JSONEncodeError:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        line = _SURROGATE.sub("\ufffd", text).encode()
    for raw, escaped in _LINE_ENDS:
        line = line.replace(raw, escaped)
    return line


def choose_view(accept: str | None) -> str:
    """The media type of a stream by the request's Accept header; `text/event-stream` unless another one wins."""
    best, best_q = SSE, 0.0
    for part in (accept or "").split(","):
        media_type, _, parameters = part.strip().partition(";")
        q = _quality(parameters)
        if media_type.strip().lower() in VIEWS and q > best_q:
            best, best_q = media_type.strip().lower(), q
    return best


def sse_frame(run_id: str, entry: Entry, *, first: bool) -> bytes:
    """One event. `id` is the last line, so that a frame cut in half does not count as seen."""
    retry = b"retry: %d\n" % RETRY_MS if first else b""
    place = f"{run_id}:{entry.number}".encode()
    return b"%sevent: %s\ndata: %s\nid: %s\n\n" % (retry, entry.event.encode(), entry.data, place)


def ndjson_line(run_id: str, entry: Entry) -> bytes:
    """One event as a line of JSON."""
    event, place = entry.event.encode(), f"{run_id}:{entry.number}".encode()
    return b'{"event":"%s","id":"%s","data":%s}\n' % (event, place, entry.data)


def answer_text(entry: Entry) -> bytes:
    """What an event adds to the answer."""
    return orjson.loads(entry.data)["delta"].encode() if entry.event == "message" else b""


async def encode_stream(view: str, run_id: str, next_batch: NextBatch) -> AsyncGenerator[bytes]:
    """The bytes of a stream as `view`, one of VIEWS, wants them: what is there at once is written at once."""
    encode = _encoder(view, run_id)
    while batch := await next_batch():
        waiting, size = [], 0
        for entry in batch:
            waiting.append(encode(entry))
            size += len(waiting[-1])
            if size >= CHUNK_BYTES:
                yield b"".join(waiting)
                waiting, size = [], 0
        if size:
            yield b"".join(waiting)


def _encoder(view: str, run_id: str) -> Callable[[Entry], bytes]:
    if view == NDJSON:
        return lambda entry: ndjson_line(run_id, entry)
    if view == TEXT:
        return answer_text
    firsts: Iterator[bool] = iter([True])
    return lambda entry: sse_frame(run_id, entry, first=next(firsts, False))


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
