"""Writing the index: one writer at a time, library, Chroma and tantivy kept in step.

A version is staged in the library, its chunks go into both indexes, and `publish` makes it live; a reader trusts
the library, so a chunk whose version is not live is never shown.
"""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from graph.disk import disk_of
from graph.errors import IndexLocked, IndexUnusable
from graph.library import Collection, LibraryWriter, NewVersion, batches, text_hash
from graph.retrieval.checking import Check, check
from graph.retrieval.chunk_writer import ChunkWriter, Entry, Vectors, as_live, vectors_of_texts
from graph.retrieval.embeddings import Embedders
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex
from graph.retrieval.presence import KEEP_S, is_anybody_present, is_held_before, tidy_up_before
from graph.retrieval.rebuilding import Cut, Rebuild, Rebuilt
from graph.settings import Settings

LOCK_NAME = "writer.lock"
OWNER_NAME = "writer.json"
MOVE_S = 30.0
"""How long a writer waits for readers to leave an index that it has replaced, before it leaves it to a later one."""
POLL_S = 0.1


@dataclass(frozen=True)
class PutResult:
    """A document that was staged."""

    document_id: str
    chunks: int


class IndexWriter:
    """Adds and removes documents of one collection; nothing is visible before `publish`.

    A text that is in the collection already is not embedded again.
    """

    def __init__(self, library: LibraryWriter, dense: DenseIndex, lexical: LexicalIndex, embedders: Embedders) -> None:
        self.library = library
        self._dense = dense
        self._lexical = lexical
        self._embedders = embedders
        self._collection: Collection | None = None
        self._chunks: ChunkWriter | None = None
        self._live_already = 0
        self._removed: list[str] = []
        self._given: dict[bytes, NDArray[np.float32]] = {}
        self._ended: deque[tuple[float, int]] = deque()
        """When each generation was published whose predecessors may still be in the indexes."""

    @property
    def embedded(self) -> int:
        """Texts that were embedded since `begin`, or by `rebuild`."""
        return 0 if self._chunks is None else self._chunks.embedded

    @property
    def ready(self) -> int:
        """Chunks that were put since `begin` and need no embedding any more."""
        return self._live_already + (0 if self._chunks is None else self._chunks.ready)

    def begin(self, collection: str, *, chunker: str) -> None:
        """Choose the collection that the following calls are about, made when missing.

        Raises IndexMismatch when it was built with another embedding or chunker.
        """
        if self.library.renew_empty_collection(collection, self._embedders.default, chunker):
            self._ended.append((time.monotonic(), self.library.generation()))
        self._write_to(self.library.ensure_collection(collection, self._embedders.default, chunker))

    def put(self, version: NewVersion, vectors: NDArray[np.float32] | None = None) -> PutResult:
        """Stage a document and index its chunks, with `vectors` for them where these are known.

        Raises IndexUnusable when they cannot be embedded or written.
        """
        collection, chunks = self._current()
        live = self.library.is_live_version(collection, version)
        if live is not None:
            self._live_already += len(version.chunks)
            return PutResult(live, len(version.chunks))
        document_id, staged = self.library.stage(collection, version)
        if vectors is not None:
            named = zip(staged, vectors, strict=True)
            self._given.update((text_hash(item.text), vector) for item, vector in named)
        chunks.add(as_live(document_id, version, item) for item in staged)
        return PutResult(document_id, len(staged))

    def remove(self, document_id: str) -> None:
        """Erase a document at the next `publish`."""
        self._removed.append(document_id)

    def publish(self) -> None:
        """Make what was put live and what was removed gone, and delete the chunks nobody needs any more.

        Raises IndexUnusable, with nothing changed for readers, when Chroma does not have what was written.
        """
        if self._chunks is not None:
            self._chunks.flush()
        self._ended.append((time.monotonic(), self.library.publish(self._removed)))
        self._removed, self._given = [], {}
        self._clean_ended()

    def rebuild(self, collection: Collection, *, chunker: str, cut: Cut) -> Generator[Rebuilt]:
        """Build a collection's index anew, and put it in place of the one there is (graph/retrieval/rebuilding.py)."""
        rebuild = Rebuild(self.library, self._dense, self._lexical, self._embedders, collection, chunker, cut)
        self._take_up(collection, rebuild.writer)
        yield from rebuild.run()
        self._ended.append((time.monotonic(), self.library.generation()))

    def vectors(self, collection: Collection, document_id: str, version: NewVersion) -> NDArray[np.float32]:
        """The vectors of a live version's chunks, in their order. Raises IndexUnusable when one is missing."""
        ids = self.library.chunk_ids(document_id)
        found = self._dense.vectors(collection.index, ids)
        if len(found) != len(version.chunks):
            raise IndexUnusable(f"vectors of {version.source!r} are missing. Run `citestream index verify --repair`.")
        return np.stack([found[name] for name in ids]) if ids else np.zeros((0, 0), np.float32)

    def check(self, collection: Collection, sample: int | None = None) -> Check:
        """Whether the library and both indexes agree about a collection (graph/retrieval/checking.py)."""
        return check(collection, self.library, self._dense, self._lexical, sample)

    def repair(self, found: Check) -> None:
        """Write damaged chunks anew from the library, and take out what is in no live version."""
        index, damaged = found.collection.index, sorted(found.damaged)
        for ids in (sorted(found.extra), damaged):
            self._dense.delete(index, ids)
            self._lexical.delete(index, ids)
        chunks = self._write_to(found.collection)
        for batch in batches(damaged):
            chunks.add(self.library.live_chunks(batch).values())
        self.publish()

    def clean(self) -> None:
        """Take out of the indexes all that has ended, and what a writer that died left behind.

        Waits until readers have had the time to open what was published last.
        """
        left = self.library.unfinished() or self.library.ended_indexes()
        if self._ended and left and is_anybody_present(self.library.data_dir):
            time.sleep(max(0.0, self._ended[-1][0] + KEEP_S - time.monotonic()))
        wait_s = MOVE_S if self._ended else 0
        self._ended.clear()
        self._clean(None)
        for index, generation in self.library.ended_indexes().items():
            self._drop_unused(index, generation, wait_s)
        tidy_up_before(self.library.data_dir, self.library.generation())

    def _clean_ended(self) -> None:
        """Take out what ended long enough ago; all of it where nobody reads."""
        alone = not is_anybody_present(self.library.data_dir)
        generation = None
        while self._ended and (alone or self._ended[0][0] + KEEP_S < time.monotonic()):
            generation = self._ended.popleft()[1]
        if generation is not None:
            self._clean(generation)

    def _clean(self, generation: int | None) -> None:
        unfinished = self.library.unfinished(generation)
        for index, ids in unfinished.items():
            self._dense.delete(index, ids)
            self._lexical.delete(index, ids)
        if unfinished:
            self._lexical.commit()
            self.library.finish(generation)

    def _drop_unused(self, index: str, generation: int, wait_s: float) -> None:
        """Delete an index that has ended when its last reader has left; where that takes long, a later writer does."""
        until = time.monotonic() + wait_s
        while is_held_before(self.library.data_dir, generation):
            if time.monotonic() > until:
                return
            time.sleep(POLL_S)
        self._dense.drop(index)
        self._lexical.drop(index)
        self.library.forget_index(index)

    def close(self) -> None:
        """Finish background work of the indexes."""
        if self._chunks is not None:
            self._chunks.close()
        self._lexical.close()
        self._dense.close()

    def _write_to(self, collection: Collection) -> ChunkWriter:
        chunks = ChunkWriter(self.library, collection, self._dense, self._lexical, self._embedders, self._known)
        self._take_up(collection, chunks)
        return chunks

    def _take_up(self, collection: Collection, chunks: ChunkWriter) -> None:
        if self._chunks is not None:
            self._chunks.close()
        self._collection, self._chunks, self._live_already = collection, chunks, 0

    def _known(self, lot: Sequence[Entry]) -> Vectors:
        """Vectors that were given with the documents, and those of chunks that have the same text already."""
        collection, _ = self._current()
        hashes = {entry.hash for entry in lot}
        known = vectors_of_texts(self.library, self._dense, collection, hashes)
        known.update((held, self._given.pop(held)) for held in hashes if held in self._given)
        return known

    def _current(self) -> tuple[Collection, ChunkWriter]:
        if self._collection is None or self._chunks is None:
            raise RuntimeError("begin() chooses the collection before anything is put into it")
        return self._collection, self._chunks


