"""Writing the index: one writer at a time, library, Chroma and tantivy kept in step.

A version is staged in the library, its chunks go into both indexes, and `publish` makes it live; a reader trusts
the library, so a chunk whose version is not live is never shown.
"""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from graph.errors import CitestreamError, IndexLocked, IndexUnusable
from graph.library import Collection, LibraryWriter, LiveChunk, NewVersion, StagedChunk, text_hash
from graph.retrieval.checking import Check, check
from graph.retrieval.embeddings import open_embeddings
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex
from graph.retrieval.presence import KEEP_S, is_anybody_present
from graph.settings import Settings

LOCK_NAME = "writer.lock"
OWNER_NAME = "writer.json"
LOT_CHUNKS = 512
"""Chunks embedded and written together: at 256 Chroma takes a tenth more time, at 1,000 hardly less."""


@dataclass(frozen=True)
class PutResult:
    """A document that was staged."""

    document_id: str
    chunks: int


@dataclass(frozen=True)
class Entry:
    """A staged chunk on its way into the indexes."""

    id: str
    text: str
    words: str
    """What is searched by words: title and headings as well."""
    metadata: dict[str, Any]
    hash: bytes


class IndexWriter:
    """Adds and removes documents of one collection; nothing is visible before `publish`.

    Chunks of several documents are embedded and written together, and while one lot is written the next is embedded.
    A text that is in the collection already is not embedded again.
    """

    def __init__(
        self,
        library: LibraryWriter,
        dense: DenseIndex,
        lexical: LexicalIndex,
        embeddings: Embeddings,
        embedding_name: str,
    ) -> None:
        self.library = library
        self.embedded = 0
        """Texts that were embedded so far."""
        self._dense = dense
        self._lexical = lexical
        self._embeddings = embeddings
        self._embedding_name = embedding_name
        self._collection: Collection | None = None
        self._removed: list[str] = []
        self._waiting: list[Entry] = []
        self._staged: list[str] = []
        self._given: dict[bytes, NDArray[np.float32]] = {}
        self._hands = ThreadPoolExecutor(max_workers=1, thread_name_prefix="citestream-index")
        self._writing: Future[None] | None = None
        self._ended: deque[tuple[float, int]] = deque()
        """When each generation was published whose predecessors may still be in the indexes."""

    def begin(self, collection: str, *, chunker: str) -> None:
        """Choose the collection that the following calls are about, made when missing.

        Raises IndexMismatch when it was built with another embedding or chunker.
        """
        empty = self.library.drop_empty_collection(collection)
        if empty is not None:
            self._dense.drop(empty)
        self._collection = self.library.ensure_collection(collection, self._embedding_name, chunker)

    def put(self, version: NewVersion, vectors: NDArray[np.float32] | None = None) -> PutResult:
        """Stage a document and index its chunks, with `vectors` for them where these are known.

        Raises IndexUnusable when they cannot be embedded or written.
        """
        collection = self._current()
        live = self.library.is_live_version(collection, version)
        if live is not None:
            return PutResult(live, len(version.chunks))
        document_id, staged = self.library.stage(collection, version)
        if vectors is not None:
            named = zip(staged, vectors, strict=True)
            self._given.update((text_hash(item.text), vector) for item, vector in named)
        self._waiting += (_entry(_as_live(document_id, version, item)) for item in staged)
        while len(self._waiting) >= LOT_CHUNKS:
            lot, self._waiting = self._waiting[:LOT_CHUNKS], self._waiting[LOT_CHUNKS:]
            self._write(lot)
        return PutResult(document_id, len(staged))

    def remove(self, document_id: str) -> None:
        """Erase a document at the next `publish`."""
        self._removed.append(document_id)

    def publish(self) -> None:
        """Make what was put live and what was removed gone, and delete the chunks nobody needs any more.

        Raises IndexUnusable, with nothing changed for readers, when Chroma does not have what was written.
        """
        if self._waiting:
            lot, self._waiting = self._waiting, []
            self._write(lot)
        self._wait()
        if self._staged and (lost := self._dense.missing(self._current().id, self._staged)):
            raise IndexUnusable(f"Chroma has lost {len(lost)} of {len(self._staged)} chunks. Run this again.")
        self._lexical.commit()
        self._ended.append((time.monotonic(), self.library.publish(self._removed)))
        self._staged, self._removed, self._given = [], [], {}
        self._clean_ended()

    def vectors(self, collection: Collection, document_id: str, version: NewVersion) -> NDArray[np.float32]:
        """The vectors of a live version's chunks, in their order. Raises IndexUnusable when one is missing."""
        ids = self.library.chunk_ids(document_id)
        found = self._dense.vectors(collection.id, ids)
        if len(found) != len(version.chunks):
            raise IndexUnusable(f"vectors of {version.source!r} are missing. Run `citestream index verify --repair`.")
        return np.stack([found[name] for name in ids]) if ids else np.zeros((0, 0), np.float32)

    def check(self, collection: Collection, sample: int | None = None) -> Check:
        """Whether the library and both indexes agree about a collection (graph/retrieval/checking.py)."""
        return check(collection, self.library, self._dense, self._lexical, sample)

    def repair(self, found: Check) -> None:
        """Write damaged chunks anew from the library, and take out what is in no live version."""
        self._collection = found.collection
        collection, damaged = found.collection.id, sorted(found.damaged)
        for ids in (sorted(found.extra), damaged):
            self._dense.delete(collection, ids)
            self._lexical.delete(collection, ids)
        for begin in range(0, len(damaged), LOT_CHUNKS):
            lot = self.library.live_chunks(damaged[begin : begin + LOT_CHUNKS])
            self._write([_entry(chunk) for chunk in lot.values()])
        self.publish()

    def clean(self) -> None:
        """Take out of the indexes all that has ended, and what a writer that died left behind.

        Waits until readers have had the time to open what was published last.
        """
        if self._ended and self.library.unfinished() and is_anybody_present(self.library.data_dir):
            time.sleep(max(0.0, self._ended[-1][0] + KEEP_S - time.monotonic()))
        self._ended.clear()
        self._clean(None)

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
        for collection_id, ids in unfinished.items():
            self._dense.delete(collection_id, ids)
            self._lexical.delete(collection_id, ids)
        if unfinished:
            self._lexical.commit()
            self.library.finish(generation)

    def close(self) -> None:
        """Finish background work of the indexes."""
        self._hands.shutdown(cancel_futures=True)
        self._lexical.close()
        self._dense.close()

    def _write(self, lot: Sequence[Entry]) -> None:
        """Embed a lot, and write it in the background once the one before is written."""
        collection = self._current().id
        vectors = self._vectors(lot)
        self._wait()
        self._staged += (entry.id for entry in lot)

        def write() -> None:
            ids, texts = [entry.id for entry in lot], [entry.text for entry in lot]
            self._dense.add(collection, ids, texts, [entry.metadata for entry in lot], vectors)
            self._lexical.add(collection, ((entry.id, entry.words) for entry in lot))

        self._writing = self._hands.submit(write)

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _vectors(self, lot: Sequence[Entry]) -> NDArray[np.float32]:
        """The vectors of a lot, known ones from the chunks that have the same text already."""
        collection = self._current()
        texts = {entry.hash: entry.text for entry in lot}
        stored = self.library.indexed(collection, list(texts))
        there = self._dense.vectors(collection.id, list(stored.values()))
        known = {held: there[name] for held, name in stored.items() if name in there}
        known.update((held, self._given.pop(held)) for held in texts if held in self._given)
        new = [held for held in texts if held not in known]
        known.update(zip(new, self._embed([texts[held] for held in new]), strict=True))
        return np.stack([known[entry.hash] for entry in lot])

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, 0), np.float32)
        try:
            vectors = np.asarray(self._embeddings.embed_documents(texts), np.float32)
        except CitestreamError:
            raise
        except Exception as exc:  # every provider has its own errors; their text stays here
            raise IndexUnusable(
                f"the embedding {self._embedding_name!r} does not answer. Check CITESTREAM_EMBEDDING and its server, "
                "and run this again: what was published stays."
            ) from exc
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise IndexUnusable(
                f"the embedding {self._embedding_name!r} gave no usable vectors. Check its server: a vector of finite "
                "numbers is wanted for each text."
            )
        self.embedded += len(texts)
        return vectors

    def _current(self) -> Collection:
        if self._collection is None:
            raise RuntimeError("begin() chooses the collection before anything is put into it")
        return self._collection


