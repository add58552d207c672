"""A collection gets another index while the one there is goes on being read."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from graph.errors import IndexUnusable
from graph.library import Chunk, Library, LibraryWriter, NewVersion
from graph.retrieval import chunk_writer, writer
from graph.retrieval import index as index_module
from graph.retrieval.embeddings import Embedders
from graph.retrieval.hybrid import Retriever
from graph.retrieval.index import DenseIndex
from graph.retrieval.presence import hold_generation
from graph.retrieval.query import history_query
from graph.retrieval.writer import open_writer
from graph.settings import Settings
from tests.graph.conftest import CATS, FOX, SQLITE, version
from tests.upstream import Upstream

MINILM_AXIS = np.eye(384, dtype=np.float32)[0]


@pytest.fixture
def served(index: Settings, upstream: Upstream) -> Settings:
    """Settings that name another embedding than that of the index."""
    server = {"openai_base_url": upstream.base_url, "openai_api_key": SecretStr("k")}
    return index.model_copy(update={"embedding": "openai:hash-8", **server})


@pytest.fixture
def retriever(served: Settings) -> Iterator[Retriever]:
    """What reads the index, with the key for both embeddings."""
    library = Library.open(served.data_dir)
    opened = Retriever(served, library, Embedders(served))
    yield opened
    opened.close()
    library.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers of these tests only move when they are asked something."""
    monkeypatch.setattr(writer, "MOVE_S", 0.2)


def as_before(document: NewVersion) -> list[Chunk]:
    return list(document.chunks)


