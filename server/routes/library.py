"""The library: which collections and documents are indexed; documents taken in and out."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Form, Header, Query, Response, UploadFile
from starlette.requests import Request

from graph.limits import DEFAULT_COLLECTION, MAX_NAME_CHARS
from server.bodies import (
    Collections,
    DocumentBody,
    Documents,
    collection_body,
    document_body,
)
from server.eventlog import Entry
from server.events import Failure
from server.schema import event_reference
from server.sse import NDJSON, SSE, choose_view, encode_json, encode_stream
from server.state import App
from server.stream import EventStream
from server.uploads import UploadRefused

router = APIRouter(prefix="/v1", tags=["library"])

EVENT = event_reference("UploadEvent")
PROGRESS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`progress` for each file that was read, then `done` or `failed`.",
        "content": {SSE: EVENT, NDJSON: EVENT},
    },
}

Limit = Annotated[int, Query(ge=1, le=500)]


@router.get("/collections")
async def list_collections(app: App) -> Collections:
    """All collections by name."""
    found = await app.in_library(lambda library: library.collections())
    return Collections(items=[collection_body(collection) for collection in found], next=None)


@router.get("/documents")
async def list_documents(
    app: App, collection: str | None = None, cursor: str | None = None, limit: Limit = 100
) -> Documents:
    """Documents, of one collection or of all."""
    found = await app.in_library(lambda library: library.documents(collection, after=cursor, limit=limit + 1))
    following = found[limit - 1].id if len(found) > limit else None
    return Documents(items=[document_body(document) for document in found[:limit]], next=following)


@router.get("/documents/{document_id}")
async def show_document(document_id: str, app: App) -> DocumentBody:
    """One document."""
    return document_body(await app.in_library(lambda library: library.document(document_id)))


@router.post("/documents", response_class=Response, responses=PROGRESS)
async def upload_document(
    request: Request,
    app: App,
    file: UploadFile,
    collection: Annotated[str, Form(min_length=1, max_length=MAX_NAME_CHARS)] = DEFAULT_COLLECTION,
    accept: Annotated[str | None, Header()] = None,
) -> EventStream:
    """Take a file in; its name tells what it is called, and one of the same name is replaced.

    Events: `progress` for each file read (an archive holds several), then `done` with the document, or `failed`.
    """
    _refuse_other_sites(request)
    path = await app.uploads.keep(file.file, file.filename or "", collection)
    lines = app.uploads.ingest(path, collection)

    async def events() -> AsyncGenerator[Entry]:
        refused: dict[str, Any] | None = None
        number = code = 0
        async for line in lines:
            if "status" in line:
                number += 1
                refused = line if line["status"] in ("failed", "skipped") else refused
                yield Entry(number, "progress", encode_json(line))
            code = line.get("exit", code)
        document = await app.in_library(lambda library: library.document_at(collection, str(path)))
        if code == 0 and refused is None:
            shown = document_body(document).model_dump(mode="json") if document else None
            yield Entry(number + 1, "done", encode_json({"document": shown}))
        else:
            yield Entry(number + 1, "failed", encode_json(_failure(refused)))

    told = events()

    async def next_batch() -> list[Entry]:
        entry = await anext(told, None)
        return [] if entry is None else [entry]

    view = choose_view(accept)
    return EventStream(encode_stream(view, uuid4().hex, next_batch), view, lines.close)


@router.delete("/documents/{document_id}", status_code=204)
async def delete_document(document_id: str, request: Request, app: App) -> Response:
    """Erase a document with its text in every version."""
    _refuse_other_sites(request)
    await app.uploads.remove(app.backend.library, document_id)
    return Response(status_code=204)


def _failure(refused: dict[str, Any] | None) -> Failure:
    if refused is None:
        code, message = "internal", "the document could not be taken in; see the server's log."
    else:
        code, message = "document_unreadable", f"{refused['path']} cannot be read: {refused['reason']}."
    return {"code": code, "message": message, "retryable": refused is None}


def _refuse_other_sites(request: Request) -> None:
    """A page of another site may send forms here with a browser that can reach this server."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise UploadRefused("documents are changed from this server's own pages, or by programs.")
