"""Runs: the record of one, its events, and stopping it."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from server.bodies import RunBody, run_body
from server.errors import EventNotFound
from server.record import Record
from server.routes.chat import LastEventId
from server.state import App, AppState
from server.stream import NO_CONTENT, RESPONSES, open_stream, parse_event_id

router = APIRouter(prefix="/v1/runs", tags=["runs"])

LastEventIdInQuery = Annotated[str | None, Query(alias="last_event_id", description="Like the header.")]


@router.get("/{run_id}", response_model_exclude_unset=True)
async def show_run(run_id: str, app: App) -> RunBody:
    """The record of a run, also while it is running."""
    return await _body(app, await app.runs.record(run_id))


@router.get("/{run_id}/events", response_class=Response, responses=RESPONSES | NO_CONTENT)
async def stream_run(
    run_id: str,
    app: App,
    request: Request,
    last_event_id: LastEventId = None,
    last_event_id_in_query: LastEventIdInQuery = None,
) -> Response:
    """The events of a run from its start, or after Last-Event-ID."""
    event_id = last_event_id or last_event_id_in_query
    if not event_id:
        return await open_stream(app, request, run_id)
    of_run, number = parse_event_id(event_id)
    if of_run != run_id:
        raise EventNotFound(event_id)
    return await open_stream(app, request, run_id, number)


@router.post("/{run_id}/stop", response_model_exclude_unset=True)
async def stop_run(run_id: str, app: App) -> RunBody:
    """End a run and keep what it has written. One that has ended stays as it is."""
    return await _body(app, await app.runs.stop(run_id))


async def _body(app: AppState, record: Record) -> RunBody:
    ids = [source["id"] for source in record.sources or []]
    return run_body(record, await app.in_library(lambda library: library.passages(ids)))