@contextmanager
def open_writer(settings: Settings, *, wait_s: float = 0) -> Iterator[IndexWriter]:
    """Hold the one writer of the data folder, waiting for another one up to `wait_s` seconds.

    Raises IndexLocked, which names the other process and since when it has been writing.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with _lock(settings.data_dir, wait_s):
        library = LibraryWriter.open(settings.data_dir)
        try:
            embeddings = open_embeddings(settings)
            dense = DenseIndex(settings, embeddings)
            writer = IndexWriter(library, dense, LexicalIndex(settings.data_dir), embeddings, settings.embedding)
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


def _as_live(document_id: str, version: NewVersion, item: StagedChunk) -> LiveChunk:
    """The staged chunk as readers will see it."""
    return LiveChunk(
        id=item.id,
        text=item.text,
        start=item.chunk.start,
        end=item.chunk.end,
        page=item.chunk.page,
        heading=item.chunk.heading,
        document=document_id,
        source=version.source,
        title=version.title,
        lang=version.lang,
        doc_sha256=version.sha256,
    )


def _entry(chunk: LiveChunk) -> Entry:
    metadata: dict[str, Any] = {
        "document": chunk.document,
        "source": chunk.source,
        "title": chunk.title,
        "lang": chunk.lang,
        "start": chunk.start,
        "end": chunk.end,
        "doc_sha256": chunk.doc_sha256,
    }
    if chunk.page is not None:
        metadata["page"] = chunk.page
    if chunk.heading:
        metadata["heading"] = chunk.heading
    words = f"{chunk.title}\n{chunk.heading}\n{chunk.text}"
    return Entry(chunk.id, chunk.text, words, metadata, text_hash(chunk.text))
