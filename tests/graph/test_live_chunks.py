from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest

from graph.library import Collection, LibraryWriter
from graph.retrieval import live_chunks
from graph.retrieval.live_chunks import LiveChunks
from tests.graph.conftest import CATS, FOX, version


@dataclass
class Asked:
    """What the library was asked for."""

    chunks: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)


@pytest.fixture
def asked(library: LibraryWriter, monkeypatch: pytest.MonkeyPatch) -> Asked:
    noted = Asked()
    for name, into in (("live_chunks", noted.chunks), ("live_versions", noted.versions)):
        method = getattr(library, name)

        def ask(
            ids: Iterable[str], *arguments: object, method: Callable[..., Any] = method, into: list[str] = into,
            **named: object,
        ) -> Any:  # fmt: skip
            wanted = list(ids)
            into.extend(wanted)
            return method(wanted, *arguments, **named)

        monkeypatch.setattr(library, name, ask)
    return noted


@pytest.fixture
def known(library: LibraryWriter) -> LiveChunks:
    return LiveChunks(library)


def put(library: LibraryWriter, collection: Collection, name: str, text: str, revision: int = 1) -> tuple[str, str]:
    """The ids of a document and of its only chunk."""
    document, (staged,) = library.stage(collection, version(name, text, revision=revision))
    library.publish()
    return document, staged.id


def version_of(chunk: str) -> str:
    return chunk.rpartition(".")[0]


def test_what_was_read_is_not_read_again(
    library: LibraryWriter, collection: Collection, known: LiveChunks, asked: Asked
) -> None:
    _, fox = put(library, collection, "fox.txt", FOX)
    _, cats = put(library, collection, "cats.txt", CATS)
    now = library.generation()
    assert known.read([fox], now)[fox].text == FOX
    found = known.read([cats, fox, "no.such.0-5"], now)
    assert (list(found), found[cats].text) == ([cats, fox], CATS)
    assert known.read([fox, "no.such.0-5"], now) == {fox: found[fox]}
    assert asked.chunks == [fox, cats]
    assert sorted(asked.versions) == sorted([version_of(fox), version_of(cats), "no.such"])


def test_what_is_published_later_makes_no_chunk_be_read_again(
    library: LibraryWriter, collection: Collection, known: LiveChunks, asked: Asked
) -> None:
    _, fox = put(library, collection, "fox.txt", FOX)
    before = library.generation()
    known.read([fox], before)
    _, cats = put(library, collection, "cats.txt", CATS)
    assert known.read([fox, cats], before).keys() == {fox}
    assert known.read([fox, cats], library.generation()).keys() == {fox, cats}
    assert asked.chunks == [fox, cats]


def test_a_text_that_was_erased_is_not_shown_any_more(
    library: LibraryWriter, collection: Collection, known: LiveChunks
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
    library: LibraryWriter, collection: Collection, known: LiveChunks
) -> None:
    _, old = put(library, collection, "a.txt", FOX)
    before = library.generation()
    _, new = put(library, collection, "a.txt", CATS, revision=2)
    for _ in range(2):
        assert known.read([old, new], before).keys() == {old}
        assert known.read([old, new], library.generation()).keys() == {new}


def test_documents_are_filtered_anew_each_time(
    library: LibraryWriter, collection: Collection, known: LiveChunks
) -> None:
    _, fox = put(library, collection, "fox.txt", FOX)
    now = library.generation()
    assert known.read([fox], now).keys() == {fox}
    assert known.read([fox], now, {"source": ["cats.txt"]}) == {}
    assert known.read([fox], now, {"source": ["fox.txt"]}).keys() == {fox}
    assert known.read([fox], now).keys() == {fox}


def test_no_more_than_so_many_are_kept(library: LibraryWriter, collection: Collection, known: LiveChunks) -> None:
    ids = [put(library, collection, f"{number}.txt", f"{FOX} {number}")[1] for number in range(6)]
    with patch.object(live_chunks, "KEPT", 3):
        for chunk in (*ids, *ids):
            assert known.read([chunk], library.generation())[chunk].id == chunk
            assert len(known._known) <= 4
            assert len(known._live[1]) <= 4
