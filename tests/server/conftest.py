"""A server for tests: the real app under uvicorn on a free port, with a scripted graph."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
import structlog
from pydantic import SecretStr
from uvicorn.loops.auto import auto_loop_factory

from graph.library import Chunk, LibraryWriter, NewVersion
from graph.settings import Settings
from graph.state.evidence import Passage
from server.app import open_state
from server.logs import describe_exception
from server.process import open_socket
from server.serve import build_server
from server.state import AppState
from tests.fakes import Answerer, FakeResources
from tests.services import fresh_database

T = TypeVar("T")
TEXT = "Cats sleep a lot. They sleep up to sixteen hours a day. Dogs sleep less."


class LiveServer:
    """The app under uvicorn in a thread of its own."""

    def __init__(self, opening: AbstractAsyncContextManager[AppState]) -> None:
        self._opening = opening
        self._ready: Future[str] = Future()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "LiveServer":
        self._thread.start()
        self.address = self._ready.result(timeout=20)
        self.http = httpx2.Client(base_url=self.address, timeout=20)
        return self

    def __exit__(self, *exc: object) -> None:
        self.http.close()
        self.stop()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()

    def tasks(self) -> set[str]:
        """Names of the asyncio tasks that are not done."""

        async def look() -> set[str]:
            mine = asyncio.current_task()
            return {task.get_name() for task in asyncio.all_tasks() if task is not mine}

        return self.run(look())

    def drop_log(self, run_id: str) -> None:
        """Let the events of a run expire."""
        self.run(self.state.event_log.drop(run_id))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the server's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 5) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "the condition did not come true in time"
            time.sleep(0.01)

    def ask(self, question: str = "Do cats sleep?", **body: Any) -> httpx2.Response:
        """Ask for a stream and read all of it."""
        return self.http.post("/v1/chat/stream", json={"question": question, **body})

    def _run(self) -> None:
        with open_socket("127.0.0.1", 0) as listener, asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            runner.run(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            async with self._opening as self.state:
                self._server = build_server(self.state, self._ready.set_result)
                await self._server.serve(sockets=[listener])
        except Exception as exc:
            if self._ready.done():
                raise
            self._ready.set_exception(exc)


def scripted(settings: Settings, library: LibraryWriter, answerer: Answerer) -> LiveServer:
    """A server whose graph is a script."""
    return LiveServer(open_state(settings, FakeResources(library), answerer.build()))


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """Without set-up, structlog draws every exception with all its variables, which takes seconds."""
    structlog.configure(
        processors=[describe_exception, structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[Settings]:
    """Settings of an empty PostgreSQL database."""
    async with fresh_database() as url:
        yield Settings(data_dir=tmp_path / "data", database_url=SecretStr(url))


@pytest.fixture(params=["sqlite", "postgres"])
async def conversations(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Settings]:
    """Settings of an empty database of each kind."""
    if request.param == "sqlite":
        yield Settings(data_dir=tmp_path / "data")
        return
    async with fresh_database() as url:
        yield Settings(data_dir=tmp_path / "data", database_url=SecretStr(url))


@pytest.fixture
def empty_library(tmp_path: Path) -> Iterator[LibraryWriter]:
    library = LibraryWriter.open(tmp_path / "data")
    yield library
    library.close()


@pytest.fixture
def passage(empty_library: LibraryWriter) -> Passage:
    """The only passage of the only document."""
    return add_document(empty_library, "cats.md", TEXT)


@pytest.fixture
def library(empty_library: LibraryWriter, passage: Passage) -> LibraryWriter:
    """A library with one document in `default`."""
    return empty_library


def add_document(library: LibraryWriter, name: str, text: str, collection: str = "default") -> Passage:
    """Index a document of one chunk; returns it as the passage that a node would have found."""
    target = library.ensure_collection(collection, "minilm", "test")
    new = NewVersion(
        source=name,
        path=f"/docs/{name}",
        format="md",
        title=name.removesuffix(".md").title(),
        lang="en",
        sha256=f"sha-of-{name}-{len(text)}",
        size_bytes=len(text),
        mtime_ns=1,
        loader="test",
        text=text,
        chunks=[Chunk(0, len(text), None, "Sleep")],
    )
    document_id, staged = library.stage(target, new)
    library.publish()
    return {
        "index": 1,
        "id": staged[0].id,
        "text": text,
        "score": 0.9,
        "document": document_id,
        "source": name,
        "title": new.title,
        "start": 0,
        "end": len(text),
        "doc_sha256": new.sha256,
    }


@pytest.fixture
def answerer(passage: Passage) -> Answerer:
    return Answerer(passage)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", disconnect_grace_s=0)


@pytest.fixture
def server(settings: Settings, library: LibraryWriter, answerer: Answerer) -> Iterator[LiveServer]:
    """A running server. Tests change what it answers by setting fields of `answerer`."""
    with scripted(settings, library, answerer) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for all tests of a file that leave nothing behind."""
    data_dir = tmp_path_factory.mktemp("shared") / "data"
    library = LibraryWriter.open(data_dir)
    passage = add_document(library, "cats.md", TEXT)
    with scripted(Settings(data_dir=data_dir), library, Answerer(passage)) as running:
        yield running
    library.close()
