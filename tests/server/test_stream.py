"""The response of a stream."""

import json
import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from server.errors import EventNotFound
from server.sse import NDJSON, SSE, TEXT
from server.stream import EventStream, parse_event_id
from tests.fakes import Answerer
from tests.server.conftest import LiveServer


async def body() -> AsyncIterator[bytes]:
    yield b"x"


def test_only_event_streams_have_heartbeats() -> None:
    """A comment would be no line of JSON, and part of a plain answer."""
    pings = {view: EventStream(body(), view, lambda: None).ping_interval for view in (SSE, NDJSON, TEXT)}

    assert pings == {SSE: 15, NDJSON: 0, TEXT: 0}


async def test_a_reader_leaves_also_when_its_client_was_gone_before_the_first_byte() -> None:
    left = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        raise OSError("the client has gone")

    with pytest.raises(OSError, match="gone"):
        await EventStream(body(), NDJSON, lambda: left.append(True))({"type": "http", "method": "GET"}, receive, send)
    assert left == [True]


def test_an_event_id_is_a_run_and_a_number() -> None:
    assert parse_event_id("run-of-mine:12") == ("run-of-mine", 12)
    for wrong in ("run-of-mine", "12", "run-of-mine:", "run-of-mine:-1", "run-of-mine:²", "run-of-mine:99999999999"):
        with pytest.raises(EventNotFound):
            parse_event_id(wrong)


def test_a_client_that_takes_nothing_is_cut_off_and_the_run_goes_on(
    server: LiveServer, answerer: Answerer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.stream.SEND_TIMEOUT_S", 0.3)
    answerer.words = ["x" * 4000 + " "] * 1500
    address = urlsplit(server.address)
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect((address.hostname, address.port))
        body = json.dumps({"question": "Cats?", "run_id": "run-of-mine", "on_disconnect": "continue"}).encode()
        head = "POST /v1/chat/stream HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        stuck.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        server.wait_until(lambda: server.state.runs._readers == 1, 30)
        server.wait_until(lambda: server.state.runs._readers == 0, 60)
        server.wait_until(lambda: not server.state.runs._active, 60)
    assert server.http.get("/v1/runs/run-of-mine").json()["status"] == "completed"
    assert len(server.http.get("/v1/runs/run-of-mine").json()["answer"]) == 1500 * 4001
