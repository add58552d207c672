"""Checking: do the library, Chroma and the word index agree, and does every vector find its chunk?

Counts say nothing about vectors: where two processes have written to one Chroma folder, all rows are there, and
searches never meet some of them. So chunks are searched for by their own vectors.
"""

import random
from dataclasses import dataclass, field

from graph.library import Collection, Library
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex

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
    return Check(
        collection,
        len(live),
        len(stored),
        frozenset(live - vectors),
        frozenset(live - words),
        frozenset(dense.unmet(collection.index, stored)),
        frozenset((vectors | words) - live),
    )
