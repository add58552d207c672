"""A stream: the response to a request for a run's events, from wherever its reader stands."""

import asyncio
import time
from collections.abc import AsyncIterable, Callable, Sequence
from typing import Any

import anyio
import structlog
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from server.errors import EventNotFound, RunNotFound
from server.eventlog import Entry, LogGone
from server.metrics import DROPPED_READERS
from server.record import Record
from server.schema import event_reference
from server.sse import NDJSON, SSE, TEXT, NextBatch, choose_view, encode_json, encode_stream
from server.state import AppState

log = structlog.get_logger(__name__)

PING_S = 15
SEND_TIMEOUT_S = 10.0
"""How long a client may take none of its bytes. What waits for it is bounded: twice 64 KiB, or that and one event."""
SHUTDOWN_GRACE_S = 8.0
"""How long a stream may go on once the server was told to stop: its run ends, and the reader sees how."""
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Content-Type-Options": "nosniff"}
EVENT = event_reference("StreamEvent")
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": (
            "The events of the run: frames of SSE with the fields `event`, `id` and `data`, which is JSON; "
            "the same as lines of JSON; or the text of the answer alone."
        ),
        "content": {
            SSE: EVENT,
            NDJSON: EVENT,
            TEXT: {"schema": {"type": "string"}},
        },
    },
}
NO_CONTENT: dict[int | str, dict[str, Any]] = {204: {"description": "Nothing comes after Last-Event-ID."}}


class EventStream(EventSourceResponse):
    """Bytes of events until they end or the client leaves; then `leave` is called, whatever happened."""

    def __init__(self, body: AsyncIterable[bytes], view: str, leave: Callable[[], None]) -> None:
        super().__init__(
            body,
            headers=HEADERS,
            media_type=view,
            ping=PING_S if view == SSE else 0,
            sep="\n",
            shutdown_event=anyio.Event(),
            shutdown_grace_period=SHUTDOWN_GRACE_S,
        )
        self._leave = leave
        self._sending_since: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; a client that takes nothing is cut off, and may come back."""

        async def send_watched(message: Message) -> None:
            self._sending_since = time.monotonic()
            await send(message)
            self._sending_since = None

        with anyio.CancelScope() as sending:
            watch = asyncio.create_task(self._cut_off_when_stuck(sending))
            try:
                await super().__call__(scope, receive, send_watched)
            finally:
                watch.cancel()
                self._leave()

    async def _send_with_timeout(self, send: Send, message: Message) -> None:
        # sse-starlette's own makes a scope for each write, also without a timeout, which costs more than the write.
        await send(message)

    async def _cut_off_when_stuck(self, sending: anyio.CancelScope) -> None:
        while True:
            await asyncio.sleep(SEND_TIMEOUT_S / 4)
            if self._sending_since is not None and time.monotonic() - self._sending_since >= SEND_TIMEOUT_S:
                log.warning("reader_dropped", after_s=SEND_TIMEOUT_S)
                DROPPED_READERS.inc()
                sending.cancel()
                return


def parse_event_id(event_id: str) -> tuple[str, int]:
    """`(run_id, n)` of an event id `<run_id>:<n>`. Raises EventNotFound."""
    run_id, colon, number = event_id.rpartition(":")
    if not (colon and number.isascii() and number.isdigit() and len(number) <= 10):
        raise EventNotFound(event_id)
    return run_id, int(number)


async def resume_stream(app: AppState, request: Request, event_id: str) -> Response:
    """The events after the one that a request carries as Last-Event-ID. Raises EventNotFound."""
    run_id, number = parse_event_id(event_id)
    try:
        return await open_stream(app, request, run_id, number)
    except RunNotFound:
        raise EventNotFound(event_id) from None


async def open_stream(app: AppState, request: Request, run_id: str, after: int = 0) -> Response:
    """The events of a run past number `after`; a snapshot where its log is gone and its record is not.

    At or after the terminal event a GET gets 204, upon which a browser stops asking; a POST gets an empty stream,
    as fetch-based clients take 204 for an error and ask for ever. Raises RunNotFound and EventNotFound.
    """
    view = choose_view(request.headers.get("accept"))
    try:
        size, ended = await app.event_log.size(run_id)
    except LogGone:
        record = await app.runs.record(run_id)
        if after >= record.last_event:
            return _nothing_more(request, view)
        return _stream(view, run_id, _snapshot(record), lambda: None)
    if ended and after >= size:
        return _nothing_more(request, view)
    if after > size:
        raise EventNotFound(f"{run_id}:{after}")
    reader = app.runs.read(run_id, after)
    return _stream(view, run_id, reader.next_batch, reader.leave)


def _stream(view: str, run_id: str, next_batch: NextBatch, leave: Callable[[], None]) -> EventStream:
    return EventStream(encode_stream(view, run_id, next_batch), view, leave)


def _nothing_more(request: Request, view: str) -> Response:
    if request.method == "GET":
        return Response(status_code=204, headers=HEADERS)
    return Response(status_code=200, headers=HEADERS, media_type=view)


def _snapshot(record: Record) -> NextBatch:
    """An ended turn as events, all under the number of its terminal one."""
    batches = [[Entry(record.last_event, event, encode_json(data)) for event, data in record.snapshot()]]

    async def next_batch() -> Sequence[Entry]:
        return batches.pop() if batches else []

    return next_batch
