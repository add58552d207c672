"""The dense index: Chroma through langchain-chroma. The only module that knows Chroma.

Each collection is an ordinary LangChain collection (cosine, texts, metadata), so any LangChain retriever can read
it; its Chroma name is the id that the library gives it.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
from chromadb.api.collection_configuration import CreateCollectionConfiguration
from chromadb.config import Settings as ChromaSettings
from chromadb.errors import ChromaError, NotFoundError
from langchain_chroma import Chroma
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from graph.errors import IndexUnusable

FOLDER = "chroma"
CONFIGURATION: CreateCollectionConfiguration = {"hnsw": {"space": "cosine", "ef_search": 400}}
"""`ef_search`: as many candidates as the widest search asks for. With Chroma's 100, 2 of 220 searches for 60 of 215
chunks missed one, and not the same ones each time the index was opened, so that two processes scored differently."""
ADD_BATCH = 1000
"""Chunks in one write: larger ones save no time, and Chroma takes 5,461 at most."""


_OPENED = itertools.count()


class DenseIndex:
    """Vectors of chunks by collection id, in `data_dir/chroma`. Calls block; threads may share one object.

    One process may write at a time. An object sees what was there when a collection was first used, and goes on
    seeing it: to see what another process has written since, open another object and close this one.
    """

    def __init__(self, data_dir: Path, embeddings: Embeddings) -> None:
        self._embeddings = embeddings
        # Chroma keeps one system per path string in a process; another spelling of the path opens a fresh one.
        path = f"{data_dir / FOLDER}" + "/." * next(_OPENED)
        self._client: Any = chromadb.PersistentClient(path, settings=ChromaSettings(anonymized_telemetry=False))
        self._stores: dict[str, Chroma] = {}
        self._collections: dict[str, Any] = {}

    def close(self) -> None:
        """Free what the client holds."""
        self._stores.clear()
        self._collections.clear()
        self._client.close()

    def add(
        self,
        collection: str,
        ids: list[str],
        texts: list[str],
        metadatas: list[dict[str, Any]],
        vectors: NDArray[np.float32],
    ) -> None:
        """Store chunks under new ids, as langchain-chroma's `add_texts` does with vectors that are known already."""
        self._store(collection)
        target = self._vectors(collection)
        for begin in range(0, len(ids), ADD_BATCH):
            part = slice(begin, begin + ADD_BATCH)
            target.upsert(ids[part], vectors[part], metadatas[part], texts[part])

    def vectors(self, collection: str, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of those of the chunks that are stored, by id."""
        target = self._vectors(collection)
        if target is None or not ids:
            return {}
        found = target.get(list(ids), include=["embeddings"])
        pairs = zip(found["ids"], found["embeddings"], strict=True)
        return {name: np.asarray(vector, np.float32) for name, vector in pairs}

    def missing(self, collection: str, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are not stored."""
        left = set(ids)
        target = self._vectors(collection)
        for begin in range(0, len(ids) if target is not None else 0, ADD_BATCH):
            left.difference_update(target.get(list(ids[begin : begin + ADD_BATCH]), include=[])["ids"])
        return left

    def warm(self, collection: str) -> None:
        """Load a collection's vectors, which its first search would do.

        Raises IndexUnusable, also when a writer deletes just what is read.
        """
        target = self._vectors(collection)
        if target is None:
            return
        try:
            some = target.get(limit=1, include=["embeddings"])
        except ChromaError as exc:
            raise IndexUnusable("a chunk went away while the index was opened; try again.") from exc
        if some["ids"]:
            self.search(collection, np.asarray(some["embeddings"][0], np.float32), 1)

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Forget chunks; unknown ids are ignored."""
        target = self._vectors(collection)
        for begin in range(0, len(ids) if target is not None else 0, ADD_BATCH):
            target.delete(list(ids[begin : begin + ADD_BATCH]))

    def drop(self, collection: str) -> None:
        """Forget a whole collection."""
        if self._vectors(collection) is not None:
            self._client.delete_collection(collection)
        self._stores.pop(collection, None)
        self._collections.pop(collection, None)

    def search(self, collection: str, vector: NDArray[np.float32], k: int) -> dict[str, float]:
        """Cosine similarity (-1..1) of the `k` nearest chunks, by id."""
        target = self._vectors(collection)
        if target is None:
            return {}
        try:
            found = target.query([vector.tolist()], n_results=k, include=["distances"])
        except (ChromaError, ValueError) as exc:
            raise IndexUnusable(
                "the index cannot be searched. Run `citestream index stats` to see whether it opens, and ingest again."
            ) from exc
        return {name: 1 - distance for name, distance in zip(found["ids"][0], found["distances"][0], strict=True)}

    def ids(self, collection: str) -> set[str]:
        """Of all chunks stored in a collection."""
        target = self._vectors(collection)
        return set() if target is None else set(target.get(include=[])["ids"])

    def _store(self, collection: str) -> Chroma:
        if collection not in self._stores:
            self._stores[collection] = Chroma(
                collection_name=collection,
                embedding_function=self._embeddings,
                client=self._client,
                collection_configuration=CONFIGURATION,
            )
        return self._stores[collection]

    def _vectors(self, collection: str) -> Any:
        """Chroma's own collection, None where there is none: reading must not make one.

        LangChain's search reads texts and metadata too, which the library has.
        """
        if collection not in self._collections:
            try:
                self._collections[collection] = self._client.get_collection(collection, embedding_function=None)
            except NotFoundError:
                return None
        return self._collections[collection]
