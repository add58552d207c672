"""The page: the files that the build put into server/static/."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parents[1] / "static"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; img-src 'self' data:; script-src 'self'; style-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
NOT_BUILT = "The chat page was not built. `make setup` builds it; the HTTP interface works without it.\n"


class Assets(StaticFiles):
    """Files whose names hold a hash of their content, so that a browser never has to ask again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at `path`."""
        response = await super().get_response(path, scope)
        response.headers.update({**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"})
        return response


def build_page_routes(static: Path) -> list[BaseRoute]:
    """`/` and `/assets/…` from a folder that need not exist."""

    async def show_page(_request: Request) -> Response:
        index = static / "index.html"
        if not index.is_file():
            return PlainTextResponse(NOT_BUILT, headers=HEADERS)
        return FileResponse(index, headers={**HEADERS, "Cache-Control": "no-cache"})

    assets = Assets(directory=static / "assets", check_dir=False)
    return [Route("/", show_page), Mount("/assets", assets)]
