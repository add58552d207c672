"""The largest body of a request, enforced while it comes in and before anything parses it."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import error_response

MAX_BODY_BYTES = 256 * 1024
MAX_UPLOAD_BYTES = 65 * 1024 * 1024
"""Of a request that brings a document: the largest file that can be read, and what a form puts around it."""
UPLOADS = ("POST", "/v1/documents")


class BodyLimit:
    """Answers 413 to a body that is too large, by its declared length or by counting."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MAX_UPLOAD_BYTES if (scope["method"], scope["path"]) == UPLOADS else MAX_BODY_BYTES
        too_large = f"the body is larger than {limit // 1024:,} KiB."
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
            response = error_response(scope, "body_too_large", too_large)
            await response(scope, receive, send)
            return
        received_bytes = 0

        async def receive_counted() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > limit:
                raise HTTPException(413, too_large)
            return message

        await self._app(scope, receive_counted, send)
