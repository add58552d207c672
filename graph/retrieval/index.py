"""The dense index: Chroma through langchain-chroma. The only module that calls Chroma.

Each collection is an ordinary LangChain collection (cosine, texts, metadata), so any LangChain retriever can read
it; its Chroma name is the id that the library gives it.
"""

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import chromadb
import httpx
import numpy as np
from chromadb.api.collection_configuration import CreateCollectionConfiguration
from chromadb.config import Settings as ChromaSettings
from chromadb.errors import ChromaError, NotFoundError
from langchain_chroma import Chroma
from numpy.typing import NDArray

from graph.disk import disk_of
from graph.errors import IndexUnusable
from graph.retrieval.chroma_folder import ChromaFolder
from graph.settings import Settings

FAILURES = (ChromaError, ValueError, httpx.HTTPError, OSError)
"""What Chroma raises: its own errors, and with a server those of its HTTP client."""
CONFIGURATION: CreateCollectionConfiguration = {"hnsw": {"space": "cosine", "ef_search": 400}}
"""`ef_search`: as many candidates as the widest search asks for. With Chroma's 100, 2 of 220 searches for 60 of 215
chunks missed one, and not the same ones each time the index was opened, so that two processes scored differently."""
SERVER_SECONDS = 60.0
"""How long a Chroma server may take; its client would wait for ever."""
BATCH = 256
"""Chunks that are asked for or deleted at once, and most in one request to a server: of 1,024 vectors of 8,192 numbers
it says "Payload too large"."""


_LOCK = threading.Lock()
_SPELLINGS: set[int] = set()
"""How often `/.` stands behind the folder's path in each client that is open."""
_SERVERS: dict[str, Any] = {}
"""The client of each server. Chroma has one HTTP session for all clients of a server, and never closes it."""