def sentences(document: NewVersion) -> list[Chunk]:
    """Chunks that end behind each full stop."""
    ends = [position + 1 for position, char in enumerate(document.text) if char in ".。"] or [len(document.text)]
    return [Chunk(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def rebuild(settings: Settings, *, chunker: str = "test/1", cut=as_before) -> int:
    """Rebuild, and return how many texts were embedded for it."""
    with open_writer(settings) as opened:
        list(opened.rebuild(opened.library.collection("default"), chunker=chunker, cut=cut))
        return opened.embedded


def found(retriever: Retriever, question: str) -> list[str]:
    passages = retriever.search(history_query(question, []), ["default"], k=3, where={}).passages
    return [passage["id"] for passage in passages]


def test_another_embedding_takes_the_place_of_the_one_before(served: Settings, retriever: Retriever) -> None:
    retriever.warm()
    before = found(retriever, "Where does the fox sleep?")
    library = Library.open(served.data_dir)
    old = library.collection("default")
    assert rebuild(served) == 3
    new = library.collection("default")
    assert (new.embedding, new.chunker, new.id) == ("openai:hash-8", "test/1", old.id)
    assert found(retriever, "Where does the fox sleep?")[0] == before[0]
    with open_writer(served) as opened:
        assert opened.check(new).is_good
        assert (
            len(opened.vectors(new, library.documents()[0].id, opened.library.version(library.documents()[0].id))[0])
            == 8
        )
    assert DenseIndex(served).ids(old.index) == set()
    assert not (served.data_dir / "lexical" / old.index).exists()
    assert LibraryWriter.open(served.data_dir).ended_indexes() == {}


def test_other_chunks_take_the_place_of_the_ones_before_and_known_texts_are_not_embedded(index: Settings) -> None:
    library = Library.open(index.data_dir)
    before = library.live_ids(library.collection("default"))
    assert rebuild(index, chunker="test/2", cut=sentences) == sum(
        content.count(".") + content.count("。") for content in (FOX, SQLITE, CATS)
    )
    after = library.live_ids(library.collection("default"))
    assert not before & after
    assert all(not library.source(name).live and library.source(name).text for name in before)
    assert {chunk.text for chunk in library.live_chunks(after).values()} >= {" Backups are easy."}
    assert library.collection("default").chunker == "test/2"
    assert rebuild(index, chunker="test/3", cut=sentences) == 0
    with open_writer(index) as opened:
        assert opened.check(library.collection("default")).is_good
        assert not opened.check(library.collection("default")).extra


def test_an_index_that_somebody_reads_is_deleted_when_they_have_left(
    index: Settings,
) -> None:
    library = LibraryWriter.open(index.data_dir)
    old = library.collection("default")
    with hold_generation(index.data_dir, library.generation()):
        rebuild(index)
        assert library.ended_indexes() == {old.index: library.generation()}
        assert len(DenseIndex(index).ids(old.index)) == 3
    with open_writer(index):
        assert library.ended_indexes() == {}
    assert DenseIndex(index).ids(old.index) == set()
    assert len([path for path in (index.data_dir / "chroma").iterdir() if path.is_dir()]) == 1
    assert not list((index.data_dir / "readers").iterdir())


def test_generations_that_were_read_leave_no_files_behind(served: Settings, retriever: Retriever) -> None:
    index = served.model_copy(update={"embedding": "minilm"})
    for revision in range(2, 6):
        assert found(retriever, "fox den")
        with open_writer(index) as opened:
            opened.begin("default", chunker="test/1")
            opened.put(version("foxes.txt", FOX, revision=revision))
            opened.publish()
    held = [path.name for path in (served.data_dir / "readers").iterdir()]
    assert held == [str(Library.open(served.data_dir).generation() - 1)]


def test_an_emptied_collection_begins_anew_under_readers(served: Settings, retriever: Retriever) -> None:
    retriever.warm()
    with open_writer(served) as opened:
        for document in opened.library.documents():
            opened.remove(document.id)
        opened.publish()
        before = opened.library.collection("default")
        opened.begin("default", chunker="test/9")
        assert found(retriever, "fox den") == []
    library = LibraryWriter.open(served.data_dir)
    after = library.collection("default")
    assert (after.id, after.embedding, after.chunker) == (before.id, "openai:hash-8", "test/9")
    assert after.index != before.index


def test_a_view_that_is_open_goes_on_with_the_index_before(served: Settings, retriever: Retriever) -> None:
    ids = found(retriever, "fox den")
    with retriever._views.current() as view, open_writer(served) as opened:
        assert [step.source for step in opened.rebuild(view.collection("default"), chunker="test/1", cut=as_before)]
        assert view.dense.search(view.collection("default").index, MINILM_AXIS, 3).keys() == set(ids)
    assert set(found(retriever, "fox den")) == set(ids)


def test_an_interrupted_rebuild_changes_nothing_and_goes_on(
    served: Settings, retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_writer, "LOT_CHUNKS", 1)
    library = Library.open(served.data_dir)
    generation, before = library.generation(), found(retriever, "fox den")
    with open_writer(served) as opened:
        steps = opened.rebuild(library.collection("default"), chunker="test/1", cut=as_before)
        first = next(steps).source
        next(steps)
        next(steps)  # by now the first two are written
        steps.close()
    assert library.begun_indexes() == {"default": "openai:hash-8"}
    assert library.generation() == generation
    assert found(retriever, "fox den") == before
    with open_writer(served) as opened:  # a document that goes meanwhile is not in the new index
        opened.remove(next(d.id for d in library.documents() if d.source == first))
        opened.publish()
    assert rebuild(served) <= 1
    with open_writer(served) as opened:
        check = opened.check(library.collection("default"))
    assert check.is_good
    assert not check.extra
    assert library.begun_indexes() == {}


def test_a_rebuild_for_something_else_begins_anew(served: Settings, index: Settings) -> None:
    library = LibraryWriter.open(served.data_dir)
    first = library.begin_index(library.collection("default"), "openai:hash-8", "test/1")
    assert library.begin_index(library.collection("default"), "openai:hash-8", "test/1") == first
    other = library.begin_index(library.collection("default"), "minilm", "test/2")
    assert other.index != first.index
    assert library.ended_indexes().keys() == {first.index}


def test_a_library_of_the_schema_before_is_read_and_rebuilt(index: Settings, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{index.data_dir / 'library.db'}")
    with engine.begin() as connection:
        for statement in (
            "ALTER TABLE collections DROP COLUMN index_id",
            "ALTER TABLE versions DROP COLUMN blocks",
            "DROP TABLE spare_indexes",
            "UPDATE meta SET value = 2 WHERE key = 'schema'",
        ):
            connection.execute(text(statement))
    library = Library.open(index.data_dir)
    collection = library.collection("default")
    assert collection.index == collection.id
    assert library.begun_indexes() == {}
    assert rebuild(index) == 0
    with open_writer(index) as opened:
        assert opened.check(opened.library.collection("default")).is_good


def test_a_collection_with_damaged_vectors_is_made_anew(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    files_soon = {"hnsw": {**index_module.CONFIGURATION["hnsw"], "sync_threshold": 2, "batch_size": 2}}
    monkeypatch.setattr(index_module, "CONFIGURATION", files_soon)
    with open_writer(settings) as opened:
        opened.begin("default", chunker="test/1")
        opened.put(version("foxes.txt", FOX))
        opened.put(version("sqlite.txt", SQLITE))
        opened.put(version("cats.txt", CATS, lang="zh"))
        opened.publish()
    (links,) = (settings.data_dir / "chroma").glob("*/link_lists.bin")
    links.write_bytes(links.read_bytes()[:-3])
    shutil.rmtree(settings.data_dir / "chroma-copies")
    library = Library.open(settings.data_dir)
    retriever = Retriever(settings, library, Embedders(settings))
    with pytest.raises(IndexUnusable, match="damaged"):
        found(retriever, "Where does the fox sleep?")
    assert rebuild(settings) == 3
    assert found(retriever, "Where does the fox sleep?")
    retriever.close()
    library.close()
    with open_writer(settings) as opened:
        assert opened.check(opened.library.collection("default")).is_good
    assert len(list((settings.data_dir / "chroma").glob("*/link_lists.bin"))) == 1
