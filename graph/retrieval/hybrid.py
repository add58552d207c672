"""Hybrid retrieval: what words and meaning find, resolved in the library, ranked, and made into passages."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from graph.errors import CitestreamError, IndexUnusable
from graph.library import Collection, Library, LiveChunk, check_embedding, collection_id
from graph.retrieval import topics
from graph.retrieval.embeddings import reads_english_only
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex
from graph.retrieval.passages import to_passages, widen
from graph.retrieval.ranking import Hit, rank
from graph.retrieval.reranking import Reranker
from graph.retrieval.sufficiency import Sufficiency, judge
from graph.retrieval.topics import Topics
from graph.state.evidence import Passage, SearchQuery
from graph.terms import is_cjk

POOL = 60
"""Hits taken from each side."""
POOL_FILTERED = 400
"""The same when a metadata filter will drop some of them."""
REOPEN_INTERVAL_S = 1.0
"""Least time between two reopenings of Chroma while another process writes."""


@dataclass(frozen=True)
class Found:
    """Passages, best first, and whether they are enough to answer the question."""

    passages: list[Passage]
    sufficiency: Sufficiency


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
        reranker: Reranker | None = None,
    ) -> None:
        self._library = library
        self._open_dense = open_dense
        self._lexical = lexical
        self._embeddings = embeddings
        self._embedding_name = embedding_name
        self._reranker = reranker
        self._lock = threading.Lock()
        self._view: _View | None = None
        self._old: _View | None = None

    def search(
        self,
        query: SearchQuery,
        collections: Sequence[str],
        *,
        k: int,
        where: Mapping[str, list[str]],
        room_tokens: int = 0,
    ) -> Found:
        """The best `k` live passages, each with its surroundings up to `room_tokens`.

        Raises CollectionNotFound, IndexMismatch, IndexUnusable.
        """
        targets = [self._library.collection(name) for name in collections]
        for target in targets:
            check_embedding(target, self._embedding_name)
        pool = POOL_FILTERED if where else POOL
        about = self._topics(query, targets)
        with self._current() as dense_index:
            lexical = self._search_lexical({**about.terms, **query["terms"]}, targets, pool)
            dense = self._search_dense(dense_index, query, targets, pool)
        chunks = self._library.live_chunks({**lexical, **dense}, dict(where))
        idf = self.idf(collections, {**query["terms"], **about.terms})
        hits = [Hit(chunk, lexical.get(chunk_id, 0.0), dense.get(chunk_id)) for chunk_id, chunk in chunks.items()]
        ranked = rank(query, hits, idf, about)
        sufficiency = judge(query, hits, ranked, idf, embedding=self._embedding_name)
        if self._reranker is not None:
            ranked = self._reranker.rerank(query["text"], ranked)
        passages = widen(to_passages(ranked, k, self._library.passages), self._library.sections, room_tokens)
        return Found(passages, sufficiency)

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

    def _topics(self, query: SearchQuery, targets: Sequence[Collection]) -> Topics:
        """What the earlier answers were about."""

        def search(weights: Mapping[str, float]) -> list[LiveChunk]:
            found = self._search_lexical(weights, targets, topics.HITS)
            return list(self._library.live_chunks(found).values())

        ids = [target.id for target in targets]
        return topics.find_topics(query["answers"], search, lambda found: self._lexical.idf(ids, found))

    def _search_lexical(
        self, weights: Mapping[str, float], targets: Sequence[Collection], pool: int
    ) -> dict[str, float]:
        return _merge(self._lexical.search(target.id, weights, pool) for target in targets)

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


def _merge(results: Iterable[dict[str, float]]) -> dict[str, float]:
    return {chunk_id: score for result in results for chunk_id, score in result.items()}
