"""Errors on the wire: the one table from error code to HTTP status, and the handlers that apply it.

The server's own branch of the tree in graph/errors.py:

* CitestreamError
  + InvalidRequest           invalid_request
  + ThreadNotFound           thread_not_found
  + RunNotFound              run_not_found
  + PageNotFound             page_not_found
  + EventNotFound            event_not_found
  + RunConflict              run_conflict
  + MessageNotFound          message_not_found
  + ThreadBusy               thread_busy
  + TooManyRuns              too_many_runs
  + RunTimeout               run_timeout
  + ServerRestart            server_restart
  + ShuttingDown             shutting_down
  + DatabaseUnavailable      database_unavailable
  + DatabaseNewer            database_newer
  + EventsUnavailable        events_unavailable    (server/eventlog)
"""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Scope
from typing_extensions import TypedDict

from graph.errors import CitestreamError

log = structlog.get_logger(__name__)

STATUS: Mapping[str, int] = {
    "invalid_json": 400,
    "collection_not_found": 404,
    "document_not_found": 404,
    "event_not_found": 404,
    "message_not_found": 404,
    "not_found": 404,
    "page_not_found": 404,
    "run_not_found": 404,
    "source_not_found": 404,
    "thread_not_found": 404,
    "method_not_allowed": 405,
    "index_empty": 409,
    "index_mismatch": 409,
    "run_conflict": 409,
    "thread_busy": 409,
    "body_too_large": 413,
    "document_unreadable": 422,
    "invalid_request": 422,
    "database_newer": 500,
    "internal": 500,
    "settings_invalid": 500,
    "model_misbehaved": 502,
    "model_refused": 502,
    "database_unavailable": 503,
    "events_unavailable": 503,
    "index_locked": 503,
    "index_unusable": 503,
    "model_rate_limited": 503,
    "model_unavailable": 503,
    "server_restart": 503,
    "shutting_down": 503,
    "too_many_runs": 503,
    "model_timeout": 504,
    "run_timeout": 504,
}
"""Every code that a client can meet, in `failed` events as well, and its HTTP status."""

RETRY_AFTER_S: Mapping[str, int] = {
    "database_unavailable": 5,
    "events_unavailable": 5,
    "index_locked": 10,
    "index_unusable": 10,
    "model_rate_limited": 20,
    "model_unavailable": 5,
    "shutting_down": 5,
    "thread_busy": 2,
    "too_many_runs": 2,
}
"""Codes sent with `Retry-After`, and its seconds."""

INTERNAL_MESSAGE = "something went wrong inside citestream; its log has the details under the request id or run id."

_HTTP_CODES = {400: "invalid_json", 404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
_PROBLEMS = {
    "extra_forbidden": "is not a known name",
    "missing": "is missing",
    "string_unicode": "must be valid Unicode (it holds half of a surrogate pair)",
}
_MAX_PROBLEMS = 3


class ErrorDetail(TypedDict):
    """What happened and what to do, written for a person; `code` is one of STATUS."""

    code: str
    message: str
    request_id: str | None


class ErrorBody(TypedDict):
    """What an endpoint answers in place of a result."""

    error: ErrorDetail


RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"model": ErrorBody, "description": "An error; `error.code` tells which."}
}
"""For the OpenAPI document of every route."""


class InvalidRequest(CitestreamError):
    """What was asked for cannot be done as it was asked."""

    code = "invalid_request"


class ThreadNotFound(CitestreamError):
    """No thread has this id."""

    code = "thread_not_found"

    def __init__(self, thread_id: str) -> None:
        super().__init__(f"there is no thread {thread_id[:80]!r}. Leave thread_id out to start a new one.")


class PageNotFound(CitestreamError):
    """A document has no pages that can be shown, or the file that has them is not kept."""

    code = "page_not_found"


class RunNotFound(CitestreamError):
    """No run has this id, or it was a stateless one whose events are gone."""

    code = "run_not_found"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id[:80]!r}. Runs without a thread are kept for some minutes only.")


class EventNotFound(CitestreamError):
    """A Last-Event-ID names no event."""

    code = "event_not_found"

    def __init__(self, event_id: str) -> None:
        super().__init__(f"there is no event {event_id[:120]!r} to go on from. Ask again without Last-Event-ID.")


class RunConflict(CitestreamError):
    """A run_id is taken by another question."""

    code = "run_conflict"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"the run {run_id!r} answers another question. Choose a new run_id for a new question.")


