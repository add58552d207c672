"""Reading the library: collections, documents, live chunks, and the text around a source."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Row,
    Select,
    String,
    bindparam,
    func,
    select,
)

from graph.errors import CollectionNotFound, DocumentNotFound, SourceNotFound
from graph.library.records import (
    Chunk,
    Collection,
    CollectionInfo,
    Document,
    Holding,
    KnownDocument,
    LiveChunk,
    NewVersion,
    Section,
    SourceView,
    parse_source_id,
)
from graph.library.structure import unpack_blocks
from graph.library.tables import (
    UNFINISHED,
    chunks,
    collections,
    documents,
    generation_of,
    open_engine,
    spare_indexes,
    versions,
)

Slice = tuple[str, int, int]
"""The id of a version, and from where to where in its text."""

NEIGHBOUR_CHARS = 600
"""Characters shown before and after a passage."""
SECTION_CHARS = 3000
"""Characters before and after a passage that it may be widened into."""
SQL_BATCH = 500
"""Ids in one statement, below SQLite's smallest limit for variables."""

# Statements of every search are made once: to make one takes longer than to run it. Their ids come as one value.
_IDS = select(func.json_each(bindparam("ids", type_=String)).table_valued("value").c.value)


# Slices come as one value too, `[[version, start, end], …]`, and are told apart by their place in it.
_SLICES = func.json_each(bindparam("slices", type_=String)).table_valued("key", "value")
_VERSION = func.json_extract(_SLICES.c.value, "$[0]")
_START = func.json_extract(_SLICES.c.value, "$[1]", type_=Integer)
_END = func.json_extract(_SLICES.c.value, "$[2]", type_=Integer)


def _near() -> Select[Any]:
    """`start` and `end` of the chunks of a section, near each slice that begins where a chunk does."""
    first = chunks.alias()
    found = select(_SLICES.c.key, chunks.c.start, chunks.c.end).distinct()
    found = found.join(first, (first.c.version_id == _VERSION) & (first.c.start == _START))
    found = found.join(chunks, chunks.c.version_id == first.c.version_id)
    found = found.where(
        chunks.c.end > first.c.start - SECTION_CHARS,
        chunks.c.start < _END + SECTION_CHARS,
        chunks.c.heading == first.c.heading,
        chunks.c.page.is_not_distinct_from(first.c.page),
    )
    return found.order_by(_SLICES.c.key, chunks.c.start)


def _texts() -> Select[Any]:
    """The text of each slice."""
    text = func.substr(versions.c.text, _START + 1, _END - _START).label("text")
    return select(_SLICES.c.key, text).join(versions, versions.c.id == _VERSION)


def _stretches() -> Select[Any]:
    """Each version's text from the first to the last of the chunks `ids`: SQLite reads a long text for each slice."""
    stretches = (
        select(chunks.c.version_id, func.min(chunks.c.start).label("first"), func.max(chunks.c.end).label("last"))
        .where(chunks.c.id.in_(_IDS))
        .group_by(chunks.c.version_id)
        .subquery()
    )
    text = func.substr(versions.c.text, stretches.c.first + 1, stretches.c.last - stretches.c.first).label("text")
    found = select(stretches.c.version_id, stretches.c.first, text)
    return found.join(versions, versions.c.id == stretches.c.version_id)


def _live(is_live: ColumnElement[bool]) -> Select[Any]:
    """The version of each of the chunks `ids`, and what a LiveChunk has but its text, in the order of its fields."""
    found = select(
        chunks.c.version_id,
        chunks.c.id,
        chunks.c.start,
        chunks.c.end,
        chunks.c.page,
        chunks.c.heading,
        documents.c.id,
        documents.c.source,
        versions.c.title,
        versions.c.lang,
        versions.c.sha256,
    )
    found = found.join(versions, versions.c.id == chunks.c.version_id)
    found = found.join(documents, documents.c.id == versions.c.document_id)
    return found.where(is_live, chunks.c.id.in_(_IDS))


