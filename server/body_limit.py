"""The largest body of a request, enforced while it comes in and before anything parses it."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import error_response

MAX_BODY_BYTES = 256 * 1024
_MESSAGE = f"the body is larger than {MAX_BODY_BYTES // 1024} KiB."


class BodyLimit:
    """Answers 413 to a body beyond MAX_BODY_BYTES, by its declared length or by counting."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > MAX_BODY_BYTES:
            response = error_response(scope, "body_too_large", _MESSAGE)
            await response(scope, receive, send)
            return
        received_bytes = 0

        async def receive_counted() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > MAX_BODY_BYTES:
                raise HTTPException(413, _MESSAGE)
            return message

        await self._app(scope, receive_counted, send)
