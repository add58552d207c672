"""Hybrid retrieval: dense and lexical hits fused, then resolved in the library."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from graph.errors import CitestreamError, IndexUnusable
from graph.library import Collection, Library, check_embedding, collection_id
from graph.retrieval.embeddings import reads_english_only
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex
from graph.retrieval.passages import to_passages
from graph.retrieval.sufficiency import confidence
from graph.state.evidence import Passage, SearchQuery
from graph.terms import is_cjk

POOL = 50
"""Hits taken from each side before fusing."""
POOL_FILTERED = 400
"""The same when a metadata filter will drop some of them."""
DENSE_WEIGHT = 0.4
"""Share of the dense side: .4 for questions in the documents' words (SQuAD, manuals), .7 for loose talk (MTRAG)."""
REOPEN_INTERVAL_S = 1.0
"""Least time between two reopenings of Chroma while another process writes."""


@dataclass(frozen=True)
class Found:
    """Passages, best first, and how likely they answer the question (see `sufficiency.confidence`)."""

    passages: list[Passage]
    confidence: float


class Retriever:
    """Searches collections by name. Calls block (tens of milliseconds); threads may share one object.

    It follows the library: when another process has published, the next search sees it.
    """

    def __init__(
        self,
        library: Library,
        open_dense: Callable[[], DenseIndex],
        lexical: LexicalIndex,
        embeddings: Embeddings,
        embedding_name: str,
    ) -> None:
        self._library = library
        self._open_dense = open_dense
        self._lexical = lexical
        self._embeddings = embeddings
        self._embedding_name = embedding_name
        self._lock = threading.Lock()
        self._view: _View | None = None
        self._old: _View | None = None

    def search(
        self, query: SearchQuery, collections: Sequence[str], *, k: int, where: Mapping[str, list[str]]
    ) -> Found:
        """The best `k` live passages. Raises CollectionNotFound, IndexMismatch, IndexUnusable."""
        targets = [self._library.collection(name) for name in collections]
        for target in targets:
            check_embedding(target, self._embedding_name)
        pool = POOL_FILTERED if where else POOL
        with self._current() as dense_index:
            lexical = _merge(self._lexical.search(target.id, query["terms"], pool) for target in targets)
            dense = self._search_dense(dense_index, query, targets, pool)
        ranked = fuse(dense, lexical, weight=DENSE_WEIGHT if dense else 0.0)
        chunks = self._library.live_chunks([chunk_id for chunk_id, _ in ranked], dict(where))
        hits = [(chunks[chunk_id], score) for chunk_id, score in ranked if chunk_id in chunks]
        passages = to_passages(hits, k, self._library.passages)
        idf = self.idf(collections, query["terms"])
        return Found(passages, confidence(query, passages, idf))

    def idf(self, collections: Sequence[str], found: Iterable[str]) -> dict[str, float]:
        """Inverse document frequency of index terms in the collections. Asks no file, so an event loop may call it."""
        return self._lexical.idf([collection_id(name) for name in collections], found)

    def warm(self) -> None:
        """Open everything, so that the first question does not pay for it."""
        self._embeddings.embed_query("warm")
        with self._current() as dense:
            for info in self._library.collections():
                if info.documents and info.embedding == self._embedding_name:
                    vector = np.asarray(self._embeddings.embed_query(info.name), np.float32)
                    dense.search(self._library.collection(info.name).id, vector, 1)

    def close(self) -> None:
        """Close the views; no search may be running."""
        with self._lock:
            for view in (self._view, self._old):
                if view is not None:
                    view.dense.close()
            self._view = self._old = None

    def _search_dense(
        self, index: DenseIndex, query: SearchQuery, targets: Sequence[Collection], pool: int
    ) -> dict[str, float]:
        if reads_english_only(self._embedding_name) and is_cjk(query["text"]):
            return {}
        vector = self._embed(query)
        return _merge(index.search(target.id, vector, pool) for target in targets)

    def _embed(self, query: SearchQuery) -> NDArray[np.float32]:
        try:
            vectors = np.asarray(self._embeddings.embed_documents([text for text, _ in query["texts"]]), np.float32)
        except CitestreamError:
            raise
        except Exception as exc:  # every provider has its own errors; their text stays here
            raise IndexUnusable(
                f"the embedding {self._embedding_name!r} does not answer. Check CITESTREAM_EMBEDDING and its server."
            ) from exc
        total = np.asarray([weight for _, weight in query["texts"]], np.float32) @ vectors
        return np.asarray(total / (np.linalg.norm(total) + 1e-12), np.float32)

    @contextmanager
    def _current(self) -> Iterator[DenseIndex]:
        """A view of the index as last published, kept open while it is in use."""
        generation = self._library.generation()
        with self._lock:
            view = self._follow(generation)
            view.users += 1
        try:
            yield view.dense
        finally:
            with self._lock:
                view.users -= 1
                self._close_old()

    def _follow(self, generation: int) -> "_View":
        now = time.monotonic()
        view = self._view
        if view is None:
            view = self._view = _View(self._open_dense(), generation, now)
        elif view.generation != generation and now - view.opened_at >= REOPEN_INTERVAL_S and self._old is None:
            self._lexical.refresh()
            self._old, self._view = view, _View(view.dense.reopened(), generation, now)
            self._close_old()
            view = self._view
        return view

    def _close_old(self) -> None:
        if self._old is not None and self._old.users == 0:
            self._old.dense.close()
            self._old = None


@dataclass
class _View:
    dense: DenseIndex
    generation: int
    opened_at: float
    users: int = 0


def fuse(dense: Mapping[str, float], lexical: Mapping[str, float], *, weight: float) -> list[tuple[str, float]]:
    """Merge two result lists by weighted min-max scores (Bruch et al., TOIS 2023).

    Both: chunk id -> score, higher is better, any scale; BM25's least value is taken to be 0. `weight` in 0..1 is
    the dense share. Returns (id, score), best first, ties by id; scores lie in 0..1 and compare only within one call.
    Reciprocal rank fusion was worse on every set measured, and ruins results when one side knows nothing.
    """
    low = min(dense.values(), default=0.0)
    spread = max(dense.values(), default=0.0) - low or 1.0
    top = max(lexical.values(), default=0.0) or 1.0
    scores = {
        chunk_id: weight * (dense.get(chunk_id, low) - low) / spread + (1 - weight) * lexical.get(chunk_id, 0.0) / top
        for chunk_id in {**dense, **lexical}
    }
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _merge(results: Iterable[dict[str, float]]) -> dict[str, float]:
    return {chunk_id: score for result in results for chunk_id, score in result.items()}
