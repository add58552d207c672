"""Health: whether the process lives, and whether it can answer."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from graph.errors import CitestreamError
from server.errors import DatabaseUnavailable
from server.eventlog import EventsUnavailable
from server.state import App

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def tell_alive() -> dict[str, str]:
    """The process serves requests."""
    return {"status": "ok"}


@router.get("/readyz")
async def tell_ready(app: App) -> JSONResponse:
    """Index and database are usable and the server takes questions. An empty index is ready."""
    reasons: list[str] = []
    state: dict[str, Any] = {"model": app.backend.model_name}
    if app.runs.closing:
        reasons.append("the server is shutting down")
    try:
        state["index_empty"] = await app.in_library(lambda library: library.is_empty())
    except (CitestreamError, SQLAlchemyError):
        reasons.append("the index cannot be read")
    try:
        await app.threads.check()
    except DatabaseUnavailable:
        reasons.append("the database of the conversations cannot be read")
    try:
        await app.event_log.ready()
    except EventsUnavailable:
        reasons.append("the events of running answers cannot be kept")
    if reasons:
        return JSONResponse({"status": "unready", **state, "reasons": reasons}, 503)
    return JSONResponse({"status": "ready", **state})
