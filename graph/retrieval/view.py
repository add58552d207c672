"""Views: which state of the index a search sees, and how a running process gets to see the next one.

Neither index follows what another process writes: Chroma keeps its vectors as they were when it opened them, tantivy
its segments. So a view is opened for each generation of the library, warmed while searches go on with the one
before, and put in its place.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import structlog

from graph.errors import CitestreamError, IndexUnusable
from graph.library import Collection, Library, no_collection
from graph.retrieval.embeddings import Embedders
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex
from graph.retrieval.live_chunks import LiveChunks
from graph.retrieval.presence import KEEP_S, be_present, hold_generation
from graph.settings import Settings

POLL_S = 0.25
"""How often a followed library is asked for its generation: one short query."""
REST = 4
"""A view that took a second to open is followed by so many seconds without opening another, while a writer goes on;
by fewer where what is published meanwhile would not be seen in time."""
SEEN_WITHIN_S = 2.0
"""How long after its publication something is to be seen, as long as a view opens in a third of it."""
ATTEMPTS = 5
"""How often a view is opened anew because the next generation was published meanwhile."""

log = structlog.get_logger(__name__)


class View:
    """Both indexes and the collections as of one generation: that of the library when it is made.

    `ended` chunks in the indexes may not be live.
    """

    def __init__(
        self,
        settings: Settings,
        library: Library,
        generation: int,
        collections: Sequence[Collection],
        hold: IO[bytes],
    ) -> None:
        self.generation = generation
        self.ended = library.ended_chunks()
        self.is_empty = library.is_empty()
        self.dense = DenseIndex(settings)
        self.lexical = LexicalIndex(library.data_dir)
        self.users = 0
        self._collections = {collection.name: collection for collection in collections}
        self._hold = hold

    def collection(self, name: str) -> Collection:
        """The collection of that name. Raises CollectionNotFound."""
        if name not in self._collections:
            raise no_collection(name)
        return self._collections[name]

    def has_all(self, names: Sequence[str]) -> bool:
        """Whether there are collections of all these names."""
        return all(name in self._collections for name in names)

    def warm(self) -> None:
        """Open every collection, which fixes what is seen of it."""
        for collection in self._collections.values():
            self.lexical.warm(collection.index)
            self.dense.warm(collection.index)

    def close(self) -> None:
        """Free what Chroma holds, and the indexes."""
        self.dense.close()
        self._hold.close()

    @property
    def embeddings(self) -> set[str]:
        """What its collections are searched with."""
        return {collection.embedding for collection in self._collections.values()}


class Views:
    """The current view. Threads may share one object; calls block while a view is opened.

    Until `follow` is called, whoever searches opens the view that it needs.
    """

    def __init__(
        self,
        settings: Settings,
        library: Library,
        embedders: Embedders,
    ) -> None:
        self._library = library
        self._embedders = embedders
        self._settings = settings
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self.chunks = LiveChunks(library)
        self._view: View | None = None
        self._left: list[View] = []
        self._follower: threading.Thread | None = None
        self._closed = threading.Event()
        self._presence: IO[bytes] | None = None

    @contextmanager
    def current(self) -> Iterator[View]:
        """The view to search in, kept open meanwhile."""
        if self._view is None or (self._follower is None and self._view.generation != self._library.generation()):
            self._advance()
        with self._lock:
            view = self._view
            assert view is not None
            view.users += 1
        try:
            yield view
        finally:
            with self._lock:
                view.users -= 1
            self._close_left()

    def opened(self) -> View | None:
        """The current view, if there is one yet, for a question to what it holds in memory."""
        return self._view

    def latest(self) -> View:
        """The same, opened when there is none."""
        if self._view is None:
            self._advance()
        assert self._view is not None
        return self._view

    def follow(self) -> None:
        """From now on open views in the background, so that no search waits for one."""
        self._advance()
        if self._follower is None:
            self._follower = threading.Thread(target=self._run, name="citestream-views", daemon=True)
            self._follower.start()

    def close(self) -> None:
        """Close all views; no search may be running."""
        self._closed.set()
        if self._follower is not None:
            self._follower.join()
        with self._lock:
            left, self._left = [*self._left, *([self._view] if self._view else [])], []
            self._view = None
        for view in left:
            view.close()
        if self._presence is not None:
            self._presence.close()
            self._presence = None

    def _run(self) -> None:
        wait = POLL_S
        while not self._closed.wait(wait):
            began = time.monotonic()
            try:
                opened = self._advance()
            except Exception:  # a disk that is full now may not be so in a second; searches go on with what there is
                log.exception("index_view_failed")
                opened = True
            wait = rest_s(time.monotonic() - began) if opened else POLL_S

    def _advance(self) -> bool:
        """Put a view of the library's generation in place, if the current one is older; whether it did."""
        with self._opening:
            if self._view is not None and self._view.generation == self._library.generation():
                return False
            self._presence = self._presence or be_present(self._library.data_dir)
            view = self._open()
            self._warm_embeddings(view)
            with self._lock:
                before, self._view = self._view, view
                if before is not None:
                    self._left.append(before)
        self._close_left()
        return True

    def _open(self) -> View:
        """A view that has all of its generation: one that took long may miss chunks which have ended meanwhile."""
        for attempt in range(1, ATTEMPTS + 1):
            began = time.monotonic()
            generation, collections, hold = self._hold_newest()
            view = View(self._settings, self._library, generation, collections, hold)
            try:
                view.warm()
            except IndexUnusable:  # a chunk that it was about to load has gone
                log.info("index_view_again", attempt=attempt, exc_info=attempt == ATTEMPTS)
                if attempt == ATTEMPTS:
                    view.close()
                    raise
            except BaseException:
                view.close()
                raise
            else:
                in_time = time.monotonic() - began < KEEP_S
                if in_time or self._library.generation() == generation or attempt == ATTEMPTS:
                    break
            view.close()
        return view

    def _hold_newest(self) -> tuple[int, Sequence[Collection], IO[bytes]]:
        """The newest generation with its collections; none of their indexes is deleted until the file is closed."""
        while True:
            generation = self._library.generation()
            collections = self._library.open_collections()
            hold = hold_generation(self._library.data_dir, generation)
            if self._library.generation() == generation:
                return generation, collections, hold
            hold.close()

    def _warm_embeddings(self, view: View) -> None:
        """Load what questions are embedded with; where that fails, those who ask are told."""
        for name in view.embeddings:
            try:
                self._embedders.warm(name)
            except CitestreamError:
                log.warning("embedding_unusable", embedding=name, exc_info=True)

    def _close_left(self) -> None:
        with self._lock:
            idle = [view for view in self._left if not view.users]
            self._left = [view for view in self._left if view.users]
        for view in idle:
            view.close()


def rest_s(took_s: float) -> float:
    """How long to rest after a view that took so long.

    What was published just after it began to open waits for the rest of that, then this, then the next view, which may
    take longer: the writer is waited for. At least half of the time is rest, as the writer waits for views too.
    """
    return max(POLL_S, took_s, min(REST * took_s, SEEN_WITHIN_S - 3 * took_s))
