import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from citestream.cli import app
from graph.library import Library, LibraryWriter
from graph.retrieval.writer import IndexWriter, open_writer
from graph.settings import Settings
from ingest import chunking

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in a folder with `docs`, and with a data folder of its own."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# Apples\n\nApples are red.\n")
    (docs / "b.txt").write_text("Bananas are yellow.\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CITESTREAM_DATA_DIR", str(tmp_path / "data"))

    def invoke(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(app, list(arguments), **options)

    return invoke


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def statuses(result: Result) -> dict[str, str]:
    return {line["path"]: line["status"] for line in lines(result)[:-1]}


def texts(data_dir: Path) -> dict[str, str]:
    library = Library.open(data_dir)
    try:
        return {document.source: library.text(document.id) for document in library.documents()}
    finally:
        library.close()


def test_files_are_added_then_unchanged_changed_and_pruned(run, tmp_path):
    first = run("ingest", "docs", "--json")
    assert first.exit_code == 0
    assert lines(first)[:-1] == [
        {"path": "docs/a.md", "status": "added", "chunks": 1},
        {"path": "docs/b.txt", "status": "added", "chunks": 1},
    ]
    summary = lines(first)[-1]["summary"]
    assert summary.pop("seconds") >= 0
    assert summary == {
        "added": 2,
        "changed": 0,
        "unchanged": 0,
        "removed": 0,
        "failed": 0,
        "skipped": 0,
        "chunks": 2,
    }

    again = run("ingest", "docs", "--json")
    assert set(statuses(again).values()) == {"unchanged"}
    assert lines(again)[-1]["summary"]["chunks"] == 0

    Path("docs/a.md").write_text("# Apples\n\nApples are green.\n")
    Path("docs/b.txt").unlink()
    assert statuses(run("ingest", "docs", "--json")) == {"docs/a.md": "changed"}
    assert statuses(run("ingest", "docs", "--json", "--prune")) == {"docs/a.md": "unchanged", "docs/b.txt": "removed"}
    assert texts(tmp_path / "data") == {"docs/a.md": "# Apples\n\nApples are green.\n"}


def test_a_dry_run_tells_of_files_that_cannot_be_read(run, tmp_path):
    """It once called them added, and ended with exit code 0."""
    Path("docs/broken.pdf").write_bytes(b"%PDF-1.4 cut off")
    result = run("ingest", "docs", "--dry-run", "--json")
    assert result.exit_code == 3
    assert statuses(result)["docs/broken.pdf"] == "failed"
    assert not (tmp_path / "data").exists()


def test_a_dry_run_changes_nothing(run, tmp_path):
    result = run("ingest", "docs", "--dry-run", "--json")
    assert statuses(result) == {"docs/a.md": "added", "docs/b.txt": "added"}
    assert not (tmp_path / "data").exists()


def test_files_that_cannot_be_read_are_told_and_the_rest_goes_on(run, tmp_path):
    Path("docs/broken.pdf").write_bytes(b"%PDF-1.4 cut off")
    Path("docs/empty.txt").write_text(" \n")
    Path("docs/table.png").write_text("a,b\n")
    result = run("ingest", "docs", "--json")
    assert result.exit_code == 3
    assert [line for line in lines(result)[:-1] if line["status"] != "added"] == [
        {"path": "docs/broken.pdf", "status": "failed", "reason": "malformed"},
        {"path": "docs/empty.txt", "status": "skipped", "reason": "empty"},
        {"path": "docs/table.png", "status": "skipped", "reason": "unsupported"},
    ]
    told = run("ingest", "docs")
    assert told.exit_code == 3
    assert "docs/broken.pdf: malformed: " in told.stderr
    assert "1 × .png" in told.stderr
    assert set(texts(tmp_path / "data")) == {"docs/a.md", "docs/b.txt"}


def test_a_file_that_fails_now_keeps_its_earlier_version(run, tmp_path):
    run("ingest", "docs")
    Path("docs/b.txt").write_bytes(bytes(range(256)) * 20)
    result = run("ingest", "docs", "--json", "--prune")
    assert lines(result)[1] == {"path": "docs/b.txt", "status": "failed", "reason": "binary", "chunks": 1}
    assert texts(tmp_path / "data")["docs/b.txt"] == "Bananas are yellow.\n"
    assert "the version indexed before stays" in run("ingest", "docs").stderr


def test_nothing_but_failures_is_exit_code_4(run):
    Path("docs/broken.pdf").write_bytes(b"%PDF-1.4 cut off")
    assert run("ingest", "docs/broken.pdf").exit_code == 4


@pytest.mark.parametrize("name", ["", "photo.png", "empty.txt"])
def test_nothing_to_read_is_exit_code_5_and_nothing_new_is_0(run, tmp_path, name):
    """A mistyped folder once looked like success."""
    folder = tmp_path / "other"
    folder.mkdir()
    if name:
        (folder / name).write_text(" ")
    result = run("ingest", "other")
    assert result.exit_code == 5
    assert "there is no file that can be read" in result.stderr
    (folder / "a.md").write_text("text")
    assert [run("ingest", "other").exit_code for _ in range(2)] == [0, 0]
    (folder / "a.md").unlink()
    assert run("ingest", "other", "--prune").exit_code == 0


def test_programs_are_told_what_broke_a_run_off(run, tmp_path):
    with open_writer(Settings.load(data_dir=tmp_path / "data")):
        result = run("ingest", "docs", "--json")
    (line,) = lines(result)
    assert line["error"]["exit"] == result.exit_code == 75
    assert line["error"]["message"] in result.stderr


def test_who_waits_for_another_writer_says_so(run, tmp_path):
    entered, leave = threading.Event(), threading.Event()

    def write() -> None:
        with open_writer(Settings.load(data_dir=tmp_path / "data")):
            entered.set()
            leave.wait(30)

    other = threading.Thread(target=write)
    other.start()
    entered.wait(30)
    threading.Timer(0.5, leave.set).start()
    result = run("ingest", "docs", "--wait")
    other.join()
    assert result.exit_code == 0
    assert "waiting: another process (pid " in result.stderr


def test_a_loader_that_breaks_is_one_files_failure(run, monkeypatch):
    monkeypatch.setattr("ingest.parsing.MODULE", "tests.ingest.breaking_parser")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    result = run("ingest", "docs", "--json")
    assert result.exit_code == 4
    assert {line["reason"] for line in lines(result)[:-1]} == {"internal"}


def test_a_missing_path_is_a_usage_error_even_with_prune(run, tmp_path):
    run("ingest", "docs")
    assert run("ingest", "elsewhere", "--prune").exit_code == 2
    assert len(texts(tmp_path / "data")) == 2


def test_many_removals_have_to_be_confirmed(run, tmp_path):
    for number in range(8):
        Path(f"docs/{number}.md").write_text(f"text {number}")
    run("ingest", "docs")
    for path in Path("docs").iterdir():
        path.unlink()
    refused = run("ingest", "docs", "--prune")
    assert refused.exit_code == 2
    assert "10 of 10 documents would be removed" in refused.stderr
    assert len(texts(tmp_path / "data")) == 10
    assert run("ingest", "docs", "--prune", "--dry-run").exit_code == 0
    assert run("ingest", "docs", "--prune", "--yes").exit_code == 0
    assert texts(tmp_path / "data") == {}


def test_a_watched_folder_is_followed_until_it_is_interrupted(run, tmp_path, monkeypatch):
    def changes(paths, leave_out):
        assert paths == [Path("docs")]
        Path("docs/new.md").write_text("new")
        yield "changed"
        raise KeyboardInterrupt

    monkeypatch.setattr("ingest.cli._changes", changes)
    result = run("ingest", "docs", "--watch", "--json")
    assert result.exit_code == 130
    assert [line["path"] for line in lines(result) if line.get("status") == "added"] == [
        "docs/a.md", "docs/b.txt", "docs/new.md",
    ]  # fmt: skip
    assert run("ingest", "docs", "--watch", "--dry-run").exit_code == 2


def test_changes_of_files_are_noticed_and_those_of_the_index_are_not(tmp_path):
    from ingest.cli import _changes

    docs = tmp_path / "docs"
    (docs / "data").mkdir(parents=True)
    noticed = []

    def watch() -> None:
        for changed in _changes([docs], docs / "data"):
            noticed.append(changed)
            return

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    deadline = time.monotonic() + 20
    number = 0
    while watching.is_alive() and time.monotonic() < deadline:
        number += 1
        (docs / "data" / "library.db").write_text(str(number))
        (docs / ".hidden").write_text(str(number))
        (docs / "a.md").write_text(str(number))
        watching.join(0.3)
    assert {Path(path).name for changed in noticed for _, path in changed} == {"a.md"}


def test_a_second_writer_is_told_that_the_index_is_locked(run, tmp_path):
    with open_writer(Settings.load(data_dir=tmp_path / "data")):
        result = run("ingest", "docs")
    assert result.exit_code == 75
    assert "another process" in result.stderr


def test_another_chunker_is_refused_with_both_named(run, monkeypatch):
    before = chunking.CHUNKER
    run("ingest", "docs")
    monkeypatch.setattr(chunking, "CHUNKER", "sentences-999/7")
    result = run("ingest", "docs")
    assert result.exit_code == 2
    assert "sentences-999/7" in result.stderr
    assert before in result.stderr
    assert run("ingest", "docs", "--collection", "other").exit_code == 0


def test_another_embedding_is_refused_with_both_named(run, monkeypatch):
    run("ingest", "docs")
    monkeypatch.setenv("CITESTREAM_EMBEDDING", "openai:other")
    result = run("ingest", "docs")
    assert result.exit_code == 2
    assert "minilm" in result.stderr
    assert "openai:other" in result.stderr


def test_an_interrupted_run_keeps_what_was_published(run, tmp_path, monkeypatch):
    put = IndexWriter.put

    def interrupt(self: IndexWriter, version: Any) -> Any:
        if version.source.endswith("b.txt"):
            raise KeyboardInterrupt
        return put(self, version)

    monkeypatch.setattr("ingest.sync.PUBLISH_CHUNKS", 1)
    monkeypatch.setattr(IndexWriter, "put", interrupt)
    assert run("ingest", "docs").exit_code == 130
    assert set(texts(tmp_path / "data")) == {"docs/a.md"}
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    result = run("ingest", "docs", "--json", "--data-dir", str(tmp_path / "data"))
    assert statuses(result) == {"docs/a.md": "unchanged", "docs/b.txt": "added"}


def test_the_index_can_be_listed_shown_counted_and_emptied(run):
    run("ingest", "docs")
    documents = json.loads(run("index", "list", "--json").stdout)
    assert [(document["source"], document["title"], document["chunks"]) for document in documents] == [
        ("docs/a.md", "Apples", 1),
        ("docs/b.txt", "b.txt", 1),
    ]
    assert set(documents[0]) == {
        "id",
        "source",
        "title",
        "collection",
        "format",
        "lang",
        "sha256",
        "chunks",
        "ingested_at",
        "status",
    }
    by_id = json.loads(run("index", "show", documents[0]["id"], "--json").stdout)
    by_source = json.loads(run("index", "show", "docs/a.md", "--json").stdout)
    assert by_id == by_source
    assert by_id["text"] == "# Apples\n\nApples are red.\n"
    stats = json.loads(run("index", "stats", "--json").stdout)
    assert (stats["documents"], stats["chunks"]) == (2, 2)
    (only,) = stats["collections"]
    assert (only["formats"], only["languages"]) == ({"markdown": 1, "text": 1}, {"en": 2})
    assert only["size_bytes"] == sum(path.stat().st_size for path in Path("docs").iterdir())
    assert set(stats["disk_bytes"]) == {"library", "chroma", "words"}
    assert only["rebuilding"] is None
    assert "a rebuild" not in run("index", "stats").stdout
    library = LibraryWriter.open(Settings.load().data_dir)
    library.begin_index(library.collection("default"), "openai:other", "chunker/9")
    library.close()
    assert json.loads(run("index", "stats", "--json").stdout)["collections"][0]["rebuilding"] == "openai:other"
    assert "a rebuild with openai:other has begun" in run("index", "stats").stdout

    assert run("index", "rm", "docs/a.md").exit_code == 2
    removed = run("index", "rm", "docs/a.md", documents[1]["id"], "--yes", "--json")
    assert [line["status"] for line in lines(removed)] == ["removed", "removed"]
    assert json.loads(run("index", "list", "--json").stdout) == []
    assert statuses(run("ingest", "docs", "--json")) == {"docs/a.md": "added", "docs/b.txt": "added"}


def test_a_document_that_is_not_there_is_a_usage_error(run):
    for arguments in (["show", "nothing"], ["rm", "nothing", "--yes"], ["list", "--collection", "nothing"]):
        assert run("index", *arguments).exit_code == 2


def test_names_cannot_move_the_cursor(run):
    Path("docs/\x1b[2J.md").write_text("x\n")
    run("ingest", "docs")
    assert "\x1b" not in run("index", "list").stdout


def test_nothing_in_a_document_can_move_the_cursor(run):
    Path("docs/c.txt").write_bytes(b"\x1b]0;x\x07\tone\r\ntwo\n")
    Path("docs/d.\x1b]0;x\x07").write_text("x")
    assert "\x1b" not in run("ingest", "docs").stderr
    shown = run("index", "show", "docs/c.txt").stdout
    assert "\x1b" not in shown
    assert "\tone\ntwo\n" in shown


@pytest.mark.parametrize("name", ["", "x" * 201, "caf\udce9"])
def test_a_collection_that_no_question_could_name_is_a_usage_error(run, tmp_path, name):
    assert run("ingest", "docs", "--collection", name).exit_code == 2
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", [("ingest", "docs"), ("index", "list")])
def test_a_data_folder_that_cannot_be_one_is_told_in_one_line(run, command):
    result = run(*command, "--data-dir", "docs/a.md")
    assert result.exit_code == 2
    assert result.stderr.startswith("citestream: docs/a.md cannot be used")
    assert len(result.stderr.splitlines()) == 1


def test_leaving_at_the_question_is_an_interruption(run, monkeypatch):
    def interrupt(*_: Any, **__: Any) -> bool:
        raise typer.Abort

    run("ingest", "docs")
    monkeypatch.setattr("ingest.index_cli._confirmed", interrupt)
    assert run("index", "rm", "docs/a.md").exit_code == 130
    assert json.loads(run("index", "stats", "--json").stdout)["documents"] == 2


def test_collections_are_kept_apart(run):
    run("ingest", "docs/a.md", "--collection", "水果")
    run("ingest", "docs/b.txt")
    assert [item["source"] for item in json.loads(run("index", "list", "-c", "水果", "--json").stdout)] == ["docs/a.md"]
    assert json.loads(run("index", "stats", "--json").stdout)["documents"] == 2


def test_a_collection_of_another_chunker_is_refused_and_rebuilt(run: Run, tmp_path: Path) -> None:
    with patch.object(chunking, "CHUNKER", "sentences-200/1"):
        run("ingest", "docs")
    refused = run("ingest", "docs")
    assert refused.exit_code == 2
    assert "`citestream index rebuild --collection default`" in refused.stderr
    rebuilt = run("index", "rebuild", "--json")
    assert rebuilt.exit_code == 0, rebuilt.stderr
    told = json.loads(rebuilt.stdout)
    assert (told["documents"], told["chunks"], told["embedded"], told["chunker"]) == (2, 2, 0, chunking.CHUNKER)
    assert run("ingest", "docs").stdout.startswith("2 unchanged")
    assert run("index", "verify").stdout == "default: good (2 chunks, 2 searched)\n"


def test_verify_tells_what_is_damaged_what_was_repaired_and_what_is_left(run: Run, tmp_path: Path) -> None:
    run("ingest", "docs")
    with open_writer(Settings.load(data_dir=tmp_path / "data")) as writer:
        index = writer.library.collection("default").index
        writer._dense.delete(index, sorted(writer._dense.ids(index))[:1])
    damaged = run("index", "verify")
    counts = "(2 chunks, 1 searched, 1 without vector)"
    assert (damaged.exit_code, damaged.stdout) == (3, f"default: damaged; --repair writes it anew {counts}\n")
    with patch.object(IndexWriter, "repair"):
        tried = run("index", "verify", "--repair")
        left = "repaired, all but 1; `citestream index rebuild` makes the index anew"
        assert (tried.exit_code, tried.stdout) == (3, f"default: {left} {counts}\n")
        told = json.loads(run("index", "verify", "--repair", "--json").stdout)
        assert (told["good"], told["repaired"], told["left"]) == (False, True, 1)
    repaired = run("index", "verify", "--repair")
    assert (repaired.exit_code, repaired.stdout) == (0, f"default: repaired {counts}\n")
    told = json.loads(run("index", "verify", "--repair", "--json").stdout)
    assert (told["good"], told["repaired"], told["left"]) == (True, False, 0)


def test_a_rebuild_says_what_it_cannot_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("ingest", "docs")
    assert "there is no collection 'nope'" in run("index", "rebuild", "-c", "nope").stderr
    monkeypatch.setenv("CITESTREAM_EMBEDDING", "openai:x")
    for name in ("OPENAI_API_KEY", "CITESTREAM_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    refused = run("index", "rebuild")
    assert refused.exit_code == 2
    assert "the embedding 'openai:x' cannot be used" in refused.stderr
    assert "Traceback" not in refused.output


def test_of_a_file_that_grows_meanwhile_a_beginning_is_taken_in_and_later_all(run, tmp_path):
    enough = threading.Event()
    log = Path("docs/log.txt").absolute()

    def write() -> None:
        number = 0
        with log.open("a") as file:
            while not enough.is_set():
                number += 1
                file.write(f"Line {number} is written while the file is read.\n")
                file.flush()
                time.sleep(0.002)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        results = [run("ingest", "docs", "--json") for _ in range(2)]
    finally:
        enough.set()
        writing.join()
    assert [result.exit_code for result in results] == [0, 0]
    taken = texts(tmp_path / "data")["docs/log.txt"]
    assert log.read_text().startswith(taken)
    assert 0 < len(taken) < len(log.read_text())
    assert statuses(run("ingest", "docs", "--json"))["docs/log.txt"] == "changed"
    assert texts(tmp_path / "data")["docs/log.txt"] == log.read_text()
    assert statuses(run("ingest", "docs", "--json"))["docs/log.txt"] == "unchanged"