_GENERATION: BindParameter[int] = bindparam("generation", type_=Integer)
_LIVE_NOW = _live(versions.c.live_from.is_not(None) & versions.c.live_until.is_(None))
_WAS_LIVE = (versions.c.live_from <= _GENERATION) & (
    versions.c.live_until.is_(None) | (versions.c.live_until > _GENERATION)
)
_LIVE_THEN = _live(_WAS_LIVE)
_LIVE_VERSIONS = select(versions.c.id).where(versions.c.id.in_(_IDS), _WAS_LIVE, versions.c.state != "removed")
_COLLECTION = select(collections).where(collections.c.name == bindparam("called"))
_ANY_DOCUMENT = select(documents.c.id).where(documents.c.live_version.is_not(None)).limit(1)
_NEAR = _near()
_TEXTS = _texts()
_STRETCHES = _stretches()
_SLICE = select(
    func.substr(versions.c.text, bindparam("start", type_=Integer) + 1, bindparam("length")).label("text"),
    versions.c.document_id,
    versions.c.state,
).where(versions.c.id == bindparam("version"))


class Library:
    """Open with `Library.open(data_dir)`; threads may share one object. Calls block, milliseconds at most."""

    def __init__(self, engine: Engine, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._engine = engine

    @classmethod
    def open(cls, data_dir: Path) -> Self:
        """Open the library in `data_dir`, creating both when missing.

        Raises IndexMismatch when a newer citestream wrote it.
        """
        return cls(open_engine(data_dir), data_dir)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def collection(self, name: str) -> Collection:
        """The collection of that name. Raises CollectionNotFound."""
        with self._engine.connect() as connection:
            row = connection.execute(_COLLECTION, {"called": name}).one_or_none()
        if row is None:
            raise no_collection(name)
        return as_collection(row)

    def open_collections(self) -> list[Collection]:
        """All collections, as they are searched."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(collections)).all()
        return [as_collection(row) for row in rows]

    def live_ids(self, collection: Collection) -> set[str]:
        """The ids of all live chunks of a collection."""
        query = (
            select(chunks.c.id)
            .join(versions, versions.c.id == chunks.c.version_id)
            .join(documents, documents.c.live_version == versions.c.id)
            .where(documents.c.collection_id == collection.id)
        )
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def chunk_ids(self, document_id: str) -> list[str]:
        """The ids of a document's live chunks, in the order of its text."""
        query = (
            select(chunks.c.id)
            .join(documents, documents.c.live_version == chunks.c.version_id)
            .where(documents.c.id == document_id)
            .order_by(chunks.c.start)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def ended_chunks(self) -> int:
        """How many chunks may be in the indexes that are not live: of versions not published yet, or just replaced."""
        query = select(func.coalesce(func.sum(versions.c.chunks), 0))
        with self._engine.connect() as connection:
            return int(connection.execute(query.where(versions.c.state.in_(UNFINISHED))).scalar_one())

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

    def holdings(self) -> list[Holding]:
        """What is live, by collection, format and language."""
        kind = (collections.c.name, versions.c.format, versions.c.lang)
        query = (
            select(*kind, func.count(), func.coalesce(func.sum(versions.c.chunks), 0), func.sum(versions.c.size_bytes))
            .join(documents, documents.c.live_version == versions.c.id)
            .join(collections, collections.c.id == documents.c.collection_id)
            .group_by(*kind)
            .order_by(*kind)
        )
        with self._engine.connect() as connection:
            return [Holding(*row) for row in connection.execute(query)]

    def begun_indexes(self) -> dict[str, str]:
        """The embedding of the index that is being built for a collection, by its name; also when nobody goes on."""
        query = (
            select(collections.c.name, spare_indexes.c.embedding)
            .join(collections, collections.c.id == spare_indexes.c.collection_id)
            .where(spare_indexes.c.live_until.is_(None))
        )
        with self._engine.connect() as connection:
            return {row.name: row.embedding for row in connection.execute(query)}

    def is_empty(self) -> bool:
        """Whether no document is live in any collection."""
        with self._engine.connect() as connection:
            return connection.execute(_ANY_DOCUMENT).first() is None

    def generation(self) -> int:
        """A number that grows whenever what is live changes."""
        with self._engine.connect() as connection:
            return generation_of(connection)

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

    def path_of(self, document_id: str) -> str:
        """Where a document's file is. Raises DocumentNotFound."""
        self.document(document_id)
        with self._engine.connect() as connection:
            query = select(documents.c.path).where(documents.c.id == document_id)
            return str(connection.execute(query).scalar_one())

    def document_at(self, collection: str, path: str) -> Document | None:
        """The live document of a collection that was read from a file."""
        query = _document_query().where(documents.c.path == path, collections.c.name == collection)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _document(row)

    def known(self, collection: str) -> list[KnownDocument]:
        """Every live document of a collection as ingest compares it with files; [] for an unknown one."""
        query = (
            select(
                documents.c.id,
                documents.c.source,
                documents.c.path,
                versions.c.sha256,
                versions.c.size_bytes,
                versions.c.mtime_ns,
                versions.c.loader,
                versions.c.chunks,
            )
            .join(versions, versions.c.id == documents.c.live_version)
            .join(collections, collections.c.id == documents.c.collection_id)
            .where(collections.c.name == collection)
        )
        with self._engine.connect() as connection:
            return [KnownDocument(*row) for row in connection.execute(query)]

    def live_chunks(
        self, ids: Iterable[str], where: Mapping[str, list[str]] | None = None, *, generation: int | None = None
    ) -> dict[str, LiveChunk]:
        """Those of the chunks whose version is live and whose document has the metadata `where`, by id.

        `generation`: live then, not now. So one search sees one state, whatever is published meanwhile.
        """
        found: dict[str, LiveChunk] = {}
        query = _LIVE_NOW if generation is None else _LIVE_THEN
        for key, values in (where or {}).items():
            query = query.where(_filter_column(key).in_(values))
        with self._engine.connect() as connection:
            rows = connection.execute(query, {"ids": json.dumps(list(ids)), "generation": generation}).all()
            ids_found = {"ids": json.dumps([chunk_id for _, chunk_id, *_ in rows])}
            # Another process may have removed a version since the statement before, or erased its text.
            texts = {version: rest for version, *rest in connection.execute(_STRETCHES, ids_found).all()}
            for version, chunk_id, start, end, *about in rows:
                first, stretch = texts.get(version, (0, ""))
                text = stretch[start - first : end - first]
                if len(text) == end - start:
                    found[chunk_id] = LiveChunk(chunk_id, text, start, end, *about)
        return found

    def live_versions(self, ids: Iterable[str], generation: int) -> set[str]:
        """Those of the versions that were live in a generation, but for those whose text was erased since."""
        asked = {"ids": json.dumps(list(ids)), "generation": generation}
        with self._engine.connect() as connection:
            return set(connection.execute(_LIVE_VERSIONS, asked).scalars())

    def passages(self, source_ids: Iterable[str]) -> dict[str, str]:
        """Full text by source id; ids whose text is gone are left out."""
        slices = {source_id: parse_source_id(source_id) for source_id in source_ids}
        with self._engine.connect() as connection:
            texts = _read_texts(connection, list(slices.values()))
        return {source_id: texts[place] for source_id, place in slices.items() if place in texts}

    def sections(self, source_ids: Iterable[str]) -> dict[str, Section]:
        """What stands around each slice, up to 3,000 characters on either side; ids whose text is gone are left out."""
        slices = {source_id: parse_source_id(source_id) for source_id in source_ids}
        if not slices:
            return {}
        with self._engine.connect() as connection:
            near: list[list[tuple[int, int]]] = [[] for _ in slices]
            rows = connection.execute(_NEAR, {"slices": json.dumps(list(slices.values()))}).all()
            for key, start, end in rows:
                near[key].append((start, end))
            # The whole of each section, from its first chunk to its last.
            wholes = [
                (version, spans[0][0], max(end for _, end in spans)) if spans else None
                for (version, _, _), spans in zip(slices.values(), near, strict=True)
            ]
            texts = _read_texts(connection, [whole for whole in wholes if whole])
        return {
            source_id: Section(whole[1], texts[whole], spans)
            for source_id, whole, spans in zip(slices, wholes, near, strict=True)
            if whole in texts
        }

    def source(self, source_id: str) -> SourceView:
        """The passage in its document, also of a version that was replaced. Raises SourceNotFound."""
        version, start, end = parse_source_id(source_id)
        window = max(0, start - NEIGHBOUR_CHARS)
        with self._engine.connect() as connection:
            row = connection.execute(_SLICE, _slice(version, window, end + NEIGHBOUR_CHARS)).one_or_none()
            if row is None or len(row.text) < end - window:
                raise SourceNotFound(f"there is no source {source_id!r}: it was removed, or never existed.")
            document = _document(
                connection.execute(_document_query(version).where(documents.c.id == row.document_id)).one()
            )
            # A passage may be two chunks, or any slice: its page and section are those of its first character.
            around = select(chunks).where(chunks.c.version_id == version, chunks.c.start <= start, chunks.c.end > start)
            chunk = connection.execute(around.order_by(chunks.c.start.desc()).limit(1)).one_or_none()
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

    def version(self, document_id: str) -> NewVersion:
        """The live version of a document, as it was put in. Raises DocumentNotFound."""
        query = select(versions, documents.c.source, documents.c.path).join(
            documents, documents.c.live_version == versions.c.id
        )
        cut = select(chunks).order_by(chunks.c.start)
        with self._engine.connect() as connection:
            row = connection.execute(query.where(documents.c.id == document_id)).one_or_none()
            if row is None:
                raise DocumentNotFound(f"there is no document {document_id!r}. `citestream index list` shows all.")
            parts = connection.execute(cut.where(chunks.c.version_id == row.id)).all()
        return NewVersion(
            source=row.source,
            path=row.path,
            format=row.format,
            title=row.title,
            lang=row.lang,
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            mtime_ns=row.mtime_ns,
            loader=row.loader,
            text=row.text,
            chunks=[Chunk(part.start, part.end, part.page, part.heading) for part in parts],
            blocks=() if row.blocks is None else unpack_blocks(row.blocks),
        )

    def text(self, document_id: str) -> str:
        """The canonical text of a document's live version. Raises DocumentNotFound."""
        query = select(versions.c.text).join(documents, documents.c.live_version == versions.c.id)
        with self._engine.connect() as connection:
            row = connection.execute(query.where(documents.c.id == document_id)).one_or_none()
        if row is None:
            raise DocumentNotFound(f"there is no document {document_id!r}. `citestream index list` shows all.")
        return str(row.text)


FILTER_KEYS = {
    "source": documents.c.source,
    "title": versions.c.title,
    "lang": versions.c.lang,
    "format": versions.c.format,
}
"""Document metadata that a question's `filter` may name."""


Key = TypeVar("Key")


def batches(ids: list[Key]) -> Iterable[list[Key]]:
    """Ids in groups that fit one statement."""
    for begin in range(0, len(ids), SQL_BATCH):
        yield ids[begin : begin + SQL_BATCH]


def as_collection(row: Row[Any]) -> Collection:
    """A row of the table `collections`."""
    return Collection(row.id, row.name, row.embedding, row.chunker, row.index_id)


def no_collection(name: str) -> CollectionNotFound:
    """What to say about a name that no collection has."""
    return CollectionNotFound(
        f"there is no collection {name!r}. `citestream index stats` lists the ones there are; "
        f"`citestream ingest PATH --collection {name}` makes one."
    )


def _filter_column(key: str) -> Column[str]:
    return FILTER_KEYS[key]


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


def _read_texts(connection: Connection, slices: Sequence[Slice]) -> dict[Slice, str]:
    """The text of each slice that is there whole."""
    if not slices:
        return {}
    rows = connection.execute(_TEXTS, {"slices": json.dumps(slices)}).all()
    return {slices[key]: text for key, text in rows if len(text) == slices[key][2] - slices[key][1]}


def _slice(version: str, start: int, end: int) -> dict[str, Any]:
    return {"version": version, "start": start, "length": end - start}
