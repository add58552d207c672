"""Rebuilding: a collection gets a new index, for another embedding or other chunks, while the one there is goes on.

The new index is filled from the library's texts; no file is read. Readers see it from one generation to the next, all
of it or nothing. A rebuild that was interrupted goes on: what was embedded for it is not embedded again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from graph.errors import IndexUnusable
from graph.library import Chunk, Collection, KnownDocument, LibraryWriter, LiveChunk, NewVersion
from graph.retrieval.chunk_writer import ChunkWriter, Entry, Vectors, as_live, vectors_of_texts
from graph.retrieval.embeddings import Embedders
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex

Cut = Callable[[NewVersion], Sequence[Chunk]]
"""Cuts a document's text into the chunks that the new index is to have."""


@dataclass(frozen=True)
class Rebuilt:
    """A document that is in the new index, and how many chunks it has there."""

    source: str
    chunks: int


class Rebuild:
    """A new index for a collection, with the embedders' default embedding.

    `run` fills and publishes it; what is written comes from `writer`.
    """

    def __init__(
        self,
        library: LibraryWriter,
        dense: DenseIndex,
        lexical: LexicalIndex,
        embedders: Embedders,
        before: Collection,
        chunker: str,
        cut: Cut,
    ) -> None:
        self._library = library
        self._dense = dense
        self._before = before
        self._after = after = library.begin_index(before, embedders.default, chunker)
        self._cut = cut
        lexical.drop(after.index)  # words cost little, and some of them may be of a rebuild that was interrupted
        self.writer = ChunkWriter(library, after, dense, lexical, embedders, self._known)

    def run(self) -> Iterator[Rebuilt]:
        """Take over all documents of the collection, and publish the index.

        Raises IndexUnusable when texts cannot be embedded or written; the index there is stays in use.
        """
        index = self._after.index
        wanted: set[str] = set()
        for document in self._library.known(self._before.name):
            chunks = self._chunks(document)
            self.writer.add(chunks)
            wanted.update(chunk.id for chunk in chunks)
            yield Rebuilt(document.source, len(chunks))
        self.writer.flush()
        gone = self._dense.ids(index) - wanted  # of documents that were removed since an interruption
        self._dense.delete(index, sorted(gone))
        self._library.publish_index(self._after)

    def _chunks(self, document: KnownDocument) -> list[LiveChunk]:
        if self._after.chunker == self._before.chunker:
            return list(self._library.live_chunks(self._library.chunk_ids(document.id)).values())
        version = self._library.version(document.id)
        anew = replace(version, chunks=self._cut(version))
        document_id, staged = self._library.stage(self._after, anew)
        return [as_live(document_id, anew, item) for item in staged]

    def _known(self, lot: Sequence[Entry]) -> Vectors:
        """Vectors of an interrupted rebuild, and of the index before where that has the same embedding."""
        there = self._dense.vectors(self._after.index, [entry.id for entry in lot])
        known = {entry.hash: there[entry.id] for entry in lot if entry.id in there}
        if self._after.embedding == self._before.embedding:
            left = {entry.hash for entry in lot} - known.keys()
            with suppress(IndexUnusable):  # it is why the collection is rebuilt
                known.update(vectors_of_texts(self._library, self._dense, self._before, left))
        return known
