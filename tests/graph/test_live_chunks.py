from collections.abc import Iterable, Mapping
from pathlib import Path
from unittest.mock import patch

import pytest

from graph.library import Collection, LibraryWriter, LiveChunk
from graph.retrieval import live_chunks
from graph.retrieval.live_chunks import LiveChunks
from tests.graph.conftest import CATS, FOX, version


class Noted(LibraryWriter):
    """Notes which chunks are read, and which versions are looked up."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.read: list[str] = []
        self.asked: list[str] = []

    def live_chunks(
        self, ids: Iterable[str], where: Mapping[str, list[str]] | None = None, *, generation: int | None = None
    ) -> dict[str, LiveChunk]:
        wanted = list(ids)
        self.read += wanted
        return super().live_chunks(wanted, where, generation=generation)

    def live_versions(self, ids: Iterable[str], generation: int) -> set[str]:
        wanted = list(ids)
        self.asked += wanted
        return super().live_versions(wanted, generation)


@pytest.fixture
def library(tmp_path: Path) -> Noted:
    return Noted.open(tmp_path)


@pytest.fixture
def collection(library: Noted) -> Collection:
    return library.ensure_collection("default", "minilm", "test")


@pytest.fixture
def known(library: Noted) -> LiveChunks:
    return LiveChunks(library)


def put(library: Noted, collection: Collection, name: str, text: str, revision: int = 1) -> tuple[str, str]:
    """The ids of a document and of its only chunk."""
    document, (staged,) = library.stage(collection, version(name, text, revision=revision))
    library.publish()
    return document, staged.id


def version_of(chunk: str) -> str:
    return chunk.rpartition(".")[0]


def test_what_was_read_is_not_read_again(library: Noted, collection: Collection, known: LiveChunks) -> None:
    _, fox = put(library, collection, "fox.txt", FOX)
    _, cats = put(library, collection, "cats.txt", CATS)
    now = library.generation()
    assert known.read([fox], now)[fox].text == FOX
    found = known.read([cats, fox, "no.such.0-5"], now)
    assert (list(found), found[cats].text) == ([cats, fox], CATS)
    assert known.read([fox, "no.such.0-5"], now) == {fox: found[fox]}
    assert library.read == [fox, cats]
    assert sorted(library.asked) == sorted([version_of(fox), version_of(cats), "no.such"])


def test_what_is_published_later_makes_no_chunk_be_read_again(
    library: Noted, collection: Collection, known: LiveChunks
) -> None:
    _, fox = put(library, collection, "fox.txt", FOX)
    before = library.generation()
    known.read([fox], before)
    _, cats = put(library, collection, "cats.txt", CATS)
    assert known.read([fox, cats], before).keys() == {fox}
    assert known.read([fox, cats], library.generation()).keys() == {fox, cats}
    assert library.read == [fox, cats]


def test_a_text_that_was_erased_is_not_shown_any_more(
    library: Noted, collection: Collection, known: LiveChunks
) -> None:
    document, fox = put(library, collection, "fox.txt", FOX)
    _, cats = put(library, collection, "cats.txt", CATS)
    before = library.generation()
    assert known.read([fox, cats], before).keys() == {fox, cats}
    library.publish([document])
    assert known.read([fox, cats], before).keys() == {cats}
    assert known.read([fox, cats], library.generation()).keys() == {cats}
    assert fox not in known._known


def test_a_generation_sees_its_own_versions_whatever_was_published_since(
    library: Noted, collection: Collection, known: LiveChunks
) -> None:
    _, old = put(library, collection, "a.txt", FOX)
    before = library.generation()
    _, new = put(library, collection, "a.txt", CATS, revision=2)
    for _ in range(2):
        assert known.read([old, new], before).keys() == {old}
        assert known.read([old, new], library.generation()).keys() == {new}


def test_documents_are_filtered_anew_each_time(library: Noted, collection: Collection, known: LiveChunks) -> None:
    _, fox = put(library, collection, "fox.txt", FOX)
    now = library.generation()
    assert known.read([fox], now).keys() == {fox}
    assert known.read([fox], now, {"source": ["cats.txt"]}) == {}
    assert known.read([fox], now, {"source": ["fox.txt"]}).keys() == {fox}
    assert known.read([fox], now).keys() == {fox}


def test_no_more_than_so_many_are_kept(library: Noted, collection: Collection, known: LiveChunks) -> None:
    ids = [put(library, collection, f"{number}.txt", f"{FOX} {number}")[1] for number in range(6)]
    with patch.object(live_chunks, "KEPT", 3):
        for chunk in (*ids, *ids):
            assert known.read([chunk], library.generation())[chunk].id == chunk
            assert len(known._known) <= 4
            assert len(known._live[1]) <= 4