class DenseIndex:
    """Vectors of chunks by collection id, in `data_dir/chroma` or in a Chroma server.

    Calls block; threads may share one object.
    One process may write at a time. In a folder, an object sees what was there when a collection was first used, and
    goes on seeing it: to see what another process has written since, open another object and close this one. The
    first use waits until no other process is just writing, and others wait for it (graph/retrieval/chroma_folder.py).
    Raises IndexUnusable when the server does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._texts = settings.chroma_texts
        self._folder = None if settings.chroma_url else ChromaFolder(settings.data_dir)
        self._spelling: int | None = None
        self._client: Any = _server(settings.chroma_url) if settings.chroma_url else self._open_folder(settings)
        self._stores: dict[str, Chroma] = {}
        self._collections: dict[str, Any] = {}

    def close(self) -> None:
        """Free what the client holds."""
        self._stores.clear()
        self._collections.clear()
        if self._spelling is None:
            return  # others talk to the server through the same client
        self._client.close()
        with _LOCK:
            _SPELLINGS.discard(self._spelling)

    def _open_folder(self, settings: Settings) -> Any:
        # Chroma keeps one system per path string in a process; another spelling of the path opens a fresh one.
        with _LOCK:
            self._spelling = next(number for number in itertools.count() if number not in _SPELLINGS)
            _SPELLINGS.add(self._spelling)
        assert self._folder is not None
        path = str(self._folder.path) + "/." * self._spelling
        with disk_of(settings.data_dir), self._folder.alone():  # of two that make its tables, one would fail
            self._folder.prepare()
            return chromadb.PersistentClient(path, settings=_quiet())

    def add(
        self,
        collection: str,
        ids: list[str],
        texts: list[str],
        metadatas: list[dict[str, Any]],
        vectors: NDArray[np.float32],
    ) -> None:
        """Store chunks with vectors that are known already; one whose id is there stays as it is. Raises IndexUnusable.

        A folder takes them at once, 5,000 at most. An id stands for one text and one vector. To write it anew, as
        langchain-chroma's `add_texts` does, can cut other vectors off from every search: of 4,500 in small collections
        that were written twice 4 were lost.
        """
        self._store(collection)
        target = self._vectors(collection)
        size = BATCH if self._folder is None else max(1, len(ids))
        for begin in range(0, len(ids), size):
            part = slice(begin, begin + size)
            try:
                with self._changing(target):
                    target.add(ids[part], vectors[part], metadatas[part], texts[part] if self._texts else None)
            except FAILURES as exc:
                raise IndexUnusable(
                    "vectors cannot be written. See whether the disk is full and the data folder may be written, and "
                    "run this again: what was published stays."
                ) from exc

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
        for begin in range(0, len(ids) if target is not None else 0, BATCH):
            left.difference_update(target.get(list(ids[begin : begin + BATCH]), include=[])["ids"])
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
        except FAILURES as exc:
            raise IndexUnusable("a chunk went away while the index was opened; try again.") from exc
        if some["ids"]:
            self.search(collection, np.asarray(some["embeddings"][0], np.float32), 1)

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Forget chunks; unknown ids are ignored."""
        target = self._vectors(collection)
        for begin in range(0, len(ids) if target is not None else 0, BATCH):
            with self._changing(target):
                target.delete(list(ids[begin : begin + BATCH]))

    def drop(self, collection: str) -> None:
        """Forget a whole collection, and give its room on the disk back."""
        with suppress(NotFoundError):
            self._client.delete_collection(collection)
        self._stores.pop(collection, None)
        self._collections.pop(collection, None)
        if self._folder is not None:
            self._folder.delete_left_behind()

    def search(self, collection: str, vector: NDArray[np.float32], k: int) -> dict[str, float]:
        """Cosine similarity (-1..1) of the `k` nearest chunks, by id."""
        target = self._vectors(collection)
        if target is None:
            return {}
        try:
            found = target.query([vector.tolist()], n_results=k, include=["distances"])
        except FAILURES as exc:
            raise IndexUnusable(
                "the index cannot be searched. Run `citestream index stats` to see whether it opens, and ingest again."
            ) from exc
        return {name: 1 - distance for name, distance in zip(found["ids"][0], found["distances"][0], strict=True)}

    def dimensions(self, collection: str) -> int | None:
        """How many numbers each vector has; None where there are none."""
        target = self._vectors(collection)
        if target is None:
            return None
        some = target.get(limit=1, include=["embeddings"])["embeddings"]
        return len(some[0]) if len(some) else None

    def ids(self, collection: str) -> set[str]:
        """Of all chunks stored in a collection."""
        target = self._vectors(collection)
        return set() if target is None else set(target.get(include=[])["ids"])

    def _store(self, collection: str) -> Chroma:
        if collection not in self._stores:
            self._stores[collection] = Chroma(
                collection_name=collection,
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
                target = self._client.get_collection(collection, embedding_function=None)
            except NotFoundError:
                return None
            self._open(target)
            self._collections[collection] = target
        return self._collections[collection]

    def _open(self, target: Any) -> None:
        """Have Chroma take up its log, and perhaps write it into its files, while nobody else does."""
        if self._folder is None:
            return
        with self._folder.alone():
            self._folder.mend()
            self._folder.keep()
            self._folder.check(target.id)
            try:
                target.get(limit=1, include=[])  # `count` would hold Python up for as long as it takes
            except FAILURES as exc:
                raise IndexUnusable("the index cannot be opened. Run `citestream index verify`.") from exc
            self._folder.keep()

    @contextmanager
    def _changing(self, target: Any) -> Iterator[None]:
        if self._folder is None:
            yield
            return
        with self._folder.alone():
            yield
            self._folder.keep()
            self._folder.check(target.id)


def _quiet() -> ChromaSettings:
    """New ones each time: Chroma writes into what it is given."""
    return ChromaSettings(anonymized_telemetry=False)


def _server(url: str) -> Any:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    with _LOCK:
        try:
            if url not in _SERVERS:
                client = chromadb.HttpClient(parts.hostname or "", port, ssl=parts.scheme == "https", settings=_quiet())
                client._server._session.timeout = httpx.Timeout(SERVER_SECONDS)  # type: ignore[attr-defined]
                _SERVERS[url] = client
            _SERVERS[url].heartbeat()
        except Exception as exc:  # Chroma's own errors, and those of its HTTP client
            raise IndexUnusable(
                f"the Chroma server at {url} does not answer. Check CITESTREAM_CHROMA_URL, and that it runs."
            ) from exc
        return _SERVERS[url]
