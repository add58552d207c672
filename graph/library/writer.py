"""Writing the library: versions are staged, published and removed. Only the holder of the writer lock does so."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from graph.library.originals import forget_others
from graph.library.reader import Library, as_collection, batches
from graph.library.records import (
    Chunk,
    Collection,
    NewVersion,
    StagedChunk,
    check_chunker,
    check_embedding,
    new_collection_id,
    text_hash,
)
from graph.library.structure import pack_blocks
from graph.library.tables import (
    ENDED,
    UNFINISHED,
    VersionState,
    bump_generation,
    chunks,
    collections,
    documents,
    generation_of,
    spare_indexes,
    versions,
)


class LibraryWriter(Library):
    """A library that may be changed; nothing that was staged is visible before `publish`."""

    def ensure_collection(self, name: str, embedding: str, chunker: str) -> Collection:
        """The collection of that name, made when missing.

        Raises IndexMismatch, naming both, when it was built with another embedding or chunker.
        """
        new_id = new_collection_id()
        wanted = Collection(new_id, name, embedding, chunker, index=new_id)
        with self._engine.begin() as connection:
            row = connection.execute(select(collections).where(collections.c.name == name)).one_or_none()
            if row is None:
                values = {"id": new_id, "name": name, "embedding": embedding, "chunker": chunker, "index_id": new_id}
                connection.execute(insert(collections).values(**values, created_at=_now()))
                return wanted
        found = as_collection(row)
        check_chunker(found, chunker)
        check_embedding(found, embedding)
        return found

    def renew_empty_collection(self, name: str, embedding: str, chunker: str) -> bool:
        """Let a collection without documents begin anew with another embedding or chunker; whether it does.

        Its index before has ended.
        """
        live = documents.c.live_version.is_not(None)
        used = select(documents.c.id).where(documents.c.collection_id == collections.c.id, live).exists()
        with self._engine.connect() as connection:
            row = connection.execute(select(collections).where(collections.c.name == name, ~used)).one_or_none()
        if row is None or (row.embedding, row.chunker) == (embedding, chunker):
            return False
        self.publish_index(self.begin_index(as_collection(row), embedding, chunker))
        return True

    def begin_index(self, collection: Collection, embedding: str, chunker: str) -> Collection:
        """The collection with another index, which nobody sees before it is published.

        It is the one that was begun before, where that was meant for the same embedding and chunker; any other that
        was begun has ended.
        """
        mine = (spare_indexes.c.collection_id == collection.id) & spare_indexes.c.live_until.is_(None)
        same = (spare_indexes.c.embedding == embedding) & (spare_indexes.c.chunker == chunker)
        with self._engine.begin() as connection:
            now = generation_of(connection)
            connection.execute(update(spare_indexes).where(mine, ~same).values(live_until=now))
            index = connection.execute(select(spare_indexes.c.id).where(mine)).scalar_one_or_none()
            if index is None:
                index = new_collection_id()
                values = {"id": index, "collection_id": collection.id, "embedding": embedding, "chunker": chunker}
                connection.execute(insert(spare_indexes).values(**values))
        return replace(collection, embedding=embedding, chunker=chunker, index=index)

    def ended_indexes(self) -> dict[str, int]:
        """Indexes that have ended, with the first generation that does without them."""
        ended = select(spare_indexes.c.id, spare_indexes.c.live_until).where(spare_indexes.c.live_until.is_not(None))
        with self._engine.connect() as connection:
            return {row.id: row.live_until for row in connection.execute(ended)}

    def forget_index(self, index: str) -> None:
        """An index that had ended is deleted."""
        with self._engine.begin() as connection:
            connection.execute(delete(spare_indexes).where(spare_indexes.c.id == index))

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

    def is_live_version(self, collection: Collection, new: NewVersion) -> str | None:
        """The document's id when exactly this version of it is live already."""
        with self._engine.connect() as connection:
            row = _find_document(connection, collection, new)
        if row is None or row.live_version != f"{row.id}.{_version_hash(collection, new)}":
            return None
        return str(row.id)

    def publish(self, removed: Sequence[str] = ()) -> int:
        """Make every staged version live and the documents `removed` gone, in one transaction; the new generation.

        A reader sees all of it or nothing. The text of removed documents is erased. What is no longer live is
        `unfinished` until it has left the indexes.
        """
        with self._engine.begin() as connection:
            generation = generation_of(connection) + 1
            staged = _publish_staged(connection, generation, then="replaced")
            for batch in batches(list(removed)):
                _remove(connection, batch, generation)
            return bump_generation(connection) if staged or removed else generation - 1

    def publish_index(self, rebuilt: Collection) -> int:
        """Put a collection's new index in place, with the versions that were staged for it; the new generation.

        The index before has ended; what was replaced was in that one alone.
        """
        with self._engine.begin() as connection:
            generation = generation_of(connection) + 1
            _publish_staged(connection, generation, then="kept")
            before = connection.execute(select(collections).where(collections.c.id == rebuilt.id)).one()
            connection.execute(delete(spare_indexes).where(spare_indexes.c.id == rebuilt.index))
            values = {"id": before.index_id, "embedding": before.embedding, "chunker": before.chunker}
            connection.execute(insert(spare_indexes).values(**values, collection_id=rebuilt.id, live_until=generation))
            now = {"index_id": rebuilt.index, "embedding": rebuilt.embedding, "chunker": rebuilt.chunker}
            connection.execute(update(collections).where(collections.c.id == rebuilt.id).values(**now))
            return bump_generation(connection)

    def unfinished(self, generation: int | None = None) -> dict[str, list[str]]:
        """Ids of chunks that no reader wants, by index: of versions that ended, or were never published.

        With `generation`, only of those that had ended by then.
        """
        query = (
            select(collections.c.index_id, chunks.c.id)
            .join(documents, documents.c.collection_id == collections.c.id)
            .join(versions, versions.c.document_id == documents.c.id)
            .join(chunks, chunks.c.version_id == versions.c.id)
            .where(_is_unfinished(generation))
        )
        left: dict[str, list[str]] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                left.setdefault(row.index_id, []).append(row.id)
        return left

    def finish(self, generation: int | None = None) -> None:
        """What was `unfinished` has left the indexes: the text of replaced versions stays, the rest is forgotten."""
        ended = _is_unfinished(generation)
        with self._engine.begin() as connection:
            connection.execute(update(versions).where(ended, versions.c.state == "replaced").values(state="kept"))
            connection.execute(delete(versions).where(ended, versions.c.state != "kept"))
            has_version = select(versions.c.id).where(versions.c.document_id == documents.c.id).exists()
            connection.execute(delete(documents).where(~has_version))
            wanted = set(connection.execute(select(versions.c.sha256)).scalars())
        forget_others(self.data_dir, wanted)

    def indexed(self, collection: Collection, hashes: Sequence[bytes]) -> dict[bytes, str]:
        """A published chunk that may be in the indexes for each text of those `hashes`, where there is one."""
        # By hashes alone first: a join would be done from the collection's side, through all of its chunks. What is
        # staged is left out at once: where all is new, it is all that would be found.
        staged = select(versions.c.id).where(versions.c.state == "staged")
        found = select(chunks.c.text_hash, chunks.c.id, chunks.c.version_id).where(chunks.c.version_id.not_in(staged))
        mine = (
            select(versions.c.id)
            .join(documents, documents.c.id == versions.c.document_id)
            .where(documents.c.collection_id == collection.id, versions.c.state.in_(("live", *ENDED)))
        )
        known: dict[bytes, str] = {}
        with self._engine.connect() as connection:
            for batch in batches(list(hashes)):
                rows = connection.execute(found.where(chunks.c.text_hash.in_(batch))).all()
                ids = {row.version_id for row in rows}
                usable = set(connection.execute(mine.where(versions.c.id.in_(ids))).scalars()) if ids else set()
                known.update((row.text_hash, row.id) for row in rows if row.version_id in usable)
        return known

    def repeated(self, collection: Collection, hashes: Iterable[bytes], times: int) -> set[bytes]:
        """Those of the texts of these hashes that more than so many chunks have, live or staged."""
        often = select(chunks.c.text_hash).group_by(chunks.c.text_hash).having(func.count() > times)
        # By hashes alone first, which is rarely any: versions of long ago count too.
        mine = (
            often.join(versions, versions.c.id == chunks.c.version_id)
            .join(documents, documents.c.id == versions.c.document_id)
            .where(documents.c.collection_id == collection.id, versions.c.state.in_(("live", "staged")))
        )
        found: set[bytes] = set()
        with self._engine.connect() as connection:
            for batch in batches(list(hashes)):
                many = connection.execute(often.where(chunks.c.text_hash.in_(batch))).scalars().all()
                if many:
                    found.update(connection.execute(mine.where(chunks.c.text_hash.in_(many))).scalars())
        return found