class MessageNotFound(CitestreamError):
    """No turn has this message, or not in the thread that was named."""

    code = "message_not_found"

    def __init__(self, message_id: str) -> None:
        super().__init__(f"there is no message {message_id[:80]!r} here. Read the thread again for what it holds now.")


class ThreadBusy(CitestreamError):
    """A thread is still answering and takes no further question."""

    code = "thread_busy"
    retryable = True


class TooManyRuns(CitestreamError):
    """The process works on as many answers as it may."""

    code = "too_many_runs"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the server is answering as many questions as it can. Ask again in a moment.")


class RunTimeout(CitestreamError):
    """A run took longer than a run may."""

    code = "run_timeout"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the answer took too long. Ask again, or raise CITESTREAM_RUN_TIMEOUT_S.")


class ServerRestart(CitestreamError):
    """The process that answered has died."""

    code = "server_restart"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the server stopped while it answered. Ask again.")


class ShuttingDown(CitestreamError):
    """The server is about to stop."""

    code = "shutting_down"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the server is shutting down. Ask again in a moment.")


class DatabaseUnavailable(CitestreamError):
    """The database of the conversations does not answer, is locked or full."""

    code = "database_unavailable"
    retryable = True

    def __init__(self) -> None:
        super().__init__(
            "the database of the conversations does not answer. Try again; the operator finds the reason in the log."
        )


class DatabaseNewer(CitestreamError):
    """A newer citestream wrote the conversations."""

    code = "database_newer"


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error of `app` as `{"error": {"code", "message", "request_id"}}`."""
    app.exception_handler(CitestreamError)(_answer_citestream_error)
    app.exception_handler(RequestValidationError)(_answer_validation_error)
    app.exception_handler(HTTPException)(_answer_http_exception)
    app.exception_handler(Exception)(_answer_unexpected)


def error_response(scope: Scope, code: str, message: str) -> JSONResponse:
    """The contract's error body with the status and headers of its code."""
    request_id = scope.get("state", {}).get("request_id")
    headers = {"Retry-After": str(RETRY_AFTER_S[code])} if code in RETRY_AFTER_S else None
    body: ErrorBody = {"error": {"code": code, "message": message, "request_id": request_id}}
    return JSONResponse(body, STATUS.get(code, 500), headers)


async def _answer_citestream_error(request: Request, exc: CitestreamError) -> JSONResponse:
    return error_response(request.scope, exc.code, exc.message)


async def _answer_validation_error(request: Request, exc: RequestValidationError) -> JSONResponse:
    errors = exc.errors()
    if errors[0]["type"] == "json_invalid" and errors[0]["loc"][0] == "body":
        place = errors[0]["loc"][-1]
        return error_response(request.scope, "invalid_json", f"the body is not valid JSON (at character {place}).")
    return error_response(request.scope, "invalid_request", explain_validation(errors))


async def _answer_http_exception(request: Request, exc: HTTPException) -> JSONResponse:
    code = _HTTP_CODES.get(exc.status_code, "internal")
    messages = {
        "invalid_json": "the body is not valid JSON.",
        "not_found": f"there is nothing at {request.url.path[:200]!r}. /openapi.json lists what there is.",
        "method_not_allowed": f"{request.method} is not possible here.",
        "body_too_large": str(exc.detail),
    }
    response = error_response(request.scope, code, messages.get(code, INTERNAL_MESSAGE))
    response.headers.update(exc.headers or {})
    return response


async def _answer_unexpected(request: Request, exc: Exception) -> JSONResponse:
    # Starlette raises it again after this answer, and uvicorn logs the traceback.
    log.error("request_failed", path=request.url.path, error=type(exc).__name__)
    return error_response(request.scope, "internal", INTERNAL_MESSAGE)


def explain_validation(errors: Sequence[Any]) -> str:
    """Say which fields are wrong and how, without repeating what was sent."""
    problems = [f"{_field(error['loc'])}: {_problem(error)}" for error in errors[:_MAX_PROBLEMS]]
    if len(errors) > _MAX_PROBLEMS:
        problems.append(f"and {len(errors) - _MAX_PROBLEMS} more")
    return "; ".join(problems) + "."


def _field(loc: Sequence[Any]) -> str:
    place, *names = loc
    return ".".join(str(name)[:60] for name in names) or str(place)


def _problem(error: Mapping[str, Any]) -> str:
    if error["type"] == "model_attributes_type":
        return "send a JSON object, with the header Content-Type: application/json"
    text = _PROBLEMS.get(error["type"]) or str(error["msg"])
    return text.removeprefix("Value error, ")
