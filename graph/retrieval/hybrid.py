"""Hybrid retrieval: what words and meaning find, resolved in the library, ranked, and made into passages."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph.errors import IndexMismatch, SettingsError
from graph.library import Collection, Library, LiveChunk
from graph.retrieval import topics
from graph.retrieval.embeddings import Embedders, reads_english_only
from graph.retrieval.passages import to_passages, widen
from graph.retrieval.ranking import Hit, rank
from graph.retrieval.reranking import Reranker
from graph.retrieval.sufficiency import Sufficiency, judge
from graph.retrieval.topics import Topics
from graph.retrieval.view import View, Views
from graph.settings import Settings
from graph.state.evidence import Passage, SearchQuery
from graph.terms import is_cjk

POOL = 60
"""Hits taken from each side."""
POOL_FILTERED = 400
"""The same when a metadata filter will drop some of them."""
FEW_ENDED = 20
"""So many more at first, where chunks may be found that a writer has replaced or not published yet."""
MOST_ENDED = 1000
"""So many more at most, when too few of those were live: all that are near may be of a version that is no more."""


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
        settings: Settings,
        library: Library,
        embedders: Embedders,
        reranker: Reranker | None = None,
    ) -> None:
        self._library = library
        self._views = Views(settings, library, embedders)
        self._embedders = embedders
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
            embedding = _shared_embedding(targets)
            about = self._topics(query, targets, view)
            terms, vector = {**about.terms, **query["terms"]}, self._vector(query, embedding)
            lexical, dense, chunks = self._find(view, targets, terms, vector, where)
            idf = view.lexical.idf([target.index for target in targets], {**query["terms"], **about.terms})
        hits = [Hit(chunk, lexical.get(chunk_id, 0.0), dense.get(chunk_id)) for chunk_id, chunk in chunks.items()]
        ranked = rank(query, hits, idf, about)
        sufficiency = judge(query, hits, ranked, idf, embedding=embedding)
        if self._reranker is not None:
            ranked = self._reranker.rerank(query["text"], ranked)
        passages = widen(to_passages(ranked, k, self._library.passages), self._library.sections, room_tokens)
        return Found(passages, sufficiency)

    def idf(self, collections: Sequence[str], found: Iterable[str]) -> dict[str, float]:
        """Inverse document frequency of index terms in the collections. Asks no file, so an event loop may call it."""
        view = self._views.latest()
        return view.lexical.idf([view.collection(name).index for name in collections], found)

    def is_searchable(self, collections: Sequence[str]) -> bool:
        """Whether it is certain that these are there and that not all are empty. Asks no file, as `idf`."""
        view = self._views.opened()
        return view is not None and not view.is_empty and view.has_all(collections)

    def warm(self) -> None:
        """Open everything, so that the first question does not pay for it, and follow what is published from now on."""
        self._embedders.warm(self._embedders.default)
        self._views.follow()

    def close(self) -> None:
        """Close the indexes; no search may be running."""
        self._views.close()

    def _find(
        self,
        view: View,
        targets: Sequence[Collection],
        terms: Mapping[str, float],
        vector: NDArray[np.float32] | None,
        where: Mapping[str, list[str]],
    ) -> tuple[dict[str, float], dict[str, float], dict[str, LiveChunk]]:
        """What words and meaning find, with scores, and those of both that are live."""

        def find(pool: int) -> tuple[list[dict[str, float]], list[dict[str, float]], dict[str, LiveChunk]]:
            lexical = [view.lexical.search(target.index, terms, pool) for target in targets]
            dense = [] if vector is None else [view.dense.search(target.index, vector, pool) for target in targets]
            found = _merge([*lexical, *dense])
            return lexical, dense, self._views.chunks.read(found, view.generation, where)

        pool, ended = POOL_FILTERED if where else POOL, min(view.ended, MOST_ENDED)
        more = ended if where else min(ended, FEW_ENDED)
        lexical, dense, live = find(pool + more)
        # Each collection for itself: what another one has is no substitute.
        if more < ended and any(_is_short(side, live, pool, pool + more) for side in (*lexical, *dense)):
            lexical, dense, live = find(pool + ended)
        return _merge(lexical), _merge(dense), live

    def _topics(self, query: SearchQuery, targets: Sequence[Collection], view: View) -> Topics:
        """What the earlier answers were about."""

        def search(weights: Mapping[str, float]) -> list[LiveChunk]:
            found = self._search_lexical(view, weights, targets, topics.HITS)
            return list(self._views.chunks.read(found, view.generation).values())

        ids = [target.index for target in targets]
        return topics.find_topics(query["answers"], search, lambda found: view.lexical.idf(ids, found))

    def _search_lexical(
        self, view: View, weights: Mapping[str, float], targets: Sequence[Collection], pool: int
    ) -> dict[str, float]:
        return _merge(view.lexical.search(target.index, weights, pool) for target in targets)

    def _vector(self, query: SearchQuery, embedding: str) -> NDArray[np.float32] | None:
        """What is near in meaning to a query; None where the embedding cannot tell."""
        if reads_english_only(embedding) and is_cjk(query["text"]):
            return None
        return self._embed(query, embedding)

    def _embed(self, query: SearchQuery, embedding: str) -> NDArray[np.float32]:
        weights: defaultdict[str, float] = defaultdict(float)  # of a second question the one before is also the first
        for text, weight in query["texts"]:
            weights[text] += weight
        try:
            vectors = self._embedders.embed(embedding, list(weights))
        except SettingsError as exc:
            raise IndexMismatch(
                f"what is searched was embedded by {embedding!r}, which cannot be used here. Install its LangChain "
                "package and set its key, or embed the collection anew with `citestream index rebuild`."
            ) from exc
        total = np.asarray(list(weights.values()), np.float32) @ vectors
        return np.asarray(total / (np.linalg.norm(total) + 1e-12), np.float32)


def _shared_embedding(targets: Sequence[Collection]) -> str:
    """The embedding of all the collections. Raises IndexMismatch: similarities of two models do not compare."""
    names = {target.embedding: target.name for target in targets}
    if len(names) > 1:
        (one, here), (other, there), *_ = names.items()
        raise IndexMismatch(
            f"the collection {here!r} was embedded by {one!r} and {there!r} by {other!r}: ask them one after the "
            f"other, or embed one anew with `citestream index rebuild`."
        )
    return next(iter(names))


def _is_short(side: Mapping[str, float], live: Mapping[str, LiveChunk], wanted: int, asked: int) -> bool:
    """Whether fewer than `wanted` of what an index found are live, though it may have more."""
    return len(side) >= asked and sum(name in live for name in side) < wanted


def _merge(results: Iterable[dict[str, float]]) -> dict[str, float]:
    return {chunk_id: score for result in results for chunk_id, score in result.items()}