def _publish_staged(connection: Connection, generation: int, *, then: VersionState) -> int:
    """Make every staged version live, and `then` what it replaces; how many there were."""
    staged = connection.execute(
        select(versions.c.id, versions.c.document_id, documents.c.live_version)
        .join(documents, documents.c.id == versions.c.document_id)
        .where(versions.c.state == "staged")
    ).all()
    for row in staged:
        if row.live_version is not None:
            _set(connection, row.live_version, state=then, live_until=generation)
        _set(connection, row.id, state="live", live_from=generation)
        connection.execute(update(documents).where(documents.c.id == row.document_id).values(live_version=row.id))
    return len(staged)


def _is_unfinished(generation: int | None) -> ColumnElement[bool]:
    if generation is None:
        return versions.c.state.in_(UNFINISHED)
    return versions.c.state.in_(ENDED) & (versions.c.live_until <= generation)


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
        "blocks": pack_blocks(new.blocks) if new.blocks else None,
    }


def _chunk_id(version_id: str, chunk: Chunk) -> str:
    return f"{version_id}.{chunk.start}-{chunk.end}"


def _chunk_values(version_id: str, item: StagedChunk) -> dict[str, Any]:
    chunk = item.chunk
    values = {"start": chunk.start, "end": chunk.end, "page": chunk.page, "heading": chunk.heading}
    return {"id": item.id, "version_id": version_id, "text_hash": text_hash(item.text), **values}


def _set(connection: Connection, version_id: str, **values: Any) -> None:
    connection.execute(update(versions).where(versions.c.id == version_id).values(**values))


def _remove(connection: Connection, document_ids: Sequence[str], generation: int) -> None:
    """End documents and erase what they said, also in versions that were replaced before."""
    theirs = versions.c.document_id.in_(document_ids)
    connection.execute(update(documents).where(documents.c.id.in_(document_ids)).values(live_version=None))
    ended = func.coalesce(versions.c.live_until, generation)
    connection.execute(update(versions).where(theirs).values(state="removed", text="", live_until=ended))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
