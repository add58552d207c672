"""Chunks that are nearly the same as many others are kept apart, so that searches meet everything else."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from graph.library import Chunk, Collection, LibraryWriter, text_hash
from graph.retrieval.crowds import FEW, MOST, NEARLY, TELLING, crowded
from graph.retrieval.embeddings import Embedders
from graph.retrieval.hybrid import Retriever
from graph.retrieval.index import CROWD, NEIGHBOURS, DenseIndex
from graph.retrieval.query import history_query
from graph.retrieval.writer import IndexWriter
from graph.settings import Settings
from tests.graph.conftest import version

DIMENSIONS = 32
NAME = "c-crowds"
LOT = 500
Vectors = NDArray[np.float32]


def scattered(count: int, seed: int = 0) -> Vectors:
    return np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)


def alike(count: int, spread: float = 0.0, seed: int = 1) -> Vectors:
    """Vectors that are the same but for so much."""
    noise = np.random.default_rng(seed).standard_normal((count, DIMENSIONS)) * spread
    return (scattered(1, 99) + noise).astype(np.float32)


def none_there(vectors: Vectors) -> list[int]:
    return [0] * len(vectors)


def never_asked(vectors: Vectors) -> list[int]:
    pytest.fail(f"{len(vectors)} were looked for")


def apart(vectors: Vectors, count_near: Any = none_there, repeated: bool = False) -> int:
    return int(crowded(vectors, [repeated] * len(vectors), count_near).sum())


def test_vectors_that_are_scattered_stay_together_and_nothing_is_looked_for() -> None:
    assert apart(scattered(LOT), never_asked) == 0


def test_few_that_are_alike_stay() -> None:
    assert apart(np.concatenate([scattered(LOT), alike(TELLING + 1)]), never_asked) == 0
    assert apart(np.concatenate([scattered(LOT), alike(MOST)])) == 0


@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_of_a_crowd_some_stay(spread: float) -> None:
    """The first ones; also where they are not quite the same, or longer than another."""
    vectors = np.concatenate([scattered(LOT), alike(100, spread) * 3])
    assert crowded(vectors, [False] * len(vectors), none_there).tolist() == [False] * (LOT + MOST) + [True] * 84


def test_those_that_are_there_already_count() -> None:
    vectors = np.concatenate([scattered(LOT), alike(10)])
    assert apart(vectors, lambda some: [MOST - 3] * len(some)) == 7
    assert apart(vectors, lambda some: [MOST] * len(some)) == 10


def test_a_text_that_is_in_many_lots_is_looked_for() -> None:
    vectors = scattered(LOT)
    repeated = [False] * (LOT - 1) + [True]
    assert crowded(vectors, repeated, lambda some: [MOST] * len(some)).nonzero()[0].tolist() == [LOT - 1]


def test_few_vectors_are_always_looked_for() -> None:
    """Documents that come one by one would be a crowd that no lot shows."""
    assert apart(scattered(FEW), lambda some: [MOST] * len(some)) == FEW


def test_no_vectors_are_no_crowd() -> None:
    assert apart(scattered(0), never_asked) == 0


@pytest.fixture
def dense(tmp_path: Path) -> Iterator[DenseIndex]:
    index = DenseIndex(Settings.load(data_dir=tmp_path / "data", chroma_texts=False))
    yield index
    index.close()


def add(dense: DenseIndex, vectors: Vectors, name: str = "") -> list[str]:
    """Add vectors a lot at a time; their ids."""
    ids = [f"{name}{number}" for number in range(len(vectors))]
    for begin in range(0, len(ids), LOT):
        lot = ids[begin : begin + LOT]
        dense.add(NAME, lot, [""] * len(lot), [{"of": name}] * len(lot), vectors[begin : begin + LOT])
    return ids


def test_hardly_anything_is_lost_beside_a_crowd(dense: DenseIndex) -> None:
    """Without two parts, 754 and 882 of the 2,000 that are scattered were not met by their own vector."""
    vectors = np.concatenate([scattered(1500), alike(3000), alike(1500, 0.05), scattered(500, 2)])
    ids = add(dense, vectors)
    assert len(dense.unmet(NAME, ids)) <= len(ids) // 1000  # none as a rule, but a graph promises nothing
    assert dense.missing(NAME, [*ids, "never"]) == {"never"}
    assert dense.ids(NAME) == set(ids)
    found = dense.vectors(NAME, ids)
    assert all(np.allclose(found[name], vector) for name, vector in zip(ids, vectors, strict=True))


def test_a_search_finds_the_nearest_of_both_parts(dense: DenseIndex) -> None:
    near = alike(200, 0.05)
    ids = add(dense, np.concatenate([scattered(1000), near]))
    unit = near / np.linalg.norm(near, axis=1, keepdims=True)
    best = np.argsort(-unit @ unit[150])[:30]
    found = dense.search(NAME, near[150], 30)
    assert list(found) == [ids[1000 + number] for number in best]
    assert np.allclose(list(found.values()), (unit @ unit[150])[best], atol=1e-5)
    assert min(found.values()) > NEARLY


def test_a_crowd_is_deleted_like_everything_else(dense: DenseIndex) -> None:
    plain, crowd = add(dense, scattered(100), "plain"), add(dense, alike(300), "crowd")
    dense.delete(NAME, crowd[:250])
    assert dense.ids(NAME) == {*plain, *crowd[250:]}
    assert dense.search(NAME, alike(1)[0], 3).keys() <= set(crowd[250:])  # those that had stayed are gone
    assert dense.unmet(NAME, crowd[250:]) == set()
    dense.drop(NAME)
    assert {collection.name for collection in dense._client.list_collections()} == set()


def test_what_is_added_again_stays_where_it_is(dense: DenseIndex) -> None:
    """A rebuild that was interrupted writes its first lots again."""
    vectors = np.concatenate([scattered(100), alike(300)])
    add(dense, vectors)
    before = [set(part.get(include=[])["ids"]) for part in dense._parts(NAME)]
    add(dense, vectors)
    assert [set(part.get(include=[])["ids"]) for part in dense._parts(NAME)] == before


def test_another_object_sees_both_parts(dense: DenseIndex, tmp_path: Path) -> None:
    ids = add(dense, alike(300))
    other = DenseIndex(Settings.load(data_dir=tmp_path / "data", chroma_texts=False))
    try:
        other.warm(NAME)
        assert len(other.search(NAME, alike(1)[0], 250)) > MOST  # of so many that are the same, a graph leads to most
        assert other.unmet(NAME, ids) == set()
        assert other.dimensions(NAME) == DIMENSIONS
    finally:
        other.close()


def test_what_a_lot_does_not_show_is_known_from_the_library(library: LibraryWriter, collection: Collection) -> None:
    def stage(source: str, *texts: str, revision: int = 1) -> None:
        chunks, text = [], ""
        for part in texts:
            chunks.append(Chunk(len(text), len(text) + len(part)))
            text += part + "\n"
        library.stage(collection, replace(version(source, text, revision=revision), chunks=chunks))

    for number in range(4):
        stage(f"{number}.txt", "the licence", f"text {number}", "the licence")
    hashes = [text_hash(text) for text in ("the licence", "text 1", "unknown")]
    assert library.repeated(collection, hashes, 7) == {hashes[0]}
    assert library.repeated(collection, hashes, 8) == set()
    library.publish()
    stage("4.txt", "the licence")
    assert library.repeated(collection, hashes, 8) == {hashes[0]}
    stage("0.txt", "nothing of it", revision=2)
    library.publish()  # two were replaced
    assert library.repeated(collection, hashes, 7) == set()
    assert library.repeated(replace(collection, id="another"), hashes, 0) == set()


LICENCE = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software."


def test_a_text_of_every_document_becomes_no_crowd(writer: IndexWriter, settings: Settings) -> None:
    """It comes in lot after lot, and when the documents that stood for it are gone, the others are found."""
    writer.begin("default", chunker="test/1")
    for number in range(3 * MOST):
        text = f"{LICENCE} Module {number} sorts mail."
        chunks = [Chunk(0, len(LICENCE)), Chunk(len(LICENCE) + 1, len(text))]
        writer.put(replace(version(f"{number:02}.py", text), chunks=chunks))
        if number % 3 == 2:
            writer.publish()
    found = writer.library.collection("default")
    parts = writer._dense._parts(found.index)
    assert [part.name for part in parts] == [found.index, found.index + CROWD]
    assert parts[1].count() == 2 * MOST
    assert writer.check(found).is_good
    for document in writer.library.documents()[: 3 * MOST - 2]:
        writer.remove(document.id)
    writer.publish()
    writer.clean()
    assert writer.check(found).is_good
    assert len(writer._dense.ids(found.index)) == 4
    retriever = Retriever(settings, writer.library, Embedders(settings))
    try:
        query = history_query("May anybody have this program for nothing?", [])
        assert retriever.search(query, ["default"], k=1, where={}).passages[0]["text"].startswith(LICENCE)
    finally:
        retriever.close()


def test_repair_takes_apart_what_an_earlier_version_wrote_into_one(
    writer: IndexWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "\n".join(["the very same line"] * 60)
    lines = [Chunk(number * 19, number * 19 + 18) for number in range(60)]
    writer.begin("default", chunker="test/1")
    with monkeypatch.context() as patch:
        patch.setattr("graph.retrieval.index.crowded", lambda vectors, *_: np.zeros(len(vectors), bool))
        writer.put(replace(version("a.log", text), chunks=lines))
        writer.publish()
    found = writer.library.collection("default")
    before = writer.check(found)
    assert len(before.not_found) >= 60 - NEIGHBOURS  # a search meets others that are the same
    writer.repair(before)
    assert writer.check(found).is_good
    assert [part.count() for part in writer._dense._parts(found.index)] == [NEIGHBOURS, 60 - NEIGHBOURS]
