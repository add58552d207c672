"""A proxy between a client and the service: it counts who asks what, and breaks a stream where it is told to."""

import asyncio
import json
import re
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, urlsplit

EVENT_NUMBER = re.compile(rb"^id: .*:(\d+)$", re.MULTILINE)
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes a close a TCP reset."""

TERMINAL = re.compile(rb"^event: (?:done|failed)$", re.MULTILINE)

NO_RESPONSE = -1
LAST = 2**32
"""More than any number: the terminal event."""


@dataclass(frozen=True)
class Cut:
    """Where a stream breaks, and how."""

    after: int
    """Number of the last event that gets through whole, or LAST; 0: the response's head alone; NO_RESPONSE: nothing."""
    into: int = 0
    """So many bytes of the next frame get through as well."""
    how: Literal["close", "reset", "end"] = "close"
    """`close` and `reset` break the connection; `end` ends the response as if it were complete."""


@dataclass
class Request:
    """A request that named a run, and what became of it."""

    method: str
    run_id: str
    last_event_id: str | None
    status: int | None = None
    """None while there is no response, or where there never was one."""
    refusal: bytes = b""
    """The body of a response that is no stream."""
    through: int = 0
    """Number of the last event that went through whole, to this or an earlier request."""
    ended: bool = False
    """Whether the terminal event went through."""


class Proxy:
    """Passes requests on to `target`, one a connection."""

    def __init__(self) -> None:
        self.target = ("127.0.0.1", 0)
        self.requests: list[Request] = []
        self.address = ""
        self._cuts: dict[str, list[Cut]] = {}
        self._served: set[asyncio.Task[None]] = set()

    def aim(self, address: str) -> None:
        """Pass on to this address from now on."""
        parts = urlsplit(address)
        assert parts.hostname
        assert parts.port
        self.target = (parts.hostname, parts.port)

    def plan(self, run_id: str, cuts: Sequence[Cut]) -> None:
        """Break the streams of a run at these places, one connection after the other."""
        self._cuts[run_id] = list(cuts)

    def uncut(self, run_id: str) -> Sequence[Cut]:
        """The cuts of a run that have not been made."""
        return self._cuts.get(run_id, [])

    def requests_of(self, run_id: str) -> list[Request]:
        return [request for request in self.requests if request.run_id == run_id]

    async def serve(self, ready: threading.Event) -> None:
        """Serve until cancelled."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        server.close()
        for task in self._served:
            task.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._served.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(_header(head, b"content-length") or 0))
        request = _parse_request(head, body)
        if request is not None:
            self.requests.append(request)
        server_reader, server_writer = await asyncio.open_connection(*self.target)
        try:
            server_writer.write(_without(head, b"connection")[:-2] + b"connection: close\r\n\r\n" + body)
            passing = asyncio.create_task(self._pass_back(request, server_reader, writer))
            leaving = asyncio.create_task(reader.read(1))
            await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            for task in (passing, leaving):
                task.cancel()
            await asyncio.gather(passing, leaving, return_exceptions=True)
        finally:
            server_writer.close()

    async def _pass_back(
        self, request: Request | None, server: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        head = await server.readuntil(b"\r\n\r\n")
        cuts = self._cuts.get(request.run_id, []) if request else []
        if cuts and cuts[0].after == NO_RESPONSE:
            _break(client, cuts.pop(0))
            return
        client.write(head)
        if request is None:
            while data := await server.read(65536):
                client.write(data)
            return
        request.status = int(head.split(b" ", 2)[1])
        if _header(head, b"transfer-encoding") != b"chunked":
            request.refusal = await server.read()
            client.write(request.refusal)
            return
        await _pass_events(request, server, client, cuts)


async def _pass_events(
    request: Request, server: asyncio.StreamReader, client: asyncio.StreamWriter, cuts: list[Cut]
) -> None:
    """Frame by frame, as far as the next cut."""
    await client.drain()
    request.through = int((request.last_event_id or ":0").rpartition(":")[2])
    if _is_next(cuts, request.through, within=False):
        _break(client, cuts.pop(0))
        return
    async for frame in _frames(server):
        number = EVENT_NUMBER.search(frame)
        within = number is not None and _is_next(cuts, request.through, within=True)
        client.write(_chunk(frame[: cuts[0].into] if within else frame))
        await client.drain()
        if number:
            request.through = int(number[1])
            request.ended = TERMINAL.search(frame) is not None
        if within or (number and _is_next(cuts, LAST if request.ended else request.through, within=False)):
            _break(client, cuts.pop(0))
            return
    client.write(b"0\r\n\r\n")


def _is_next(cuts: Sequence[Cut], through: int, *, within: bool) -> bool:
    """Whether the next cut comes after this event: within the frame that follows, or right after its own."""
    return bool(cuts) and cuts[0].after == through and (cuts[0].into > 0) == within


async def _frames(server: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The frames of a chunked response, each with the empty line that ends it."""
    pending = b""
    while size := int(await server.readline(), 16):
        pending += await server.readexactly(size)
        await server.readexactly(2)
        while b"\n\n" in pending:
            frame, end, pending = pending.partition(b"\n\n")
            yield frame + end
    assert not pending, pending


def _break(client: asyncio.StreamWriter, cut: Cut) -> None:
    if cut.how == "end":
        client.write(b"0\r\n\r\n")
    elif cut.how == "reset":
        client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.transport.abort()


def _parse_request(head: bytes, body: bytes) -> Request | None:
    """The request, when it names a run."""
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    named = json.loads(body).get("run_id") if body else parse_qs(urlsplit(target).query).get("run_id", [None])[0]
    if named is None:
        return None
    last = _header(head, b"last-event-id")
    return Request(method, named, last.decode() if last else None)


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return None


def _without(head: bytes, name: bytes) -> bytes:
    lines = head.split(b"\r\n")
    return b"\r\n".join(line for line in lines if line.partition(b":")[0].lower() != name)


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n" if data else b""


@contextmanager
def run_proxy() -> Iterator[Proxy]:
    """Serve in a thread of its own until the block ends."""
    proxy = Proxy()
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    serving = loop.create_task(proxy.serve(ready))
    thread = threading.Thread(target=lambda: loop.run_until_complete(serving), daemon=True)
    thread.start()
    assert ready.wait(5)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(10)
        assert not thread.is_alive()
        loop.close()
