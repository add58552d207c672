"""Sources: a passage in its document."""

from fastapi import APIRouter

from server.bodies import SourceBody, source_body
from server.state import App

router = APIRouter(prefix="/v1/sources", tags=["sources"])


@router.get("/{source_id}", response_model_exclude_unset=True)
async def show_source(source_id: str, app: App) -> SourceBody:
    """The passage with what stands around it, also of a version that was replaced since."""
    return source_body(await app.in_library(lambda library: library.source(source_id)))
