"""Logs: structlog's set-up, and the request id and access log of every request."""

import logging
import sys
import time
import traceback
import uuid
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.errors import CitestreamError

log = structlog.get_logger(__name__)


def set_up_logs(level: str) -> None:
    """Log to stderr from `level` on, ours and the libraries': lines for people on a terminal, else JSON."""
    terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        describe_exception,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    render = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for package in ("server", "graph", "citestream"):
        logging.getLogger(package).setLevel(level.upper())


def describe_exception(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put an exception's types and places into the event.

    Its message stays out unless it is ours: a library's message can hold text of a model provider, or a key.
    """
    exc_info = event.pop("exc_info", None)
    exc = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if exc is True:
        exc = sys.exception()
    if isinstance(exc, BaseException):
        event["exception"] = "\n".join(_describe(exc))
    return event


def _describe(exc: BaseException) -> list[str]:
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    lines = [*_describe(cause), "which led to:"] if cause is not None else []
    message = f": {exc.message}" if isinstance(exc, CitestreamError) else ""
    frames = [f"  {f.filename}:{f.lineno} in {f.name}" for f in traceback.extract_tb(exc.__traceback__)]
    lines += [f"{type(exc).__module__}.{type(exc).__qualname__}{message}", *frames]
    for inner in exc.exceptions if isinstance(exc, BaseExceptionGroup) else ():
        lines += _describe(inner)
    return lines


class RequestLog:
    """Gives every request an id of the server's own making, and logs it when it has ended."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started_at = time.monotonic()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                ms = round((time.monotonic() - started_at) * 1000)
                log.info("request", method=scope["method"], path=scope["path"], status=status, ms=ms)
