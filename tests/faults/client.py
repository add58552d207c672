"""A client on raw sockets: it sees every byte, and may leave at any event, politely or not."""

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

TERMINAL = ("done", "failed")
HEAD_S = 60
"""Far more than any response takes to begin."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes closing a socket send RST."""
_connections: list[asyncio.StreamWriter] = []
"""Of the test that runs, since its beginning."""


@dataclass(frozen=True)
class Event:
    """An event as it came: its frame, and what is in it."""

    frame: bytes
    id: str
    event: str
    data: dict[str, Any]

    @property
    def number(self) -> int:
        return int(self.id.rpartition(":")[2])


@dataclass
class Stream:
    """A response, read event by event."""

    status: int
    headers: Mapping[str, str]
    reader: asyncio.StreamReader = field(repr=False)
    writer: asyncio.StreamWriter = field(repr=False)
    events: list[Event] = field(default_factory=list)
    raw: bytes = b""
    """The whole body so far."""
    clean: bool = False
    """Whether the body ended as HTTP says, and not by a lost connection."""
    _buffer: bytes = b""
    _left: int | None = None
    _over: bool = False

    async def next(self) -> Event | None:
        """The next event; None at the end of the response, however it came."""
        while True:
            while b"\n\n" in self._buffer:
                frame, _, self._buffer = self._buffer.partition(b"\n\n")
                event = parse_frame(frame + b"\n\n")
                if event is not None:
                    self.events.append(event)
                    return event
            part = await self._part()
            if not part:
                return None
            self._buffer += part

    async def until(self, *names: str) -> Event:
        """Read up to the next event of one of these names."""
        while (event := await self.next()) is not None:
            if event.event in names:
                return event
        raise AssertionError(f"ended without {names}: {[event.event for event in self.events]}")

    async def read(self, count: int) -> list[Event]:
        """Read up to `count` events in all."""
        while len(self.events) < count and await self.next() is not None:
            pass
        return self.events

    async def body(self) -> bytes:
        """Read to the end."""
        while await self.next() is not None:
            pass
        await self.close()
        return self.raw

    async def to_end(self) -> Event:
        """Read to the end of the response; its last event, which has to be the only terminal one."""
        await self.body()
        terminal = [event for event in self.events if event.event in TERMINAL]
        assert self.status == 200, (self.status, self.raw)
        assert self.clean, [event.event for event in self.events]
        assert terminal == self.events[-1:], [event.event for event in self.events]
        return terminal[0]

    async def close(self) -> None:
        """Leave as a browser does: the socket is closed."""
        self._over = True
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        """Leave as a machine does that crashed: by RST."""
        self._over = True
        connection: socket.socket = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.writer.transport.abort()

    @property
    def run_id(self) -> str:
        return str(self.events[0].data["run_id"])

    @property
    def thread_id(self) -> str:
        return str(self.events[0].data["thread_id"])

    @property
    def text(self) -> str:
        """What was shown of the answer."""
        return answer_of(self.events)

    @property
    def last_id(self) -> str:
        return self.events[-1].id

    async def _part(self) -> bytes:
        """More of the body; nothing at its end."""
        if self._over:
            return b""
        try:
            part = await (self._chunk() if self._left is None else self._rest())
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            self._over = True
            return b""
        self.raw += part
        if not part:
            self._over = self.clean = True
        return part

    async def _chunk(self) -> bytes:
        size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def _rest(self) -> bytes:
        part = await self.reader.readexactly(self._left or 0)
        self._left = 0
        return part


async def request(
    address: str, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
) -> Stream:
    """Send a request on a connection of its own, and wait for the head of the response."""
    reader, writer = await send(address, method, path, body, headers=headers)
    try:
        async with asyncio.timeout(HEAD_S):
            status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except BaseException:
        writer.transport.abort()
        raise
    found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    stream = Stream(int(status_line.split(" ")[1]), found, reader, writer)
    if "transfer-encoding" not in found:
        stream._left = int(found.get("content-length", "0"))
    return stream


async def send(
    address: str, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request and wait for nothing."""
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    _connections.append(writer)
    data = b"" if body is None else json.dumps(body).encode()
    sent = {"host": where.netloc, "connection": "close", "content-length": str(len(data)), **(headers or {})}
    if data:
        sent["content-type"] = "application/json"
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + data)
    await writer.drain()
    return reader, writer


async def leave_all() -> None:
    """End the connections that a test that failed has left open."""
    for writer in _connections:
        writer.transport.abort()
    _connections.clear()
    await asyncio.sleep(0)


async def call(address: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of a response."""
    response = await request(address, method, path, body)
    raw = await response.body()
    return response.status, json.loads(raw) if raw else None


async def get(address: str, path: str) -> Any:
    """The JSON at a path that has to be there."""
    status, body = await call(address, "GET", path)
    assert status == 200, (path, status, body)
    return body


async def ask(address: str, question: str, **more: Any) -> Stream:
    """Ask, and read the answer as a stream."""
    return await request(address, "POST", "/v1/chat/stream", {"question": question, **more})


async def resume(address: str, run_id: str, event_id: str | None = None) -> Stream:
    """The events of a run after one of them, or all."""
    headers = {"last-event-id": event_id} if event_id else None
    return await request(address, "GET", f"/v1/runs/{run_id}/events", headers=headers)


def answer_of(events: list[Event]) -> str:
    return "".join(event.data["delta"] for event in events if event.event == "message")


def parse_frame(frame: bytes) -> Event | None:
    """An event; None for a comment. Its id has to be its last line."""
    fields: dict[str, str] = {}
    for line in frame.decode().strip("\n").split("\n"):
        name, _, value = line.partition(":")
        fields[name] = value.removeprefix(" ")
    if "event" not in fields:
        return None
    assert list(fields)[-1] == "id", frame
    event = {name: value for name, value in fields.items() if name != "retry"}
    return Event(frame.removeprefix(b"retry: 1000\n"), event["id"], event["event"], json.loads(event["data"]))
