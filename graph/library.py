"""The library: which documents there are, their canonical text, and which version of each is live.

It is the truth about what is indexed; Chroma and tantivy hold what can be searched, under the ids given here. One
SQLite file in the data folder, read by every process and written by the one that holds the writer lock.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    update,
)

from graph.errors import CollectionNotFound, DocumentNotFound, IndexMismatch, SourceNotFound

SCHEMA_VERSION = 1
FILE_NAME = "library.db"
NEIGHBOUR_CHARS = 600
"""Characters shown before and after a passage."""
MAX_DIGITS = 12
"""Digits of an offset: more than any text has, less than SQLite's integers."""
SQL_BATCH = 500
"""Ids in one statement, below SQLite's smallest limit for variables."""

VersionState = Literal["staged", "live", "replaced"]

metadata = MetaData()
meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", Integer, nullable=False))
collections = Table(
    "collections",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("embedding", String, nullable=False),
    Column("chunker", String, nullable=False),
    Column("created_at", String, nullable=False),
)
documents = Table(
    "documents",
    metadata,
    Column("id", String, primary_key=True),
    Column("collection_id", ForeignKey("collections.id"), nullable=False),
    Column("source", String, nullable=False),
    Column("path", String, nullable=False),
    Column("live_version", String),
    Index("documents_path", "collection_id", "path", unique=True),
    Index("documents_source", "collection_id", "source", unique=True),
)
versions = Table(
    "versions",
    metadata,
    Column("id", String, primary_key=True),
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("state", String, nullable=False),
    Column("format", String, nullable=False),
    Column("title", String, nullable=False),
    Column("lang", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("mtime_ns", Integer, nullable=False),
    Column("loader", String, nullable=False),
    Column("ingested_at", String, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("text", Text, nullable=False),
)
chunks = Table(
    "chunks",
    metadata,
    Column("id", String, primary_key=True),
    Column("version_id", ForeignKey("versions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("page", Integer),
    Column("heading", String, nullable=False),
)


@dataclass(frozen=True)
class Chunk:
    """What the index stores: a slice of the canonical text, its page from 1 and its heading path `A > B`."""

    start: int
    end: int
    page: int | None = None
    heading: str = ""


@dataclass(frozen=True)
class NewVersion:
    """A document as just read, ready to be staged.

    `path` is absolute and tells documents apart; `source` is what people see; `sha256` is that of the file.
    """

    source: str
    path: str
    format: str
    title: str
    lang: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    loader: str
    text: str
    chunks: Sequence[Chunk]


@dataclass(frozen=True)
class StagedChunk:
    """A chunk with its id and text, as it goes into the index."""

    id: str
    text: str
    chunk: Chunk


@dataclass(frozen=True)
class Collection:
    """A set of documents searched together, bound to one embedding and one chunker."""

    id: str
    name: str
    embedding: str
    chunker: str


@dataclass(frozen=True)
class CollectionInfo:
    """A collection as it is listed."""

    name: str
    documents: int
    chunks: int
    embedding: str


@dataclass(frozen=True)
class KnownDocument:
    """What ingest compares a file with."""

    id: str
    source: str
    path: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    loader: str
    chunks: int


@dataclass(frozen=True)
class Document:
    """A document with a live version."""

    id: str
    source: str
    title: str
    collection: str
    format: str
    lang: str
    sha256: str
    chunks: int
    ingested_at: datetime
    status: str


@dataclass(frozen=True)
class SourceView:
    """A slice of a document with what stands around it."""

    id: str
    document: Document
    version: str
    live: bool
    text: str
    start: int
    end: int
    before: str
    after: str
    page: int | None
    heading: str | None


@dataclass(frozen=True)
class LiveChunk:
    """A chunk of a live version, with the metadata that a passage carries."""

    id: str
    text: str
    start: int
    end: int
    page: int | None
    heading: str
    document: str
    source: str
    title: str
    lang: str
    doc_sha256: str


@dataclass(frozen=True)
class Published:
    """The outcome of a flip: chunk ids of replaced versions by collection id, to be deleted from the index."""

    generation: int
    replaced: dict[str, list[str]]


class Library:
    """Open with `Library.open(data_dir)`; threads may share one object. Calls block, milliseconds at most."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, data_dir: Path) -> "Library":
        """Open the library in `data_dir`, creating both when missing.

        Raises IndexMismatch when a newer citestream wrote it.
        """
        data_dir.mkdir(parents=True, exist_ok=True)
        engine = create_engine(f"sqlite:///{data_dir / FILE_NAME}", connect_args={"timeout": 10})
        event.listen(engine, "connect", _set_pragmas)
        metadata.create_all(engine)
        with engine.begin() as connection:
            _check_schema(connection, data_dir / FILE_NAME)
        return cls(engine)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    # Collections

    def ensure_collection(self, name: str, embedding: str, chunker: str) -> Collection:
        """The collection of that name, made when missing.

        Raises IndexMismatch, naming both, when it was built with another embedding or chunker.
        """
        wanted = Collection(collection_id(name), name, embedding, chunker)
        with self._engine.begin() as connection:
            row = connection.execute(select(collections).where(collections.c.name == name)).one_or_none()
            if row is None:
                values = {"id": wanted.id, "name": name, "embedding": embedding, "chunker": chunker}
                connection.execute(insert(collections).values(**values, created_at=_now()))
                return wanted
        found = Collection(row.id, row.name, row.embedding, row.chunker)
        if found.chunker != chunker:
            raise IndexMismatch(
                f"the collection {name!r} was cut by the chunker {found.chunker!r}, this one cuts by {chunker!r}. "
                f"Ingest into another collection (--collection NAME), or remove the documents of {name!r} first."
            )
        check_embedding(found, embedding)
        return found

    def drop_empty_collection(self, name: str) -> str | None:
        """Forget a collection without documents, so that it may be built anew with another embedding.

        Returns its id, or None when there is none or it holds documents.
        """
        used = select(documents.c.id).where(documents.c.collection_id == collections.c.id).exists()
        gone = delete(collections).where(collections.c.name == name, ~used).returning(collections.c.id)
        with self._engine.begin() as connection:
            return connection.execute(gone).scalar_one_or_none()

    def collection(self, name: str) -> Collection:
        """The collection of that name. Raises CollectionNotFound."""
        with self._engine.connect() as connection:
            row = connection.execute(select(collections).where(collections.c.name == name)).one_or_none()
        if row is None:
            raise CollectionNotFound(
                f"there is no collection {name!r}. `citestream index stats` lists the ones there are; "
                f"`citestream ingest PATH --collection {name}` makes one."
            )
        return Collection(row.id, row.name, row.embedding, row.chunker)

    def collections(self) -> list[CollectionInfo]:
        """All collections by name, with what is live in them."""
        live = (
            select(
                documents.c.collection_id,
                func.count().label("documents"),
                func.coalesce(func.sum(versions.c.chunks), 0).label("chunks"),
            )
            .join(versions, versions.c.id == documents.c.live_version)
            .group_by(documents.c.collection_id)
            .subquery()
        )
        query = select(collections.c.name, collections.c.embedding, live.c.documents, live.c.chunks)
        query = query.outerjoin(live, live.c.collection_id == collections.c.id).order_by(collections.c.name)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [CollectionInfo(row.name, row.documents or 0, row.chunks or 0, row.embedding) for row in rows]

    def is_empty(self) -> bool:
        """Whether no document is live in any collection."""
        with self._engine.connect() as connection:
            query = select(documents.c.id).where(documents.c.live_version.is_not(None)).limit(1)
            return connection.execute(query).first() is None

    # Reading

    def generation(self) -> int:
        """A number that grows whenever what is live changes."""
        with self._engine.connect() as connection:
            return _generation(connection)

    def documents(
        self, collection: str | None = None, *, after: str | None = None, limit: int | None = None
    ) -> list[Document]:
        """Live documents ordered by id; `after` is the last id of the page before."""
        query = _document_query().order_by(documents.c.id)
        if collection is not None:
            query = query.where(documents.c.collection_id == self.collection(collection).id)
        if after is not None:
            query = query.where(documents.c.id > after)
        if limit is not None:
            query = query.limit(limit)
        with self._engine.connect() as connection:
            return [_document(row) for row in connection.execute(query)]

    def document(self, document_id: str) -> Document:
        """The live document with that id. Raises DocumentNotFound."""
        with self._engine.connect() as connection:
            row = connection.execute(_document_query().where(documents.c.id == document_id)).one_or_none()
        if row is None:
            raise DocumentNotFound(f"there is no document {document_id!r}. `citestream index list` shows all.")
        return _document(row)

    def known(self, collection: str) -> list[KnownDocument]:
        """Every live document of a collection as ingest compares it with files; [] for an unknown one."""
        query = (
            select(documents, versions)
            .join(versions, versions.c.id == documents.c.live_version)
            .join(collections, collections.c.id == documents.c.collection_id)
            .where(collections.c.name == collection)
        )
        with self._engine.connect() as connection:
            return [
                KnownDocument(r.id, r.source, r.path, r.sha256, r.size_bytes, r.mtime_ns, r.loader, r.chunks)
                for r in connection.execute(query)
            ]

    def live_chunks(self, ids: Iterable[str], where: dict[str, list[str]] | None = None) -> dict[str, LiveChunk]:
        """Those of the chunks whose version is live and whose document has the metadata `where`, by id."""
        found: dict[str, LiveChunk] = {}
        query = (
            select(
                chunks,
                func.substr(versions.c.text, chunks.c.start + 1, chunks.c.end - chunks.c.start).label("text"),
                versions.c.title,
                versions.c.lang,
                versions.c.format,
                versions.c.sha256,
                documents.c.id.label("document"),
                documents.c.source,
            )
            .join(versions, versions.c.id == chunks.c.version_id)
            .join(documents, documents.c.live_version == versions.c.id)
        )
        for key, values in (where or {}).items():
            query = query.where(_filter_column(key).in_(values))
        with self._engine.connect() as connection:
            for batch in _batches(list(ids)):
                for row in connection.execute(query.where(chunks.c.id.in_(batch))):
                    found[row.id] = _live_chunk(row)
        return found

    def passages(self, source_ids: Iterable[str]) -> dict[str, str]:
        """Full text by source id; ids whose text is gone are left out."""
        texts = {}
        with self._engine.connect() as connection:
            for source_id in source_ids:
                version, start, end = parse_source_id(source_id)
                row = connection.execute(_slice_query(version, start, end)).one_or_none()
                if row is not None and len(row.text) == end - start:
                    texts[source_id] = row.text
        return texts

    def source(self, source_id: str) -> SourceView:
        """The passage in its document, also of a version that was replaced. Raises SourceNotFound."""
        version, start, end = parse_source_id(source_id)
        window = max(0, start - NEIGHBOUR_CHARS)
        with self._engine.connect() as connection:
            row = connection.execute(_slice_query(version, window, end + NEIGHBOUR_CHARS)).one_or_none()
            if row is None or len(row.text) < end - window:
                raise SourceNotFound(f"there is no source {source_id!r}: it was removed, or never existed.")
            document = _document(
                connection.execute(_document_query(version).where(documents.c.id == row.document_id)).one()
            )
            chunk = connection.execute(select(chunks).where(chunks.c.id == source_id)).one_or_none()
        return SourceView(
            id=source_id,
            document=document,
            version=version,
            live=row.state == "live",
            text=row.text[start - window : end - window],
            start=start,
            end=end,
            before=row.text[: start - window],
            after=row.text[end - window :],
            page=chunk.page if chunk else None,
            heading=(chunk.heading or None) if chunk else None,
        )

    def text(self, document_id: str) -> str:
        """The canonical text of a document's live version. Raises DocumentNotFound."""
        query = select(versions.c.text).join(documents, documents.c.live_version == versions.c.id)
        with self._engine.connect() as connection:
            row = connection.execute(query.where(documents.c.id == document_id)).one_or_none()
        if row is None:
            raise DocumentNotFound(f"there is no document {document_id!r}. `citestream index list` shows all.")
        return str(row.text)

    # Writing: only the process that holds the writer lock calls these

    def stage(self, collection: Collection, new: NewVersion) -> tuple[str, list[StagedChunk]]:
        """Store a version that nobody sees yet; returns the document's id and the chunks to be indexed.

        Text and chunks that were staged before under the same id are replaced.
        """
        with self._engine.begin() as connection:
            document_id = _claim_document(connection, collection, new)
            version_id = f"{document_id}.{_version_hash(collection, new)}"
            connection.execute(delete(versions).where(versions.c.id == version_id, versions.c.state != "live"))
            connection.execute(insert(versions).values(**_version_values(version_id, document_id, new)))
            staged = [
                StagedChunk(_chunk_id(version_id, chunk), new.text[chunk.start : chunk.end], chunk)
                for chunk in new.chunks
            ]
            if staged:
                rows = [_chunk_values(version_id, item) for item in staged]
                connection.execute(insert(chunks), rows)
        return document_id, staged

    def discard_staged(self) -> dict[str, list[str]]:
        """Forget versions that a writer left staged when it died; returns their chunk ids by collection id."""
        left: dict[str, list[str]] = {}
        with self._engine.begin() as connection:
            query = (
                select(documents.c.collection_id, chunks.c.id)
                .join(versions, versions.c.document_id == documents.c.id)
                .join(chunks, chunks.c.version_id == versions.c.id)
            )
            for row in connection.execute(query.where(versions.c.state == "staged")):
                left.setdefault(row.collection_id, []).append(row.id)
            connection.execute(delete(versions).where(versions.c.state == "staged"))
            has_version = select(versions.c.id).where(versions.c.document_id == documents.c.id).exists()
            connection.execute(delete(documents).where(~has_version))
        return left

    def is_live_version(self, collection: Collection, new: NewVersion) -> str | None:
        """The document's id when exactly this version of it is live already."""
        with self._engine.connect() as connection:
            row = _find_document(connection, collection, new)
        if row is None or row.live_version != f"{row.id}.{_version_hash(collection, new)}":
            return None
        return str(row.id)

    def publish(self) -> Published:
        """Make every staged version live, in one transaction; a reader sees the old version or the new one."""
        replaced: dict[str, list[str]] = {}
        with self._engine.begin() as connection:
            staged = connection.execute(
                select(versions.c.id, versions.c.document_id, documents.c.live_version, documents.c.collection_id)
                .join(documents, documents.c.id == versions.c.document_id)
                .where(versions.c.state == "staged")
            ).all()
            for row in staged:
                if row.live_version is not None and row.live_version != row.id:
                    old = _chunk_ids(connection, [row.live_version])
                    replaced.setdefault(row.collection_id, []).extend(old)
                    _set_state(connection, row.live_version, "replaced")
                _set_state(connection, row.id, "live")
                connection.execute(
                    update(documents).where(documents.c.id == row.document_id).values(live_version=row.id)
                )
            generation = _bump_generation(connection) if staged else _generation(connection)
        return Published(generation, replaced)

    def remove(self, document_ids: Sequence[str]) -> dict[str, list[str]]:
        """Erase documents with every version's text; returns their chunk ids by collection id."""
        gone: dict[str, list[str]] = {}
        with self._engine.begin() as connection:
            for batch in _batches(list(document_ids)):
                query = (
                    select(documents.c.collection_id, chunks.c.id)
                    .join(versions, versions.c.document_id == documents.c.id)
                    .join(chunks, chunks.c.version_id == versions.c.id)
                )
                for row in connection.execute(query.where(documents.c.id.in_(batch))):
                    gone.setdefault(row.collection_id, []).append(row.id)
                connection.execute(delete(documents).where(documents.c.id.in_(batch)))
            _bump_generation(connection)
        return gone


def collection_id(name: str) -> str:
    """The id of a collection, which names it in both indexes: a hash, as Chroma takes few characters in a name."""
    return "c-" + hashlib.sha256(name.encode()).hexdigest()[:16]


def check_embedding(collection: Collection, embedding: str) -> None:
    """Raise IndexMismatch, naming both, when a collection was embedded by another model than the setting's."""
    if collection.embedding != embedding:
        raise IndexMismatch(
            f"the collection {collection.name!r} was embedded by {collection.embedding!r}, the setting says "
            f"{embedding!r}. Set CITESTREAM_EMBEDDING={collection.embedding}, or ingest into another collection."
        )


def parse_source_id(source_id: str) -> tuple[str, int, int]:
    """`(version id, start, end)` of a source id `<document>.<version>.<start>-<end>`. Raises SourceNotFound."""
    version, _, place = source_id.rpartition(".")
    start, _, end = place.partition("-")
    if not (version and start.isascii() and end.isascii() and start.isdigit() and end.isdigit()):
        raise SourceNotFound(f"{source_id[:80]!r} is no source id; it has the form document.version.start-end.")
    if len(place) > 2 * MAX_DIGITS or int(start) >= int(end):
        raise SourceNotFound(f"{source_id[:80]!r} is no source id: its range is empty.")
    return version, int(start), int(end)


FILTER_KEYS = {
    "source": documents.c.source,
    "title": versions.c.title,
    "lang": versions.c.lang,
    "format": versions.c.format,
}
"""Document metadata that a question's `filter` may name."""


def _filter_column(key: str) -> Column[str]:
    return FILTER_KEYS[key]


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _check_schema(connection: Connection, path: Path) -> None:
    found = connection.execute(select(meta.c.value).where(meta.c.key == "schema")).scalar_one_or_none()
    if found is None:
        values = [{"key": "schema", "value": SCHEMA_VERSION}, {"key": "generation", "value": 0}]
        connection.execute(insert(meta).prefix_with("OR IGNORE"), values)
    elif found > SCHEMA_VERSION:
        raise IndexMismatch(
            f"{path} was written by a newer citestream (schema {found}, this one knows {SCHEMA_VERSION}). "
            "Upgrade citestream, or set CITESTREAM_DATA_DIR to another folder."
        )


def _generation(connection: Connection) -> int:
    return int(connection.execute(select(meta.c.value).where(meta.c.key == "generation")).scalar_one())


def _bump_generation(connection: Connection) -> int:
    connection.execute(update(meta).where(meta.c.key == "generation").values(value=meta.c.value + 1))
    return _generation(connection)


def _document_query(version: str | None = None) -> Any:
    """Documents with their live version, or with the named one."""
    on = versions.c.id == (documents.c.live_version if version is None else version)
    return (
        select(
            documents.c.id,
            documents.c.source,
            collections.c.name.label("collection"),
            versions.c.title,
            versions.c.format,
            versions.c.lang,
            versions.c.sha256,
            versions.c.chunks,
            versions.c.ingested_at,
            versions.c.state,
        )
        .join(collections, collections.c.id == documents.c.collection_id)
        .join(versions, on)
    )


def _document(row: Row[Any]) -> Document:
    return Document(
        id=row.id,
        source=row.source,
        title=row.title,
        collection=row.collection,
        format=row.format,
        lang=row.lang,
        sha256=row.sha256,
        chunks=row.chunks,
        ingested_at=datetime.fromisoformat(row.ingested_at),
        status=row.state,
    )


def _live_chunk(row: Row[Any]) -> LiveChunk:
    return LiveChunk(
        id=row.id,
        text=row.text,
        start=row.start,
        end=row.end,
        page=row.page,
        heading=row.heading,
        document=row.document,
        source=row.source,
        title=row.title,
        lang=row.lang,
        doc_sha256=row.sha256,
    )


def _slice_query(version: str, start: int, end: int) -> Any:
    text = func.substr(versions.c.text, start + 1, end - start).label("text")
    return select(text, versions.c.document_id, versions.c.state).where(versions.c.id == version)


def _find_document(connection: Connection, collection: Collection, new: NewVersion) -> Row[Any] | None:
    """The document that `new` is a version of: the one at its path, or one whose file of that source has moved."""
    mine = documents.c.collection_id == collection.id
    row = connection.execute(select(documents).where(mine, documents.c.path == new.path)).one_or_none()
    if row is None:
        row = connection.execute(select(documents).where(mine, documents.c.source == new.source)).one_or_none()
    return row


def _claim_document(connection: Connection, collection: Collection, new: NewVersion) -> str:
    row = _find_document(connection, collection, new)
    if row is not None:
        connection.execute(update(documents).where(documents.c.id == row.id).values(path=new.path))
        return str(row.id)
    identity = json.dumps([collection.name, new.source]).encode()
    document_id = hashlib.sha256(identity).hexdigest()[:12]
    values = {"id": document_id, "collection_id": collection.id, "source": new.source, "path": new.path}
    connection.execute(insert(documents).values(**values))
    return document_id


def _version_hash(collection: Collection, new: NewVersion) -> str:
    """Names what the chunks depend on: the file, the loader and the chunker."""
    return hashlib.sha256(f"{new.sha256}\n{new.loader}\n{collection.chunker}".encode()).hexdigest()[:8]


def _version_values(version_id: str, document_id: str, new: NewVersion) -> dict[str, Any]:
    return {
        "id": version_id,
        "document_id": document_id,
        "state": "staged",
        "format": new.format,
        "title": new.title,
        "lang": new.lang,
        "sha256": new.sha256,
        "size_bytes": new.size_bytes,
        "mtime_ns": new.mtime_ns,
        "loader": new.loader,
        "ingested_at": _now(),
        "chunks": len(new.chunks),
        "text": new.text,
    }


def _chunk_id(version_id: str, chunk: Chunk) -> str:
    return f"{version_id}.{chunk.start}-{chunk.end}"


def _chunk_values(version_id: str, item: StagedChunk) -> dict[str, Any]:
    chunk = item.chunk
    values = {"start": chunk.start, "end": chunk.end, "page": chunk.page, "heading": chunk.heading}
    return {"id": item.id, "version_id": version_id, **values}


def _chunk_ids(connection: Connection, version_ids: Sequence[str]) -> list[str]:
    query = select(chunks.c.id).where(chunks.c.version_id.in_(version_ids))
    return [str(row.id) for row in connection.execute(query)]


def _set_state(connection: Connection, version_id: str, state: VersionState) -> None:
    connection.execute(update(versions).where(versions.c.id == version_id).values(state=state))


def _batches(ids: list[str]) -> Iterable[list[str]]:
    for begin in range(0, len(ids), SQL_BATCH):
        yield ids[begin : begin + SQL_BATCH]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
