"""The library: which collections and documents are indexed."""

from typing import Annotated

from fastapi import APIRouter, Query

from server.bodies import (
    Collections,
    DocumentBody,
    Documents,
    collection_body,
    document_body,
)
from server.state import App

router = APIRouter(prefix="/v1", tags=["library"])

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
