"""A load generator: so many streams at a time, and what came of them as one JSON object.

CPU and memory are those of the server's process and its children, from /proc (Linux), in ticks of 10 ms.
"""

import argparse
import asyncio
import json
import os
import re
import resource
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httptools
import uvloop

STAMP = re.compile(rb"~([0-9a-f]{8})")
EVENT = re.compile(rb"^event: (\w+)", re.MULTILINE)
LETTERS = str.maketrans("0123456789", "ghijklmnop")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_MB = resource.getpagesize() / 2**20
PATIENCE_S = 90
"""How long a stream may take."""


class Reading(asyncio.Protocol):
    """One stream. `close_after` tokens the reader leaves; 0 stays to the end."""

    def __init__(self, path: str, body: dict[str, Any], close_after: int) -> None:
        self._request = path, json.dumps(body)
        self._close_after = close_after
        self._parser: Any = httptools.HttpResponseParser(self)
        self._rest = b""
        self.began = time.monotonic()
        self.tokens = 0
        self.first: float | None = None
        self.left: float | None = None
        self.status = 0
        self.late = False
        self.delays_us: list[int] = []
        self.events: Counter[str] = Counter()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        path, body = self._request
        head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        transport.write(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        if self.left is not None:
            return
        *events, self._rest = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n\n")
        now = time.monotonic()
        us = int(now * 1e6) & 0xFFFFFFFF
        for event in events:
            name = EVENT.search(event)
            self.events[name[1].decode() if name else "data"] += 1
            if name and name[1] in (b"message", b"token"):
                stamps = [int(stamp, 16) for stamp in STAMP.findall(event)]
                self.tokens += len(stamps)
                self.delays_us += [(us - stamp) & 0xFFFFFFFF for stamp in stamps]
        if self.tokens and self.first is None:
            self.first = now
        if self._close_after and self.tokens >= self._close_after:
            self.left = now
            self._transport.abort()

    def give_up(self) -> None:
        """Read no further; a stream that has not ended by now has failed."""
        if not self.done.done():
            self.late = True
            self._transport.abort()

    def on_message_complete(self) -> None:
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Watch:
    """CPU and memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def _all(self) -> list[int]:
        found = [self._pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, task.read_text().split())
        return found

    def cpu_s(self) -> float:
        """User and system time so far."""
        return sum(_cpu_s(Path(f"/proc/{pid}")) for pid in self._all())

    def main_thread_cpu_s(self) -> float:
        """The same of the process' first thread alone, which runs the event loop where there is one process."""
        return _cpu_s(Path(f"/proc/{self._pid}/task/{self._pid}"))

    def rss_mb(self) -> float:
        """Memory now."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._all()) * PAGE_MB


def _cpu_s(folder: Path) -> float:
    stat = (folder / "stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / TICKS_PER_S


def at(values: Sequence[float], share: float) -> float | None:
    """A quantile, rounded to hundredths."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Open streams until `total` were opened, `at_once` at a time."""
    watch = Watch(arguments.pid)
    loop = asyncio.get_running_loop()
    cpu, main_thread, rss = watch.cpu_s(), watch.main_thread_cpu_s(), watch.rss_mb()
    peak, began = rss, time.monotonic()
    readings: dict[str, Reading] = {}
    numbers = iter(range(arguments.total))

    async def work(place: int) -> None:
        await asyncio.sleep(arguments.ramp_s * place / arguments.at_once)
        for number in numbers:
            cid = uuid.uuid4().hex[:12].translate(LETTERS)  # numbers that no source has would be a reason to abstain
            question = f"Which stream keeps the reader of section {number % 20} while the token changes? cid={cid}"
            body = json.loads(arguments.body.replace("QUESTION", question).replace("SESSION", cid))
            reading = readings[cid] = Reading(arguments.path, body, arguments.close_after)
            await loop.create_connection(lambda reading=reading: reading, "127.0.0.1", arguments.port)  # type: ignore[misc]
            await asyncio.wait({reading.done}, timeout=PATIENCE_S)
            reading.give_up()

    async def look() -> None:
        nonlocal peak
        while True:
            await asyncio.sleep(0.2)
            peak = max(peak, watch.rss_mb())

    looking = asyncio.create_task(look())
    await asyncio.gather(*(work(place) for place in range(min(arguments.at_once, arguments.total))))
    seconds = time.monotonic() - began
    if arguments.close_after:
        await asyncio.sleep(2)  # what goes on after its reader has left costs too
    cpu, main_thread = watch.cpu_s() - cpu, watch.main_thread_cpu_s() - main_thread
    looking.cancel()
    return {**told(list(readings.values()), seconds, cpu, main_thread), **memory(rss, peak, arguments.at_once),
            **left(readings, arguments.stats)}  # fmt: skip


def told(readings: Sequence[Reading], seconds: float, cpu_s: float, main_thread_cpu_s: float) -> dict[str, Any]:
    """Throughput, delays and cost."""
    tokens = sum(reading.tokens for reading in readings)
    delays = [us / 1000 for reading in readings for us in reading.delays_us]
    firsts = [(reading.first - reading.began) * 1000 for reading in readings if reading.first is not None]
    return {
        "streams": len(readings),
        "failed": sum(reading.late or reading.status != 200 or not reading.tokens for reading in readings),
        "tokens": tokens,
        "tokens_per_s": round(tokens / seconds),
        "cpu_ms_per_1000_tokens": round(1e6 * cpu_s / max(tokens, 1), 1),
        "cpu_ms_per_stream": round(1e3 * cpu_s / len(readings), 2),
        "main_thread_cpu_ms_per_stream": round(1e3 * main_thread_cpu_s / len(readings), 2),
        "first_token_ms": [at(firsts, 0.5), at(firsts, 0.95)],
        "token_delay_ms": [at(delays, 0.5), at(delays, 0.95), at(delays, 0.99)],
        "events": dict(sum((reading.events for reading in readings), Counter())),
    }


def memory(before_mb: float, peak_mb: float, streams: int) -> dict[str, Any]:
    """Memory at rest, and what each open stream added."""
    return {"rss_mb": round(before_mb, 1), "rss_kb_per_stream": round((peak_mb - before_mb) * 1024 / streams, 1)}


def left(readings: dict[str, Reading], stats: str) -> dict[str, Any]:
    """What the model's server saw of the readers that left early."""
    gone = {cid: reading.left for cid, reading in readings.items() if reading.left is not None}
    if not gone:
        return {}
    with urllib.request.urlopen(stats) as response:
        ends = json.loads(response.read())
    closed = {cid: ends[cid] for cid in gone if cid in ends and ends[cid][0] == "closed"}
    waits = [(when - gone[cid]) * 1000 for cid, (_, when, _) in closed.items()]
    extra = [written - readings[cid].tokens for cid, (_, _, written) in closed.items()]
    return {"left": len(gone), "closed": len(closed), "close_ms": [at(waits, 0.5), at(waits, 1)],
            "tokens_after": at(extra, 1)}  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("body", help="JSON, with QUESTION and SESSION where these go")
    parser.add_argument("pid", type=int)
    parser.add_argument("stats", help="address of the upstream's statistics")
    parser.add_argument("--at-once", type=int, required=True)
    parser.add_argument("--total", type=int, required=True)
    parser.add_argument("--ramp-s", type=float, default=0.0, help="seconds over which the first streams are opened")
    parser.add_argument("--close-after", type=int, default=0)
    print(json.dumps(uvloop.run(run(parser.parse_args()))))
