"""The dense index: Chroma through langchain-chroma. The only module that calls Chroma.

Each collection is an ordinary LangChain collection (cosine, texts, metadata), so any LangChain retriever can read
it; its Chroma name is the id that the library gives it. Crowds of nearly the same chunks are in a second one
(graph/retrieval/crowds.py), which only this module knows of.
"""

import itertools
import threading
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import product
from operator import itemgetter
from typing import Any, TypeVar
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
from graph.retrieval.crowds import MOST, NEARLY, crowded
from graph.settings import Settings

FAILURES = (ChromaError, ValueError, httpx.HTTPError, OSError)
"""What Chroma raises: its own errors, and with a server those of its HTTP client."""
CONFIGURATION: CreateCollectionConfiguration = {"hnsw": {"space": "cosine", "ef_search": 400}}
"""`ef_search`: as many candidates as the widest search asks for. With Chroma's 100, 2 of 220 searches for 60 of 215
chunks missed one, and not the same ones each time the index was opened, so that two processes scored differently."""
SERVER_SECONDS = 60.0
"""How long a Chroma server may take; its client would wait for ever."""
CROWD = "-crowd"
"""What the name of the collection that keeps a collection's crowds has behind it (graph/retrieval/crowds.py)."""
NEIGHBOURS = MOST + 4
"""How many are looked through for a chunk that ought to be there: more than are nearly the same."""
BATCH = 256
"""Chunks that are asked for or deleted at once, and most in one request to a server: of 1,024 vectors of 8,192 numbers
it says "Payload too large"."""