@contextmanager
def open_writer(settings: Settings, *, wait_s: float = 0) -> Iterator[IndexWriter]:
    """Hold the one writer of the data folder, waiting for another one up to `wait_s` seconds.

    Raises IndexLocked, which names the other process and since when it has been writing. What goes wrong meanwhile for
    want of room is DiskFull.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with disk_of(settings.data_dir), _lock(settings.data_dir, wait_s):
        library = LibraryWriter.open(settings.data_dir)
        try:
            embedders = Embedders(settings)
            embedders.named(embedders.default)  # a wrong setting is told at once
            writer = IndexWriter(library, DenseIndex(settings), LexicalIndex(settings.data_dir), embedders)
            try:
                writer.clean()
                yield writer
                writer.clean()
            finally:
                writer.close()
        finally:
            library.close()


@contextmanager
def _lock(data_dir: Path, wait_s: float) -> Iterator[None]:
    owner = data_dir / OWNER_NAME
    lock = FileLock(data_dir / LOCK_NAME)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        raise IndexLocked(
            f"another process ({_described(owner)}) is writing the index in {data_dir}. "
            "Wait until it ends, or run this again with --wait."
        ) from None
    try:
        owner.write_text(json.dumps({"pid": os.getpid(), "command": Path(sys.argv[0]).name, "since": time.time()}))
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _described(owner: Path) -> str:
    """Who holds the lock, and for how long; the file may be half written."""
    try:
        held = json.loads(owner.read_text())
        age_s = max(0, round(time.time() - held["since"]))
        return f"pid {held['pid']}, {held['command']}, since {age_s // 60} min {age_s % 60} s"
    except (OSError, ValueError, KeyError, TypeError):
        return "just started"
