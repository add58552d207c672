"""The chat routes: ask, and read the answer as a stream or at once."""

from typing import Annotated

import anyio
from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from graph.errors import IndexEmpty
from graph.library import Library
from server.ask import Ask, AskQuery
from server.bodies import AnswerBody, answer_body
from server.errors import error_response
from server.eventlog import EventsUnavailable
from server.record import Record
from server.state import App, AppState
from server.stream import NO_CONTENT, RESPONSES, open_stream, resume_stream

router = APIRouter(tags=["chat"])

CLIENT_GONE = 499
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", description="Go on after this event; never starts a run.")
]


@router.post("/v1/chat/stream", response_class=Response, responses=RESPONSES)
@router.post("/chat_stream", response_class=Response, responses=RESPONSES, include_in_schema=False)
async def stream_answer(ask: Ask, app: App, request: Request, last_event_id: LastEventId = None) -> Response:
    """Ask, and read the events of the run that answers."""
    if last_event_id:
        return await resume_stream(app, request, last_event_id)
    return await open_stream(app, request, await _run_of(app, ask))


@router.get("/v1/chat/stream", response_class=Response, responses=RESPONSES | NO_CONTENT)
@router.get("/chat_stream", response_class=Response, responses=RESPONSES | NO_CONTENT, include_in_schema=False)
async def stream_answer_to_browser(
    ask: Annotated[AskQuery, Query()], app: App, request: Request, last_event_id: LastEventId = None
) -> Response:
    """The same for a browser's EventSource."""
    event_id = last_event_id or ask.last_event_id
    if event_id:
        return await resume_stream(app, request, event_id)
    return await open_stream(app, request, await _run_of(app, ask))


@router.post("/v1/chat", response_model=AnswerBody)
async def answer(ask: Ask, app: App, request: Request) -> Response | AnswerBody:
    """Ask, and get the answer when it is complete. A client that leaves is a reader that leaves."""
    run_id = await _run_of(app, ask)
    record, gone = await _read_to_end(app, request, run_id)
    if record.running and gone:
        return Response(status_code=CLIENT_GONE)
    if record.running:
        raise EventsUnavailable("it was lost in the middle of the answer")
    if record.error is not None:
        return error_response(request.scope, record.error["code"], record.error["message"])
    return answer_body(record)


async def _run_of(app: AppState, ask: Ask) -> str:
    """The run that the ask names, or a new one once it is certain that it can be answered."""
    run_id = await app.runs.find(ask)
    if run_id is not None:
        return run_id
    if ask.thread_id is not None:
        await app.threads.thread(ask.thread_id)
    if not app.backend.is_searchable(ask.collections):
        await app.in_library(lambda library: _check_searchable(library, ask.collections))
    return await app.runs.start(ask)


def _check_searchable(library: Library, collections: list[str]) -> None:
    if library.is_empty():
        raise IndexEmpty("nothing is indexed yet. Index a file or folder first: `citestream ingest PATH`.")
    for name in collections:
        library.collection(name)


async def _read_to_end(app: AppState, request: Request, run_id: str) -> tuple[Record, bool]:
    """Read the run to its terminal event, or until the client has gone: what is known of it then, and which it was."""
    reader = app.runs.read(run_id)
    gone = False

    async def leave_with_client() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(leave_with_client)
            async for _ in reader:
                pass
            group.cancel_scope.cancel()
    finally:
        reader.leave()
    return await app.runs.record(run_id), gone
