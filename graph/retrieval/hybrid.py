"""Hybrid retrieval: what words and meaning find, resolved in the library, ranked, and made into passages."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from graph.errors import CitestreamError, IndexUnusable
from graph.library import Collection, Library, LiveChunk, check_embedding
from graph.retrieval import topics
from graph.retrieval.embeddings import reads_english_only
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex
from graph.retrieval.passages import to_passages, widen
from graph.retrieval.ranking import Hit, rank
from graph.retrieval.reranking import Reranker
from graph.retrieval.sufficiency import Sufficiency, judge
from graph.retrieval.topics import Topics
from graph.retrieval.view import View, Views
from graph.state.evidence import Passage, SearchQuery
from graph.terms import is_cjk

POOL = 60
"""Hits taken from each side."""
POOL_FILTERED = 400
"""The same when a metadata filter will drop some of them."""
MOST_ENDED = 1000
"""So many more at most, where a writer has just replaced chunks that may still be found."""


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
        open_lexical: Callable[[], LexicalIndex],
        embeddings: Embeddings,
        embedding_name: str,
        reranker: Reranker | None = None,
    ) -> None:
        self._library = library
        self._views = Views(library, open_dense, open_lexical)
        self._embeddings = embeddings
        self._embedding_name = embedding_name
        self._reranker = reranker

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
        with self._views.current() as view:
            targets = [view.collection(name) for name in collections]
            for target in targets:
                check_embedding(target, self._embedding_name)
            pool = (POOL_FILTERED if where else POOL) + min(view.ended, MOST_ENDED)
            about = self._topics(query, targets, view)
            lexical = self._search_lexical(view, {**about.terms, **query["terms"]}, targets, pool)
            dense = self._search_dense(view, query, targets, pool)
            found = {**lexical, **dense}
            chunks = self._library.live_chunks(found, dict(where), generation=view.generation)
            idf = view.lexical.idf([target.id for target in targets], {**query["terms"], **about.terms})
        hits = [Hit(chunk, lexical.get(chunk_id, 0.0), dense.get(chunk_id)) for chunk_id, chunk in chunks.items()]
        ranked = rank(query, hits, idf, about)
        sufficiency = judge(query, hits, ranked, idf, embedding=self._embedding_name)
        if self._reranker is not None:
            ranked = self._reranker.rerank(query["text"], ranked)
        passages = widen(to_passages(ranked, k, self._library.passages), self._library.sections, room_tokens)
        return Found(passages, sufficiency)

    def idf(self, collections: Sequence[str], found: Iterable[str]) -> dict[str, float]:
        """Inverse document frequency of index terms in the collections. Asks no file, so an event loop may call it."""
        view = self._views.latest()
        return view.lexical.idf([view.collection(name).id for name in collections], found)

    def warm(self) -> None:
        """Open everything, so that the first question does not pay for it, and follow what is published from now on."""
        self._embeddings.embed_query("warm")
        self._views.follow()

    def close(self) -> None:
        """Close the indexes; no search may be running."""
        self._views.close()

    def _topics(self, query: SearchQuery, targets: Sequence[Collection], view: View) -> Topics:
        """What the earlier answers were about."""

        def search(weights: Mapping[str, float]) -> list[LiveChunk]:
            found = self._search_lexical(view, weights, targets, topics.HITS)
            return list(self._library.live_chunks(found, generation=view.generation).values())

        ids = [target.id for target in targets]
        return topics.find_topics(query["answers"], search, lambda found: view.lexical.idf(ids, found))

    def _search_lexical(
        self, view: View, weights: Mapping[str, float], targets: Sequence[Collection], pool: int
    ) -> dict[str, float]:
        return _merge(view.lexical.search(target.id, weights, pool) for target in targets)

    def _search_dense(
        self, view: View, query: SearchQuery, targets: Sequence[Collection], pool: int
    ) -> dict[str, float]:
        if reads_english_only(self._embedding_name) and is_cjk(query["text"]):
            return {}
        vector = self._embed(query)
        return _merge(view.dense.search(target.id, vector, pool) for target in targets)

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


def _merge(results: Iterable[dict[str, float]]) -> dict[str, float]:
    return {chunk_id: score for result in results for chunk_id, score in result.items()}