Rows = list[NDArray[np.float32]] | NDArray[np.float32]
"""Some vectors, or an array with one in each row."""
Many = TypeVar("Many", list[str], list[int], Rows)


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
        self._opened: dict[str, list[Any]] = {}

    def close(self) -> None:
        """Free what the client holds."""
        self._opened.clear()
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
        repeated: Container[str] = (),
    ) -> None:
        """Store chunks with vectors that are known already; one whose id is there stays as it is. Raises IndexUnusable.

        `repeated` are those whose text the collection has many times (graph/retrieval/crowds.py). A folder takes them
        at once, 5,000 at most. An id stands for one text and one vector. To write it anew, as langchain-chroma's
        `add_texts` does, can cut other vectors off from every search: of 4,500 in small collections that were written
        twice 4 were lost.
        """
        main = self._made(collection, crowd=False)
        try:
            crowd = _crowd_of(main, ids, vectors, repeated)
            for is_crowd in (False, True):
                chosen = [place for place, name in enumerate(ids) if (name in crowd) == is_crowd]
                for places in _batches(chosen, max(1, len(ids)) if self._folder else BATCH):
                    target = self._made(collection, crowd=is_crowd)
                    with self._changing(target):
                        target.add(
                            [ids[place] for place in places],
                            vectors[places],
                            [metadatas[place] for place in places],
                            [texts[place] for place in places] if self._texts else None,
                        )
        except FAILURES as exc:
            raise IndexUnusable(
                "vectors cannot be written. See whether the disk is full and the data folder may be written, and "
                "run this again: what was published stays."
            ) from exc

    def vectors(self, collection: str, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of those of the chunks that are stored, by id."""
        return {name: vector for part in self._parts(collection) for name, vector in _vectors(part, ids).items()}

    def missing(self, collection: str, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are not stored."""
        left = list(ids)
        for part in self._parts(collection):
            there = {name for batch in _batches(left) for name in part.get(batch, include=[])["ids"]}
            left = [name for name in left if name not in there]
        return set(left)

    def unmet(self, collection: str, ids: Sequence[str]) -> set[str]:
        """Those of the stored chunks that a search with their own vector does not meet.

        Of a crowd it is enough to meet one that is nearly the same.
        """
        unmet: set[str] = set()
        parts = self._parts(collection)
        for part, batch in product(parts, _batches(list(ids))):
            held = _vectors(part, batch)
            found = _search(part, list(held.values()), NEIGHBOURS)
            left = {name: held[name] for name, near in zip(held, found, strict=True) if name not in near}
            for other in parts if part is not parts[0] else ():
                near_by = _count_near(other, list(left.values()), 1)
                left = {name: held[name] for name, count in zip(left, near_by, strict=True) if not count}
            unmet.update(left)
        return unmet

    def warm(self, collection: str) -> None:
        """Load a collection's vectors, which its first search would do.

        Raises IndexUnusable, also when a writer deletes just what is read.
        """
        for part in self._parts(collection):
            try:
                some = part.get(limit=1, include=["embeddings"])
            except FAILURES as exc:
                raise IndexUnusable("a chunk went away while the index was opened; try again.") from exc
            if some["ids"]:
                _search(part, np.asarray(some["embeddings"]), 1)

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Forget chunks; unknown ids are ignored."""
        for part, batch in product(self._parts(collection), _batches(list(ids))):
            with self._changing(part):
                part.delete(batch)

    def drop(self, collection: str) -> None:
        """Forget a whole collection, and give its room on the disk back."""
        for name in reversed(_names(collection)):  # so that crowds are never there alone
            with suppress(NotFoundError):
                self._client.delete_collection(name)
        self._opened.pop(collection, None)
        if self._folder is not None:
            self._folder.delete_left_behind()

    def search(self, collection: str, vector: NDArray[np.float32], k: int) -> dict[str, float]:
        """Cosine similarity (-1..1) of the `k` nearest chunks, by id."""
        parts = self._parts(collection)
        found = {name: near for part in parts for name, near in _search(part, [vector], k)[0].items()}
        if len(parts) < 2:
            return found
        return dict(sorted(found.items(), key=itemgetter(1), reverse=True)[:k])

    def dimensions(self, collection: str) -> int | None:
        """How many numbers each vector has; None where there are none."""
        for part in self._parts(collection):
            some = part.get(limit=1, include=["embeddings"])["embeddings"]
            if len(some):
                return len(some[0])
        return None

    def ids(self, collection: str) -> set[str]:
        """Of all chunks stored in a collection."""
        return {name for part in self._parts(collection) for name in part.get(include=[])["ids"]}

    def _parts(self, collection: str) -> list[Any]:
        """Chroma's own collections that hold a collection: none, the one, or that one and that of its crowds.

        Reading must not make one, and LangChain's search reads texts and metadata too, which the library has.
        """
        if collection not in self._opened:
            parts = [part for name in _names(collection) if (part := self._open(name)) is not None]
            if not parts:
                return []
            self._opened[collection] = parts
        return self._opened[collection]

    def _made(self, collection: str, *, crowd: bool) -> Any:
        """One of the parts, made when missing."""
        if len(self._parts(collection)) <= crowd:
            name = _names(collection)[crowd]
            Chroma(collection_name=name, client=self._client, collection_configuration=CONFIGURATION)
            self._opened.setdefault(collection, []).append(self._open(name))
        return self._opened[collection][crowd]

    def _open(self, name: str) -> Any:
        """A collection of Chroma, None where there is none.

        Chroma takes up its log, and perhaps writes it into its files, while nobody else does.
        """
        try:
            target = self._client.get_collection(name, embedding_function=None)
        except NotFoundError:
            return None
        if self._folder is None:
            return target
        with self._folder.alone():
            self._folder.mend()
            self._folder.keep()
            self._folder.check(target.id)
            try:
                target.get(limit=1, include=[])  # `count` would hold Python up for as long as it takes
            except FAILURES as exc:
                raise IndexUnusable("the index cannot be opened. Run `citestream index verify`.") from exc
            self._folder.keep()
        return target

    @contextmanager
    def _changing(self, target: Any) -> Iterator[None]:
        if self._folder is None:
            yield
            return
        with self._folder.alone():
            yield
            self._folder.keep()
            self._folder.check(target.id)


def _names(collection: str) -> tuple[str, str]:
    """What Chroma calls the parts of a collection: that of everything else, and that of its crowds."""
    return collection, collection + CROWD


def _vectors(part: Any, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """The vectors of those of the ids that a collection of Chroma has."""
    found = part.get(list(ids), include=["embeddings"]) if ids else {"ids": [], "embeddings": []}
    pairs = zip(found["ids"], found["embeddings"], strict=True)
    return {name: np.asarray(vector, np.float32) for name, vector in pairs}


def _search(part: Any, vectors: Rows, k: int) -> list[dict[str, float]]:
    """Cosine similarity of the `k` nearest in a collection of Chroma, by id, for each of the vectors."""
    if not len(vectors):
        return []
    try:
        found = part.query([vector.tolist() for vector in vectors], n_results=k, include=["distances"])
    except FAILURES as exc:
        raise IndexUnusable(
            "the index cannot be searched. Run `citestream index stats` to see whether it opens, and ingest again."
        ) from exc
    return [
        {name: 1 - distance for name, distance in zip(names, distances, strict=True)}
        for names, distances in zip(found["ids"], found["distances"], strict=True)
    ]


def _crowd_of(main: Any, ids: Sequence[str], vectors: NDArray[np.float32], repeated: Container[str]) -> set[str]:
    """Those of the ids that are to be kept apart from `main`, and are not in there, as after an interruption."""
    apart = crowded(vectors, [name in repeated for name in ids], partial(_count_near, main))
    found = {name for name, is_apart in zip(ids, apart, strict=True) if is_apart}
    return found - set(main.get(list(found), include=[])["ids"]) if found else found


def _count_near(part: Any, vectors: Rows, most: int = MOST) -> list[int]:
    """How many in a collection of Chroma are nearly the same as each of the vectors, up to `most`."""
    found = [near for batch in _batches(vectors) for near in _search(part, batch, most)]
    return [sum(similarity >= NEARLY for similarity in near.values()) for near in found]


def _batches(items: Many, size: int = BATCH) -> Iterator[Many]:
    """Some of them at a time."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


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
