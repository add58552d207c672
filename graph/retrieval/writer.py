"""Writing the index: one writer at a time, library, Chroma and tantivy kept in step.

A version is staged in the library, its chunks go into both indexes, and `publish` makes it live; a reader trusts
the library, so a chunk whose version is not live is never shown.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from graph.errors import IndexLocked
from graph.library import Collection, LibraryWriter, NewVersion, StagedChunk
from graph.retrieval.embeddings import open_embeddings
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex
from graph.settings import Settings

LOCK_NAME = "writer.lock"
OWNER_NAME = "writer.pid"


@dataclass(frozen=True)
class PutResult:
    """A document that was staged."""

    document_id: str
    chunks: int


class IndexWriter:
    """Adds and removes documents of one collection; nothing is visible before `publish`."""

    def __init__(self, library: LibraryWriter, dense: DenseIndex, lexical: LexicalIndex, embedding: str) -> None:
        self.library = library
        self._dense = dense
        self._lexical = lexical
        self._embedding = embedding
        self._collection: Collection | None = None
        self._removed: list[str] = []

    def begin(self, collection: str, *, chunker: str) -> None:
        """Choose the collection that the following calls are about, made when missing.

        Raises IndexMismatch when it was built with another embedding or chunker.
        """
        empty = self.library.drop_empty_collection(collection)
        if empty is not None:
            self._dense.drop(empty)
        self._collection = self.library.ensure_collection(collection, self._embedding, chunker)

    def put(self, version: NewVersion) -> PutResult:
        """Stage a document and index its chunks."""
        collection = self._current()
        live = self.library.is_live_version(collection, version)
        if live is not None:
            return PutResult(live, len(version.chunks))
        document_id, staged = self.library.stage(collection, version)
        metadatas = [_metadata(document_id, version, item) for item in staged]
        self._dense.add(collection.id, [item.id for item in staged], [item.text for item in staged], metadatas)
        entries = ((item.id, f"{version.title}\n{item.chunk.heading}\n{item.text}") for item in staged)
        self._lexical.add(collection.id, entries)
        return PutResult(document_id, len(staged))

    def remove(self, document_id: str) -> None:
        """Erase a document at the next `publish`."""
        self._removed.append(document_id)

    def publish(self) -> None:
        """Make what was put live and what was removed gone, and delete the chunks nobody needs any more."""
        self._lexical.commit()
        published = self.library.publish()
        self._forget(published.replaced)
        if self._removed:
            self._forget(self.library.remove(self._removed))
            self._removed = []

    def discard_staged(self) -> None:
        """Take out what a writer that died had staged."""
        self._forget(self.library.discard_staged())

    def close(self) -> None:
        """Finish background work of the indexes."""
        self._lexical.close()
        self._dense.close()

    def _forget(self, chunk_ids: dict[str, list[str]]) -> None:
        for collection_id, ids in chunk_ids.items():
            self._dense.delete(collection_id, ids)
            self._lexical.delete(collection_id, ids)
        if chunk_ids:
            self._lexical.commit()

    def _current(self) -> Collection:
        if self._collection is None:
            raise RuntimeError("begin() chooses the collection before anything is put into it")
        return self._collection


@contextmanager
def open_writer(settings: Settings) -> Iterator[IndexWriter]:
    """Hold the one writer of the data folder. Raises IndexLocked, naming the other process."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with _lock(settings.data_dir):
        library = LibraryWriter.open(settings.data_dir)
        try:
            dense = DenseIndex(settings.data_dir, open_embeddings(settings))
            writer = IndexWriter(library, dense, LexicalIndex(settings.data_dir), settings.embedding)
            try:
                writer.discard_staged()
                yield writer
            finally:
                writer.close()
        finally:
            library.close()


@contextmanager
def _lock(data_dir: Path) -> Iterator[None]:
    owner = data_dir / OWNER_NAME
    lock = FileLock(data_dir / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        pid = owner.read_text().strip() if owner.exists() else "unknown"
        raise IndexLocked(
            f"another process (pid {pid}) is writing the index in {data_dir}. Wait until it ends, then run this again."
        ) from None
    try:
        owner.write_text(str(os.getpid()))
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _metadata(document_id: str, version: NewVersion, item: StagedChunk) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "document": document_id,
        "source": version.source,
        "title": version.title,
        "lang": version.lang,
        "start": item.chunk.start,
        "end": item.chunk.end,
        "doc_sha256": version.sha256,
    }
    if item.chunk.page is not None:
        metadata["page"] = item.chunk.page
    if item.chunk.heading:
        metadata["heading"] = item.chunk.heading
    return metadata
