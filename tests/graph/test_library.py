import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text

from graph.errors import CollectionNotFound, DocumentNotFound, IndexMismatch, IndexUnusable, SourceNotFound
from graph.library import Chunk, Collection, Library, LibraryWriter
from tests.graph.conftest import FOX, SQLITE, version

TO_SCHEMA_2 = (
    "ALTER TABLE collections DROP COLUMN index_id",
    "ALTER TABLE versions DROP COLUMN blocks",
    "DROP TABLE spare_indexes",
    "UPDATE meta SET value = 2 WHERE key = 'schema'",
)


def test_a_staged_version_is_seen_by_nobody_until_published(library: LibraryWriter, collection: Collection) -> None:
    _, staged = library.stage(collection, version("a.txt", FOX))
    assert library.is_empty()
    assert library.live_chunks([staged[0].id]) == {}
    before = library.generation()
    library.publish()
    assert library.generation() == before + 1
    assert library.live_chunks([staged[0].id])[staged[0].id].text == FOX


def test_a_new_version_replaces_the_old_whose_text_still_opens(library: LibraryWriter, collection: Collection) -> None:
    _, (old,) = library.stage(collection, version("a.txt", FOX))
    library.publish()
    _, (new,) = library.stage(collection, version("a.txt", SQLITE, revision=2))
    before = library.publish() - 1
    assert library.unfinished() == {collection.id: [old.id]}
    assert set(library.live_chunks([old.id, new.id], generation=before)) == {old.id}
    assert set(library.live_chunks([old.id, new.id])) == {new.id}
    assert library.source(old.id).text == FOX
    assert not library.source(old.id).live
    assert library.source(new.id).live
    assert [document.sha256 for document in library.documents()] == [version("a.txt", "", revision=2).sha256]


def test_going_back_to_an_earlier_version_works(library: LibraryWriter, collection: Collection) -> None:
    for revision, content in ((1, FOX), (2, SQLITE), (1, FOX)):
        _, (chunk,) = library.stage(collection, version("a.txt", content, revision=revision))
        library.publish()
        library.finish()
    assert library.source(chunk.id).live
    assert library.text(library.documents()[0].id) == FOX


def test_a_slice_knows_the_chunks_around_it_of_its_section_and_page(
    library: LibraryWriter, collection: Collection
) -> None:
    words = "One two. Three four. Five six. Seven eight."
    chunks = [
        Chunk(0, 8, page=1, heading="A"), Chunk(9, 20, page=1, heading="A"), Chunk(21, 30, page=2, heading="A"),
        Chunk(31, 43, page=2, heading="B"),
    ]  # fmt: skip
    _, staged = library.stage(collection, replace(version("a.txt", words), chunks=chunks))
    library.publish()
    ids = [chunk.id for chunk in staged]
    sections = library.sections([*ids, "no.such.0-5"])
    assert sections.keys() == set(ids)
    assert (sections[ids[0]].start, sections[ids[0]].text) == (0, "One two. Three four.")
    assert sections[ids[1]].chunks == [(0, 8), (9, 20)]
    assert sections[ids[1]].slice(9, 20) == "Three four."
    assert sections[ids[2]].text == "Five six."
    assert sections[ids[3]].text == "Seven eight."


def test_removing_a_document_erases_its_text(library: LibraryWriter, collection: Collection) -> None:
    document_id, (chunk,) = library.stage(collection, version("a.txt", FOX))
    library.publish()
    before = library.publish([document_id]) - 1
    assert library.unfinished() == {collection.id: [chunk.id]}
    assert library.live_chunks([chunk.id], generation=before) == {}
    library.finish()
    with pytest.raises(SourceNotFound):
        library.source(chunk.id)
    with pytest.raises(DocumentNotFound):
        library.document(document_id)
    assert library.passages([chunk.id]) == {}


def test_what_a_dead_writer_staged_is_discarded(library: LibraryWriter, collection: Collection) -> None:
    _, (chunk,) = library.stage(collection, version("a.txt", FOX))
    assert library.unfinished() == {collection.id: [chunk.id]}
    library.finish()
    assert library.unfinished() == {}
    library.publish()
    assert library.is_empty()


def test_a_source_is_shown_with_what_stands_around_it(library: LibraryWriter, collection: Collection) -> None:
    document_id, _ = library.stage(collection, version("a.txt", FOX, heading="Animals"))
    library.publish()
    live = library.documents()[0]
    whole = library.source(f"{next(iter(library.live_chunks(_ids(library))))}")
    assert (whole.heading, whole.document.id) == ("Animals", document_id)
    part = library.source(whole.id.replace(f"0-{len(FOX)}", "4-13"))
    assert (part.before, part.text, part.after[:6]) == ("The ", "quick fox", " jumps")
    assert (part.document, part.heading) == (live, "Animals")


@pytest.mark.parametrize("source_id", ["x", "a.b.c", "a.b.5-5", "a.b.0-99", "..", "a.b.-1-4", "a.b.1-2-3", "a.b.٣-٤"])
def test_a_source_id_that_names_nothing_is_said_so(library: LibraryWriter, source_id: str) -> None:
    with pytest.raises(SourceNotFound):
        library.source(source_id)


