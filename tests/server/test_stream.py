"""The response of a stream."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.errors import EventNotFound
from server.sse import NDJSON, SSE, TEXT
from server.stream import EventStream, parse_event_id


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
