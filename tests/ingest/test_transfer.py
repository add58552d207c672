"""A collection in one file, and back."""

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from citestream.cli import app
from graph.library import Library, path_of
from graph.retrieval.embeddings import Embedders


def run(*arguments: str, data: Path) -> Result:
    return CliRunner().invoke(app, [*arguments, "--data-dir", str(data)])


@pytest.fixture
def exported(tmp_path: Path, make_pdf) -> Path:
    """A file of a collection of three documents in `tmp_path / "one"`, of which one is a PDF."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# Foxes\n\nFoxes sleep in dens.\n\n## Food\n\nThey eat mice.")
    (docs / "b.txt").write_text("猫每天睡十六个小时。")
    (docs / "c.pdf").write_bytes(make_pdf([["Page one"], ["Page two"]]))
    assert run("ingest", str(docs), data=tmp_path / "one").exit_code == 0
    done = run("index", "export", str(tmp_path / "a.citestream"), data=tmp_path / "one")
    assert done.exit_code == 0, done.stderr
    return tmp_path / "a.citestream"


def content(data: Path) -> dict[str, object]:
    library = Library.open(data)
    try:
        chunks = library.live_chunks(library.live_ids(library.collection("default")))
        return {name: (chunk.text, chunk.page, chunk.heading, chunk.source) for name, chunk in chunks.items()}
    finally:
        library.close()


def test_what_was_exported_is_imported_without_embedding_anything(exported, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("nothing is to be embedded")

    monkeypatch.setattr(Embedders, "embed", lambda self, name, texts: refuse() if texts else [])
    done = run("index", "import", str(exported), data=tmp_path / "two")
    assert done.exit_code == 0, done.output
    assert "3 documents are in the collection 'default' now" in done.stdout
    assert content(tmp_path / "two") == content(tmp_path / "one")
    assert run("index", "verify", data=tmp_path / "two").exit_code == 0
    library = Library.open(tmp_path / "two")
    pdf = next(document for document in library.documents() if document.format == "pdf")
    assert path_of(tmp_path / "two", pdf.sha256).read_bytes() == (tmp_path / "docs" / "c.pdf").read_bytes()
    library.close()
    again = run("index", "import", str(exported), "--collection", "other", data=tmp_path / "two")
    assert again.exit_code == 0
    assert json.loads(run("index", "stats", "--json", data=tmp_path / "two").stdout)["documents"] == 6


def test_a_file_is_not_written_over(exported, tmp_path):
    before = exported.read_bytes()
    refused = run("index", "export", str(exported), data=tmp_path / "one")
    assert refused.exit_code == 2
    assert exported.read_bytes() == before


def rewritten(exported: Path, part: str, content: bytes | None) -> None:
    with zipfile.ZipFile(exported) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    parts[part] = content or b""
    with zipfile.ZipFile(exported, "w") as new:
        for name, data in parts.items():
            if name != part or content is not None:
                new.writestr(name, data)


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("collection.json", None),
        ("collection.json", b"{}"),
        ("documents/1.json", b"not json"),
        ("documents/1.json", b"{}"),
        ("vectors/0.f32", b"\0" * 8),
        ("vectors/2.f32", None),
    ],
)
def test_a_damaged_file_is_refused_and_nothing_of_it_is_seen(exported, tmp_path, part, content):
    rewritten(exported, part, content)
    refused = run("index", "import", str(exported), data=tmp_path / "two")
    assert refused.exit_code == 2
    assert "is damaged" in refused.stderr
    assert json.loads(run("index", "stats", "--json", data=tmp_path / "two").stdout)["documents"] == 0


@pytest.mark.parametrize(
    ("field", "spans"), [("chunks", [(-5, 3)]), ("blocks", [(0, 10**7)]), ("blocks", [(0, 9), (5, 12)])]
)
def test_places_that_are_not_in_the_text_are_refused(exported, tmp_path, field, spans):
    with zipfile.ZipFile(exported) as archive:
        document = json.loads(archive.read("documents/1.json"))
    changed = [{**document[field][0], "start": start, "end": end} for start, end in spans]
    rewritten(exported, "documents/1.json", json.dumps({**document, field: changed}).encode())
    refused = run("index", "import", str(exported), data=tmp_path / "two")
    assert refused.exit_code == 2
    assert "is damaged" in refused.stderr


def test_what_was_embedded_by_another_model_is_refused(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("CITESTREAM_EMBEDDING", "openai:other")
    refused = run("index", "import", str(exported), data=tmp_path / "two")
    assert refused.exit_code == 2
    assert "'minilm'" in refused.stderr
    assert "'openai:other'" in refused.stderr


def test_any_other_file_is_refused(tmp_path):
    (tmp_path / "x").write_text("words")
    assert run("index", "import", str(tmp_path / "x"), data=tmp_path / "two").exit_code == 2