def test_another_embedding_or_chunker_is_refused_by_name(library: LibraryWriter, collection: Collection) -> None:
    with pytest.raises(IndexMismatch, match=r"'minilm'.*'openai:x'"):
        library.ensure_collection("default", "openai:x", "test/1")
    with pytest.raises(IndexMismatch, match=r"'test/1'.*'test/2'"):
        library.ensure_collection("default", "minilm", "test/2")


def test_an_unknown_collection_is_named(library: LibraryWriter) -> None:
    with pytest.raises(CollectionNotFound, match="'手册'"):
        library.collection("手册")


def test_filters_select_by_metadata(library: LibraryWriter, collection: Collection) -> None:
    library.stage(collection, version("a.txt", FOX))
    library.stage(collection, version("b.txt", SQLITE, lang="zh"))
    library.publish()
    ids = _ids(library)
    found = library.live_chunks(ids, {"lang": ["zh"]})
    assert [chunk.source for chunk in found.values()] == ["b.txt"]
    assert len(library.live_chunks(ids, {"source": ["a.txt", "b.txt"]})) == 2


def test_chunks_of_one_version_are_its_slices_in_code_points(library: LibraryWriter, collection: Collection) -> None:
    words = "猫在这里睡觉。 🦊🦊 sleep. Ein Fuchs. 完。"
    spans = [(0, 7), (8, 17), (11, 28), (29, 31)]
    ids = []
    for source in ("a.txt", "b.txt"):
        new = replace(version(source, words), chunks=[Chunk(start, end) for start, end in spans])
        ids += [chunk.id for chunk in library.stage(collection, new)[1]]
    library.publish()
    found = library.live_chunks(ids[1:])
    assert set(found) == set(ids[1:])
    assert {chunk.text for chunk in found.values()} == {words[start:end] for start, end in spans}
    assert all(chunk.text == words[chunk.start : chunk.end] for chunk in found.values())


def test_chunks_are_found_by_keys_however_many_documents_there_are(
    library: LibraryWriter, collection: Collection
) -> None:
    library.stage(collection, version("a.txt", FOX))
    library.publish()
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(library._engine, "before_cursor_execute", note)
    assert library.live_chunks(_ids(library), {"lang": ["en"]})
    event.remove(library._engine, "before_cursor_execute", note)
    statements = [(statement, parameters) for statement, parameters in asked if "FROM chunks" in statement]
    assert len(statements) >= 2
    with library._engine.connect() as connection:
        for statement, parameters in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            steps = [step.detail for step in plan]
            assert not [step for step in steps if step.startswith(("SCAN chunks", "SCAN versions", "SCAN documents"))]
            assert [step for step in steps if step.startswith("SEARCH chunks")]


def test_a_library_of_a_newer_citestream_is_refused(tmp_path: Path) -> None:
    LibraryWriter.open(tmp_path).close()
    engine = create_engine(f"sqlite:///{tmp_path / 'library.db'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE meta SET value = 99 WHERE key = 'schema'"))
    engine.dispose()
    with pytest.raises(IndexMismatch, match="newer citestream"):
        LibraryWriter.open(tmp_path)


def test_documents_come_in_pages(library: LibraryWriter, collection: Collection) -> None:
    for name in "abc":
        library.stage(collection, version(f"{name}.txt", FOX + name))
    library.publish()
    first = library.documents(limit=2)
    rest = library.documents(after=first[-1].id, limit=2)
    assert len(first) == 2
    assert len(rest) == 1
    assert library.collections()[0].documents == 3


def _ids(library: LibraryWriter) -> list[str]:
    ids = []
    for document in library.documents():
        size = len(library.text(document.id))
        ids += [f"{row}.0-{size}" for row in _versions(library, document.id)]
    return ids


def _versions(library: LibraryWriter, document_id: str) -> list[str]:
    with library._engine.connect() as connection:
        rows = connection.execute(text("SELECT id FROM versions WHERE document_id = :id"), {"id": document_id})
        return [row.id for row in rows]


def test_a_damaged_library_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "library.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(IndexUnusable, match=r"library\.db cannot be opened"):
        LibraryWriter.open(tmp_path)


@pytest.mark.parametrize("is_new", [True, False])
def test_several_may_open_a_folder_at_once_that_is_new_or_of_an_older_schema(tmp_path: Path, is_new: bool) -> None:
    """All but one said that the file was damaged, as the tables that they were about to make were there already."""
    together = threading.Barrier(4)

    def open_one(folder: Path) -> int:
        together.wait(10)
        library = Library.open(folder)
        generation = library.generation()
        library.close()
        return generation

    with ThreadPoolExecutor(4) as pool:
        for number in range(10):
            folder = tmp_path / str(number)
            if not is_new:
                Library.open(folder).close()
                with closing(sqlite3.connect(folder / "library.db")) as connection, connection:
                    for statement in TO_SCHEMA_2:
                        connection.execute(statement)
            assert list(pool.map(open_one, [folder] * 4)) == [0] * 4
