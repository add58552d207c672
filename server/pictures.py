"""Pictures of pages: pdfium works in a process of its own, with a limit of time, so that no file harms the server."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_process
import structlog

from graph import pages
from graph.library import SourceView, path_of
from graph.pages import Box
from server.errors import PageNotFound

SECONDS = 20.0
"""What one page may take, with the start of the process."""
PROCESSES = 2

T = TypeVar("T")

log = structlog.get_logger(__name__)
_limiter: list[anyio.CapacityLimiter] = []


async def boxes_of(data_dir: Path, source: SourceView) -> list[Box]:
    """Where a source stands on its page; [] when its file is not kept, or cannot be shown."""
    file = path_of(data_dir, source.document.sha256)
    return await _in_process(pages.locate, file, source) or []


async def picture_of(data_dir: Path, source: SourceView) -> bytes:
    """The page of a source with the source marked. Raises PageNotFound when it cannot be shown."""
    file = path_of(data_dir, source.document.sha256)
    picture = await _in_process(pages.draw, file, source)
    if picture is None:
        raise PageNotFound("the page cannot be shown: its file was not kept, or is damaged. Ingest the document again.")
    return picture


async def _in_process(work: Callable[[Path, int, str, str], T], file: Path, source: SourceView) -> T | None:
    if source.page is None or not await anyio.Path(file).is_file():
        return None
    if not _limiter:  # made where there is an event loop
        _limiter.append(anyio.CapacityLimiter(PROCESSES))
    try:
        with anyio.fail_after(SECONDS):
            return await anyio.to_process.run_sync(
                work, file, source.page, source.before, source.text, cancellable=True, limiter=_limiter[0]
            )
    except Exception:  # a file may make pdfium fail in any way, or end its process
        log.exception("page_failed", source=source.id)
        return None
