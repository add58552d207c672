"""The dense index: Chroma through langchain-chroma. The only module that knows Chroma.

Each collection is an ordinary LangChain collection (cosine, texts, metadata), so any LangChain retriever can read
it; its Chroma name is the id that the library gives it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
from chromadb.api.collection_configuration import CreateCollectionConfiguration
from chromadb.config import Settings as ChromaSettings
from chromadb.errors import ChromaError
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


class DenseIndex:
    """Vectors of chunks by collection id, in `data_dir/chroma`. Calls block; threads may share one object.

    One process may write at a time, and an object opened before a write does not see it: see `reopened`.
    """

    def __init__(self, data_dir: Path, embeddings: Embeddings, *, alternate: bool = False) -> None:
        self._data_dir = data_dir
        self._embeddings = embeddings
        self._alternate = alternate
        # Chroma keeps one system per path string in a process; another spelling of the path opens a fresh one.
        path = f"{data_dir / FOLDER}/." if alternate else str(data_dir / FOLDER)
        self._client: Any = chromadb.PersistentClient(path, settings=ChromaSettings(anonymized_telemetry=False))
        self._stores: dict[str, Chroma] = {}
        self._collections: dict[str, Any] = {}

    def reopened(self) -> "DenseIndex":
        """A fresh view of the same folder, which sees what another process has written; close the old one after."""
        return DenseIndex(self._data_dir, self._embeddings, alternate=not self._alternate)

    def close(self) -> None:
        """Free what the client holds."""
        self._stores.clear()
        self._collections.clear()
        self._client.close()

    def add(self, collection: str, ids: list[str], texts: list[str], metadatas: list[dict[str, Any]]) -> None:
        """Embed and store chunks under new ids."""
        for begin in range(0, len(ids), ADD_BATCH):
            part = slice(begin, begin + ADD_BATCH)
            self._store(collection).add_texts(texts[part], metadatas[part], ids[part])

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Forget chunks; unknown ids are ignored."""
        for begin in range(0, len(ids), ADD_BATCH):
            self._store(collection).delete(list(ids[begin : begin + ADD_BATCH]))

    def drop(self, collection: str) -> None:
        """Forget a whole collection."""
        self._store(collection).delete_collection()
        self._stores.pop(collection, None)
        self._collections.pop(collection, None)

    def search(self, collection: str, vector: NDArray[np.float32], k: int) -> dict[str, float]:
        """Cosine similarity (-1..1) of the `k` nearest chunks, by id."""
        try:
            found = self._vectors(collection).query([vector.tolist()], n_results=k, include=["distances"])
        except (ChromaError, ValueError) as exc:
            raise IndexUnusable(
                "the index cannot be searched. Run `citestream index stats` to see whether it opens, and ingest again."
            ) from exc
        return {name: 1 - distance for name, distance in zip(found["ids"][0], found["distances"][0], strict=True)}

    def count(self, collection: str) -> int:
        """Chunks stored in a collection."""
        return len(self._store(collection).get(include=[])["ids"])

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
        """Chroma's own collection. LangChain's search reads texts and metadata too, which the library has."""
        if collection not in self._collections:
            self._store(collection)
            self._collections[collection] = self._client.get_collection(collection, embedding_function=None)
        return self._collections[collection]
