"""A client of the event streams: sockets, and parsing what comes."""

import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class SentEvent:
    """One frame of an event stream, with its lines as they came."""

    event: str
    id: str
    data: Any
    lines: list[str]

    @property
    def number(self) -> int:
        return int(self.id.rpartition(":")[2])


def parse_frames(text: str) -> list[SentEvent]:
    """The events of a stream, without comments; a frame that was cut off does not count."""
    events = []
    for frame in text.split("\n\n")[:-1]:
        lines = [line for line in frame.split("\n") if not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines if line)
        if "event" in fields:
            events.append(SentEvent(fields["event"], fields["id"], json.loads(fields["data"]), lines))
    return events


def names(events: list[SentEvent]) -> list[str]:
    return [event.event for event in events]


def answer_of(events: list[SentEvent]) -> str:
    return "".join(event.data["delta"] for event in events if event.event == "message")


class Connection:
    """A client that can leave in the middle, by really closing its socket."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        assert parts.hostname
        assert parts.port
        self._host = f"{parts.hostname}:{parts.port}"
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=10)
        self.received = b""

    def post(self, path: str, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)

    def get(self, path: str) -> None:
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())

    def read_until(self, text: bytes) -> None:
        while text not in self.received:
            chunk = self._socket.recv(65536)
            assert chunk, f"the server closed before {text!r}; it sent {self.received!r}"
            self.received += chunk

    def events(self) -> list[SentEvent]:
        """What has come so far; the chunks of the transfer are put together again."""
        _, _, chunked = self.received.partition(b"\r\n\r\n")
        body = b""
        while chunked:
            size, _, rest = chunked.partition(b"\r\n")
            body += rest[: int(size, 16)]
            chunked = rest[int(size, 16) + 2 :]
        return parse_frames(body.decode())

    def close(self) -> None:
        self._socket.close()
