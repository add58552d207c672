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
        "default-src 'none'; connect-src 'self'; font-src 'self'; img-src 'self'; script-src 'self'; style-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
PATHS = ("/", "/t/{thread}", "/documents")
"""Where the one page is served: it shows what its address names."""
NOT_BUILT = "The chat page was not built. `make setup` builds it; the HTTP interface works without it.\n"


class Assets(StaticFiles):
    """Files whose names hold a hash of their content, so that a browser never has to ask again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at `path`."""
        response = await super().get_response(path, scope)
        response.headers.update({**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"})
        return response


def build_page_routes(static: Path) -> list[BaseRoute]:
    """The page at each of `PATHS`, and `/assets/…`, from a folder that need not exist."""

    def show_page(_request: Request) -> Response:
        index = static / "index.html"
        if not index.is_file():
            return PlainTextResponse(NOT_BUILT, headers=HEADERS)
        return FileResponse(index, headers={**HEADERS, "Cache-Control": "no-cache"})

    assets = Assets(directory=static / "assets", check_dir=False)
    return [*(Route(path, show_page) for path in PATHS), Mount("/assets", assets)]
