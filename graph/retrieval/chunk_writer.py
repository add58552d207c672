"""Chunks on their way into an index: they are embedded, and go into Chroma and tantivy, a lot at a time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph.errors import IndexUnusable
from graph.library import Collection, LibraryWriter, LiveChunk, NewVersion, StagedChunk, text_hash
from graph.retrieval.crowds import TELLING
from graph.retrieval.embeddings import Embedders
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex
from graph.retrieval.presence import is_anybody_present

LOT_CHUNKS = 1024
"""Chunks embedded and written together: with half as many, written in two parts, an ingest takes a sixth longer where
the embedding costs nothing (14.6 and 12.2 s, bench/README.md)."""
LOT_BESIDE_READERS = 256
"""The same where somebody reads: a view that is opened waits for the lot that is just written."""
EMBED_TEXTS = 128
"""Texts in one call of the embedding, so that a person sees how far a lot is: a few seconds of the built-in one."""
REMEMBERED_TEXTS = 4096
"""Texts of a run whose vectors are at hand for the same text in another document: 25 MB at 1,536 dimensions."""

Vectors = Mapping[bytes, NDArray[np.float32]]
"""Vectors by the hash of the text that they are of."""


@dataclass(frozen=True)
class Entry:
    """A staged chunk on its way into the indexes."""

    id: str
    text: str
    words: str
    """What is searched by words: title and headings as well."""
    metadata: dict[str, Any]
    hash: bytes


class ChunkWriter:
    """Writes chunks into one index of both kinds. While a lot is written, the next one is embedded.

    A text whose vector `known` gives is not embedded, nor one that was embedded a short while ago.
    """

    def __init__(
        self,
        library: LibraryWriter,
        collection: Collection,
        dense: DenseIndex,
        lexical: LexicalIndex,
        embedders: Embedders,
        known: Callable[[Sequence[Entry]], Vectors],
    ) -> None:
        self.embedded = 0
        """Texts that were embedded so far."""
        self.ready = 0
        """Chunks that were added and need no embedding any more."""
        self._library = library
        self._collection = collection
        self._index = collection.index
        self._dense = dense
        self._lexical = lexical
        self._embedders = embedders
        self._embedding = collection.embedding
        self._known = known
        self._recent: dict[bytes, NDArray[np.float32]] = {}
        self._dimensions: int | None = None
        self._waiting: list[Entry] = []
        self._written: list[str] = []
        self._hands = ThreadPoolExecutor(max_workers=1, thread_name_prefix="citestream-index")
        self._writing: Future[None] | None = None

    def add(self, chunks: Iterable[LiveChunk]) -> None:
        """Take chunks in; they are written a lot at a time. Raises IndexUnusable."""
        self._waiting += map(_entry, chunks)
        while len(self._waiting) >= (size := self._lot_size()):
            lot, self._waiting = self._waiting[:size], self._waiting[size:]
            self._write(lot)

    def flush(self) -> None:
        """Write what waits, and see that it is there: what was added is durable, and found by a view opened now.

        Raises IndexUnusable when Chroma does not have what was written.
        """
        if self._waiting:
            lot, self._waiting = self._waiting, []
            self._write(lot)
        self._wait()
        if self._written and (lost := self._dense.missing(self._index, self._written)):
            raise IndexUnusable(f"Chroma has lost {len(lost)} of {len(self._written)} chunks. Run this again.")
        self._lexical.commit()
        self._written = []

    def close(self) -> None:
        """Leave what waits."""
        self._hands.shutdown(cancel_futures=True)

    def _lot_size(self) -> int:
        beside_readers = is_anybody_present(self._library.data_dir)
        return min(LOT_CHUNKS, LOT_BESIDE_READERS) if beside_readers else LOT_CHUNKS

    def _write(self, lot: Sequence[Entry]) -> None:
        """Embed a lot, and write it in the background once the one before is written."""
        vectors = self._vectors(lot)
        often = self._library.repeated(self._collection, {entry.hash for entry in lot}, TELLING)
        repeated = {entry.id for entry in lot if entry.hash in often}
        self._wait()
        self._written += (entry.id for entry in lot)

        def write() -> None:
            ids, texts = [entry.id for entry in lot], [entry.text for entry in lot]
            self._dense.add(self._index, ids, texts, [entry.metadata for entry in lot], vectors, repeated)
            self._lexical.add(self._index, ((entry.id, entry.words) for entry in lot))

        self._writing = self._hands.submit(write)

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _vectors(self, lot: Sequence[Entry]) -> NDArray[np.float32]:
        texts = {entry.hash: entry.text for entry in lot}
        known = {held: self._recent[held] for held in texts if held in self._recent} | dict(self._known(lot))
        # Texts of like length together, as an embedding takes as long for a batch as for its longest text.
        new = sorted((held for held in texts if held not in known), key=lambda held: len(texts[held]))
        self.ready += len(lot) - len(new)
        for begin in range(0, len(new), EMBED_TEXTS):
            part = new[begin : begin + EMBED_TEXTS]
            vectors = self._embedders.embed(self._embedding, [texts[held] for held in part])
            self._check_fit(vectors)
            known.update(zip(part, vectors, strict=True))
            self.embedded += len(part)
            self.ready += len(part)
        self._recent.update((held, known[held]) for held in new)
        for held in list(self._recent)[: max(0, len(self._recent) - REMEMBERED_TEXTS)]:
            del self._recent[held]
        return np.stack([known[entry.hash] for entry in lot])

    def _check_fit(self, vectors: NDArray[np.float32]) -> None:
        """Raise IndexUnusable when new vectors are longer or shorter than those that are there."""
        self._dimensions = self._dimensions or self._dense.dimensions(self._index) or vectors.shape[1]
        if vectors.shape[1] != self._dimensions:
            raise IndexUnusable(
                f"the embedding {self._embedding!r} gave vectors of {vectors.shape[1]:,} numbers where those of the "
                f"collection have {self._dimensions:,}. Check which model its server runs. To change the model, "
                "name the other one in CITESTREAM_EMBEDDING, and run `citestream index rebuild`."
            )


def as_live(document_id: str, version: NewVersion, item: StagedChunk) -> LiveChunk:
    """A staged chunk as readers will see it."""
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


def vectors_of_texts(
    library: LibraryWriter, dense: DenseIndex, collection: Collection, hashes: Iterable[bytes]
) -> dict[bytes, NDArray[np.float32]]:
    """Vectors out of a collection's index, of those texts that a published chunk of it has."""
    stored = library.indexed(collection, list(hashes))
    there = dense.vectors(collection.index, list(stored.values()))
    return {held: there[name] for held, name in stored.items() if name in there}


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
