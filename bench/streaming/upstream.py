"""A model's server that costs little: OpenAI's protocol, as many tokens as asked for, at the pace asked for.

Each token carries when it was written, `word~hhhhhhhh` (microseconds of CLOCK_MONOTONIC, 32 bits, hexadecimal), so that
the load generator on the same machine can tell its way through a service. Every 15 tokens a sentence ends with a
marker. `POST /pace` changes `tokens` and `pause_s`; `GET /stats` tells what became of the streams, by the `cid=…` of
their questions.
"""

import argparse
import asyncio
import json
import re
import time
from typing import Any

import httptools
import uvloop

SENTENCE = "the stream of tokens reaches every reader while the server keeps its state small".split()
CID = re.compile(rb"cid=(\w+)")
REWRITE = re.compile(rb"standalone question|rephrase", re.IGNORECASE)
HEAD = '{"id":"c","object":"chat.completion.chunk","created":1,"model":"bench",'
CHUNK = HEAD + '"choices":[{"index":0,"delta":%s,"finish_reason":%s}]}'
USAGE = HEAD + '"choices":[],"usage":%s}'


class Pace:
    """How an answer comes."""

    tokens = 200
    pause_s = 0.0


pace = Pace()
ended: dict[str, tuple[str, float, int]] = {}
"""cid -> how its stream ended (`whole` or `closed`), when, and how many tokens had been written."""


def words(count: int) -> list[str]:
    """The tokens of an answer: sentences of 15, each with a marker."""
    made = []
    for number in range(count):
        place = number % 15
        made.append(f" [{number // 15 % 3 + 1}]." if place == 14 else f" {SENTENCE[place]}")
    return made


class Answering(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        self._timer: asyncio.Handle | None = None
        self._writing = self._paused = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body, self._url = b"", b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._url.startswith(b"/stats"):
            self._reply(ended)
        elif self._url.startswith(b"/pace"):
            pace.__dict__.update(json.loads(self._body))
            ended.clear()
            self._reply({})
        else:
            self._answer(json.loads(self._body))

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._writing and self._timer is None:
            self._tick()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._writing:
            self._end("closed")

    def _reply(self, body: Any) -> None:
        data = json.dumps(body).encode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % len(data) + data)

    def _answer(self, asked: dict[str, Any]) -> None:
        found = CID.findall(self._body)
        self._cid = found[-1].decode() if found else ""
        rewrite = REWRITE.search(self._body) is not None
        self._words = [" the same question"] if rewrite else words(pace.tokens)
        self._next, self._at = 0, self._loop.time()
        usage = {"prompt_tokens": 1, "completion_tokens": len(self._words), "total_tokens": 1 + len(self._words)}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": "".join(self._words)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._reply({"id": "c", "object": "chat.completion", "created": 1, "model": "bench",
                         "choices": [choice], "usage": usage})  # fmt: skip
            return
        self._usage = USAGE % json.dumps(usage) if (asked.get("stream_options") or {}).get("include_usage") else None
        self._writing = True
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        self._send(CHUNK % ('{"role":"assistant","content":""}', "null"))
        self._timer = self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._paused:
            return
        if self._next == len(self._words):
            self._send(CHUNK % ("{}", '"stop"'))
            if self._usage:
                self._send(self._usage)
            self._send("[DONE]")
            self._transport.write(b"0\r\n\r\n")
            self._end("whole")
            return
        stamp = f"~{time.monotonic_ns() // 1000 & 0xFFFFFFFF:08x}"
        self._send(CHUNK % (f'{{"content":"{self._words[self._next]}{stamp}"}}', "null"))
        self._next += 1
        if pace.pause_s:
            self._at += pace.pause_s
            self._timer = self._loop.call_at(self._at, self._tick)
        else:
            self._timer = self._loop.call_soon(self._tick)

    def _send(self, data: str) -> None:
        event = f"data: {data}\n\n".encode()
        self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))

    def _end(self, how: str) -> None:
        self._writing = False
        ended[self._cid] = (how, time.monotonic(), self._next)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", port, backlog=2048)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    uvloop.run(_serve(parser.parse_args().port))
