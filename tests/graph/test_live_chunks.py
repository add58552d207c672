from collections.abc import Iterable, Mapping
from pathlib import Path
from unittest.mock import patch

import pytest

from graph.library import Collection, LibraryWriter, LiveChunk
from graph.retrieval import live_chunks
from graph.retrieval.live_chunks import LiveChunks
from tests.graph.conftest import CATS, FOX, version


class Noted(LibraryWriter):
    """Notes which chunks are read."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.read: list[str] = []

    def live_chunks(
        self, ids: Iterable[str], where: Mapping[str, list[str]] | None = None, *, generation: int | None = None
    ) -> dict[str, LiveChunk]:
        wanted = list(ids)
        self.read += wanted
        return super().live_chunks(wanted, where, generation=generation)


@pytest.fixture
def library(tmp_path: Path) -> Noted:
    return Noted.open(tmp_path)


@pytest.fixture
def collection(library: Noted) -> Collection:
    return library.ensure_collection("default", "minilm", "test")


def put(library: Noted, collection: Collection, name: str, text: str, revision: int = 1) -> tuple[str, str]:
    """The ids of a document and of its only chunk."""
    document, (staged,) = library.stage(collection, version(name, text, revision=revision))
    library.publish()
    return document, staged.id


def test_what_was_read_is_not_read_again(library: Noted, collection: Collection) -> None:
    _, fox = put(library, collection, "fox.txt", FOX)
    _, cats = put(library, collection, "cats.txt", CATS)
    known = LiveChunks(library, library.generation())
    assert known.read([fox])[fox].text == FOX
    found = known.read([cats, fox, "no.such.0-5"])
    assert (list(found), found[cats].text) == ([cats, fox], CATS)
    assert known.read([fox, "no.such.0-5"]) == {fox: found[fox]}
    assert library.read == [fox, cats, "no.such.0-5"]


def test_a_text_that_was_erased_is_not_shown_any_more(library: Noted, collection: Collection) -> None:
    document, fox = put(library, collection, "fox.txt", FOX)
    _, cats = put(library, collection, "cats.txt", CATS)
    known = LiveChunks(library, library.generation())
    assert known.read([fox, cats]).keys() == {fox, cats}
    library.publish([document])
    assert known.read([fox, cats]).keys() == {cats}


def test_a_generation_sees_its_own_versions_whatever_was_published_since(
    library: Noted, collection: Collection
) -> None:
    _, old = put(library, collection, "a.txt", FOX)
    before = LiveChunks(library, library.generation())
    _, new = put(library, collection, "a.txt", CATS, revision=2)
    assert before.read([old, new]).keys() == {old}
    assert LiveChunks(library, library.generation()).read([old, new]).keys() == {new}


def test_documents_are_filtered_anew_each_time(library: Noted, collection: Collection) -> None:
    _, fox = put(library, collection, "fox.txt", FOX)
    known = LiveChunks(library, library.generation())
    assert known.read([fox]).keys() == {fox}
    assert known.read([fox], {"source": ["cats.txt"]}) == {}
    assert known.read([fox], {"source": ["fox.txt"]}).keys() == {fox}
    assert known.read([fox]).keys() == {fox}


def test_no_more_than_so_many_are_kept(library: Noted, collection: Collection) -> None:
    ids = [put(library, collection, f"{number}.txt", f"{FOX} {number}")[1] for number in range(6)]
    known = LiveChunks(library, library.generation())
    with patch.object(live_chunks, "KEPT", 3):
        for chunk in (*ids, *ids):
            assert known.read([chunk])[chunk].id == chunk
            assert len(known._known) <= 4
