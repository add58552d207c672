"""Sources: a passage in its document, and its page where the document has pages that can be shown."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from graph.library import KEPT_FORMATS, SourceView, parse_source_id
from server.bodies import SourceBody, source_body
from server.errors import PageNotFound
from server.pictures import boxes_of, picture_of
from server.state import App

router = APIRouter(prefix="/v1/sources", tags=["sources"])

Offset = Annotated[int | None, Query(ge=0, le=2**40)]
FOREVER = "private, max-age=31536000, immutable"
"""A source id names a version and a slice of it, so what is shown of it never changes."""


@router.get("/{source_id}", response_model_exclude_unset=True)
async def show_source(source_id: str, app: App) -> SourceBody:
    """The passage with what stands around it, also of a version that was replaced since; boxes on the page of a PDF."""
    source = await app.in_library(lambda library: library.source(source_id))
    if not _has_pages(source):
        return source_body(source)
    return source_body(source, await boxes_of(app.backend.library.data_dir, source))


@router.get("/{source_id}/page.png", response_class=Response)
async def show_page(source_id: str, app: App, start: Offset = None, end: Offset = None) -> Response:
    """The passage's page of a PDF as a picture, with the passage marked, or its part from `start` to `end`.

    These count in the document, as a citation's span does.
    """
    source = await app.in_library(lambda library: library.source(source_id))
    if not _has_pages(source):
        raise PageNotFound("this document has no pages that can be shown: only PDF files have.")
    if start is not None or end is not None:
        version = parse_source_id(source_id)[0]
        begin, finish = source.start if start is None else start, source.end if end is None else end
        part = f"{version}.{max(begin, source.start)}-{min(finish, source.end)}"
        source = await app.in_library(lambda library: library.source(part))
    picture = await picture_of(app.backend.library.data_dir, source)
    return Response(picture, media_type="image/png", headers={"Cache-Control": FOREVER})


def _has_pages(source: SourceView) -> bool:
    return source.page is not None and source.document.format in KEPT_FORMATS
