"""Threads: list, read, rename, delete."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from server.ask import storable
from server.bodies import ThreadBody, Threads, thread_body
from server.state import App

router = APIRouter(prefix="/v1/threads", tags=["threads"])

MAX_TITLE_CHARS = 200
Limit = Annotated[int, Query(ge=1, le=100)]


class Rename(BaseModel):
    """Another title for a thread."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TITLE_CHARS),
        AfterValidator(storable),
    ]


@router.get("", response_model_exclude_unset=True)
async def list_threads(app: App, cursor: str | None = None, limit: Limit = 20) -> Threads:
    """Threads without their turns, newest first."""
    page, following = await app.threads.page(cursor, limit)
    return Threads(items=[thread_body(thread) for thread in page], next=following)


@router.get("/{thread_id}", response_model_exclude_unset=True)
async def show_thread(thread_id: str, app: App) -> ThreadBody:
    """A thread and its turns with sources and citations as they were."""
    thread = await app.threads.thread(thread_id)
    return thread_body(thread, await app.threads.turns(thread_id))


@router.patch("/{thread_id}", response_model_exclude_unset=True)
async def rename_thread(thread_id: str, rename: Rename, app: App) -> ThreadBody:
    """Give a thread another title."""
    return thread_body(await app.threads.rename(thread_id, rename.title))


@router.delete("/{thread_id}", status_code=204)
async def delete_thread(thread_id: str, app: App) -> Response:
    """Erase a thread, its turns and their events; what runs in it is stopped."""
    await app.runs.erase_thread(thread_id)
    return Response(status_code=204)
