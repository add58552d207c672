"""A small index about foxes, databases and cats, and the resources to ask it."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from graph.library import Chunk, Collection, LibraryWriter, NewVersion
from graph.resources import Resources, open_resources
from graph.retrieval.writer import IndexWriter, open_writer
from graph.settings import Settings
from tests.upstream import Upstream, run_upstream

FOX = "The quick fox jumps over the lazy dog. It was seen in 1998 near Oxford [12]. The fox sleeps in a den."
SQLITE = "SQLite stores a whole database in one file. The file may be copied while nobody writes. Backups are easy."
CATS = "猫每天睡十六个小时。它们在篮子里睡觉。狗比猫睡得少。"


def version(source: str, text: str, *, revision: int = 1, heading: str = "", lang: str = "en") -> NewVersion:
    return NewVersion(
        source=source, path=f"/docs/{source}", format="text", title=source.partition(".")[0], lang=lang,
        sha256=f"{revision:064x}", size_bytes=len(text), mtime_ns=revision, loader="test/1", text=text,
        chunks=[Chunk(0, len(text), heading=heading)],
    )  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(data_dir=tmp_path / "data")


@pytest.fixture
def writer(settings: Settings) -> Iterator[IndexWriter]:
    with open_writer(settings) as opened:
        opened.begin("default", chunker="test/1")
        yield opened


@pytest.fixture
def index(settings: Settings) -> Settings:
    """Settings of a data folder with three documents."""
    with open_writer(settings) as opened:
        opened.begin("default", chunker="test/1")
        opened.put(version("foxes.txt", FOX, heading="Animals"))
        opened.put(version("sqlite.txt", SQLITE, heading="Databases"))
        opened.put(version("cats.txt", CATS, lang="zh"))
        opened.publish()
    return settings


@pytest.fixture
def library(tmp_path: Path) -> Iterator[LibraryWriter]:
    """A library with nothing in it, and no index."""
    opened = LibraryWriter.open(tmp_path / "library")
    yield opened
    opened.close()


@pytest.fixture
def collection(library: LibraryWriter) -> Collection:
    return library.ensure_collection("default", "minilm", "test/1")


OpenWith = Callable[..., AbstractAsyncContextManager[Resources]]


@pytest.fixture
def openai_client() -> str:
    """The setting; tests of what a model's server can do have both."""
    return "fast"


@pytest.fixture
def open_with(index: Settings, openai_client: str) -> OpenWith:
    """Open resources on the index with some settings changed."""

    @asynccontextmanager
    async def opened(**changed: object) -> AsyncIterator[Resources]:
        async with open_resources(index.model_copy(update={"openai_client": openai_client, **changed})) as resources:
            yield resources

    return opened


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with run_upstream() as running:
        yield running
