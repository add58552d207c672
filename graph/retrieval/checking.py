"""Checking: do the library, Chroma and the word index agree, and does every vector find its chunk?

Counts say nothing about vectors: where two processes have written to one Chroma folder, all rows are there, and
searches never meet some of them. So chunks are searched for by their own vectors.
"""

import random
from dataclasses import dataclass, field

from graph.library import Collection, Library, text_hash
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex

NEAR = 0.999
"""Cosine similarity from which on two vectors are the same: they are kept as 32-bit numbers."""
ASKED_FOR = 20
"""Neighbours looked through for a chunk; texts that occur more often in a collection may crowd it out."""
BATCH = 500
SEED = 7


@dataclass(frozen=True)
class Check:
    """What was found out about a collection, by ids of chunks."""

    collection: Collection
    chunks: int
    """Live in the library."""
    searched: int
    """Chunks that were searched for by their own vectors."""
    without_vector: frozenset[str] = field(default_factory=frozenset)
    without_words: frozenset[str] = field(default_factory=frozenset)
    not_found: frozenset[str] = field(default_factory=frozenset)
    """Stored, but a search with their own vector does not meet them."""
    extra: frozenset[str] = field(default_factory=frozenset)
    """In an index, and in no version that is live."""

    @property
    def damaged(self) -> frozenset[str]:
        """Live chunks that cannot be found as they should."""
        return self.without_vector | self.without_words | self.not_found

    @property
    def is_good(self) -> bool:
        """Whether all that is live can be found; `extra` chunks take room, but are never shown."""
        return not self.damaged


def check(
    collection: Collection, library: Library, dense: DenseIndex, lexical: LexicalIndex, sample: int | None = None
) -> Check:
    """Compare the three, and search for `sample` chunks (all when None), chosen by chance but the same each time."""
    live = library.live_ids(collection)
    vectors, words = dense.ids(collection.index), lexical.ids(collection.index)
    stored = sorted(live & vectors)
    if sample is not None and sample < len(stored):
        stored = random.Random(SEED).sample(stored, sample)  # noqa: S311 - a sample, no secret
    lost = {
        name
        for begin in range(0, len(stored), BATCH)
        for name in _not_found(collection.index, stored[begin : begin + BATCH], library, dense)
    }
    return Check(
        collection,
        len(live),
        len(stored),
        frozenset(live - vectors),
        frozenset(live - words),
        frozenset(lost),
        frozenset((vectors | words) - live),
    )


def _not_found(index: str, ids: list[str], library: Library, dense: DenseIndex) -> set[str]:
    held = dense.vectors(index, ids)
    lost = set()
    for name, vector in held.items():
        near = {other for other, similarity in dense.search(index, vector, ASKED_FOR).items() if similarity >= NEAR}
        if name not in near and not (len(near) == ASKED_FOR and _says_the_same(name, near, library)):
            lost.add(name)
    return lost


def _says_the_same(name: str, others: set[str], library: Library) -> bool:
    """Whether a chunk is crowded out by others of the same text."""
    texts = {chunk.id: text_hash(chunk.text) for chunk in library.live_chunks([name, *others]).values()}
    return all(texts[other] == texts.get(name) for other in others if other in texts)
