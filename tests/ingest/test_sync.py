import hashlib
import os
from pathlib import Path

import pytest

from graph.library import KnownDocument
from ingest import sync
from ingest.archives import Unpacker
from ingest.loaders import LOADER_VERSION
from ingest.parsing import Parsers
from ingest.progress import Progress
from ingest.sync import Found, Step, try_plan, walk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder `docs` of two documents, which is below the current folder."""
    docs = tmp_path / "docs"
    (docs / "sub").mkdir(parents=True)
    (docs / "b.md").write_text("# B\n")
    (docs / "sub" / "a.txt").write_text("a\n")
    return docs


def known(path: Path, source: str, content: bytes, loader: str = f"text/{LOADER_VERSION}") -> KnownDocument:
    digest = hashlib.sha256(content).hexdigest()
    return KnownDocument("id-" + source, source, str(path), digest, len(content), 0, loader, 1)


def sources(given: Path, leave_out: Path | None = None) -> list[str]:
    return [item.source for item in walk(given, leave_out)]


def make_plan(paths: list[Path], documents: list[KnownDocument], **ways: object) -> list[Step]:
    return sync.make_plan(paths, documents, Progress(), **ways)


def told(steps: list[Step]) -> list[tuple[str, str, str | None]]:
    return [(step.source, step.status, step.reason) for step in steps]


def test_a_folder_is_walked_in_order_and_named_as_given(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert list(walk(Path("docs"))) == [
        Found(folder.resolve() / "b.md", "docs/b.md"),
        Found(folder.resolve() / "sub" / "a.txt", "docs/sub/a.txt"),
    ]
    assert sources(Path("docs/b.md")) == ["docs/b.md"]


def test_hidden_files_links_out_and_things_that_are_no_files_are_passed_over(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / ".hidden.md").write_text("x")
    (folder / ".git").mkdir()
    (folder / ".git" / "c.md").write_text("x")
    (folder.parent / "secret.md").write_text("x")
    (folder / "out.md").symlink_to(folder.parent / "secret.md")
    (folder / "nowhere.md").symlink_to(folder / "missing.md")
    (folder / "round.md").symlink_to(folder / "round.md")
    (folder / "circle").symlink_to(folder)
    os.mkfifo(folder / "pipe.md")
    assert sources(Path(".")) == ["b.md", "sub/a.txt"]


def test_a_hidden_file_that_is_named_is_taken(folder):
    (folder / ".hidden.md").write_text("x")
    assert len(sources(folder / ".hidden.md")) == 1


def test_the_data_folder_is_left_out(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert sources(Path("docs"), leave_out=folder.resolve() / "sub") == ["docs/b.md"]


def test_a_missing_path_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        make_plan([tmp_path / "missing"], [])


def test_a_file_that_an_older_loader_has_read_is_read_again(folder):
    document = known(folder / "b.md", "docs/b.md", b"# B\n", loader="markdown/0")
    assert [step.status for step in make_plan([folder / "b.md"], [document])] == ["changed"]


def test_files_are_compared_by_content(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    (folder / "new.md").write_text("new")
    (folder / "empty.png").write_text("")
    documents = [
        known(folder / "b.md", "docs/b.md", b"# B\n"),
        known(folder / "sub" / "a.txt", "docs/sub/a.txt", b"other"),
    ]
    plan = make_plan([Path("docs"), Path("docs/b.md")], documents)
    assert told(plan) == [
        ("docs/b.md", "unchanged", None),
        ("docs/empty.png", "skipped", "unsupported"),
        ("docs/new.md", "added", None),
        ("docs/sub/a.txt", "changed", None),
    ]
    assert [step.document_id for step in plan] == ["id-docs/b.md", None, None, "id-docs/sub/a.txt"]


def test_a_document_keeps_the_name_it_was_first_given(folder):
    plan = make_plan([folder / "b.md"], [known(folder / "b.md", "docs/b.md", b"old")])
    assert told(plan) == [("docs/b.md", "changed", None)]


def test_a_name_that_is_taken_by_another_file_gives_way_to_the_whole_path(folder, tmp_path, monkeypatch):
    other = tmp_path / "other" / "docs" / "b.md"
    other.parent.mkdir(parents=True)
    other.write_text("# B\n")
    monkeypatch.chdir(folder.parent)
    plan = make_plan([Path("docs/b.md")], [known(other, "docs/b.md", b"# B\n")])
    assert told(plan) == [(str(folder / "b.md"), "added", None)]


def test_a_file_that_has_moved_with_its_name_is_the_same_document(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    document = known(tmp_path / "gone" / "docs" / "b.md", "docs/b.md", b"# B\n")
    plan = make_plan([Path("docs/b.md")], [document], prune=True)
    assert [(step.status, step.document_id) for step in plan] == [("unchanged", document.id)]


def test_prune_removes_what_is_gone_below_the_folders_alone(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    documents = [
        known(folder / "gone.md", "docs/gone.md", b""),
        known(tmp_path / "elsewhere" / "gone.md", "elsewhere/gone.md", b""),
        known(folder / "b.md", "docs/b.md", b"# B\n"),
    ]
    statuses = {step.source: step.status for step in make_plan([Path("docs")], documents, prune=True)}
    assert statuses == {"docs/b.md": "unchanged", "docs/sub/a.txt": "added", "docs/gone.md": "removed"}
    assert all(step.status != "removed" for step in make_plan([Path("docs")], documents))


def test_prune_keeps_documents_whose_files_are_there_but_passed_over(folder):
    hidden = folder / ".b.md"
    hidden.write_text("x")
    steps = make_plan([folder], [known(hidden, "docs/.b.md", b"x")], prune=True)
    assert "removed" not in {step.status for step in steps}


def test_a_name_that_is_no_utf8_fails_and_is_shown_safely(folder):
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.md")).write_text("x")
    failed = [step for step in make_plan([folder], []) if step.status == "failed"]
    assert [(Path(step.source).name, step.reason) for step in failed] == [("caf\ufffd.md", "file-name")]


@pytest.mark.parametrize("size", [64 * 1024 * 1024 + 1])
def test_a_huge_file_fails_without_being_read(folder, size):
    with (folder / "huge.txt").open("wb") as file:
        file.truncate(size)
    assert ("too-large", "failed") in {(step.reason, step.status) for step in make_plan([folder], [])}


def test_a_folder_that_cannot_be_read_is_a_failure_and_not_an_empty_folder(folder, monkeypatch):
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.chdir(folder.parent)
    plan = make_plan([Path("docs")], [known(folder / "sub" / "a.txt", "docs/sub/a.txt", b"a\n")], prune=True)
    assert told(plan) == [("docs/b.md", "added", None), ("docs/sub", "failed", "unreadable")]


def test_files_in_a_folder_that_may_only_be_listed_are_failures(folder, monkeypatch):
    """They were once passed over without a word."""
    stat = Path.stat

    def refuse(self: Path, **options: bool) -> os.stat_result:
        if self.name == "a.txt":
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.chdir(folder.parent)
    assert told(make_plan([Path("docs")], [])) == [
        ("docs/b.md", "added", None),
        ("docs/sub/a.txt", "failed", "unreadable"),
    ]


def test_a_pipe_that_is_named_itself_is_a_failure(folder):
    """To open it was once to wait for ever."""
    os.mkfifo(folder / "pipe.md")
    assert told(make_plan([folder / "pipe.md"], [])) == [(f"{folder}/pipe.md", "failed", "unreadable")]


def test_a_folder_above_with_a_name_that_is_no_utf8_is_a_failure(tmp_path, monkeypatch):
    """The path of such a file cannot be stored; the whole run once broke off there."""
    docs = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"), "docs")
    docs.mkdir(parents=True)
    (docs / "a.md").write_text("x\n")
    monkeypatch.chdir(docs.parent)
    assert told(make_plan([Path("docs")], [])) == [("docs/a.md", "failed", "file-name")]


def test_a_trial_reads_the_files_and_says_how_they_would_turn_out(folder):
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 cut off")
    (folder / "empty.txt").write_text(" \n")
    with Parsers(1) as parsers:
        steps = list(try_plan(make_plan([folder], []), parsers, Unpacker(folder), Progress()))
    tried = [(Path(step.source).name, step.status, step.reason, step.chunks) for step in steps]
    assert tried == [
        ("b.md", "added", None, 1),
        ("broken.pdf", "failed", "malformed", None),
        ("empty.txt", "skipped", "empty", None),
        ("a.txt", "added", None, 1),
    ]


def test_a_change_that_leaves_time_and_size_as_they_were_is_seen(folder):
    """A clock that went back, or a copy that kept the time."""
    path = folder / "b.md"
    before = path.stat()
    document = known(path, str(path), path.read_bytes(), loader=f"markdown/{LOADER_VERSION}")
    path.write_text("# C\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)
    assert [step.status for step in make_plan([path], [document])] == ["changed"]


def test_a_file_that_goes_away_between_walking_and_looking_costs_itself(folder, monkeypatch):
    is_archive = sync.is_archive

    def after_a_while(path: Path) -> bool:
        (folder / "b.md").unlink(missing_ok=True)
        return is_archive(path)

    monkeypatch.setattr(sync, "is_archive", after_a_while)
    monkeypatch.chdir(folder.parent)
    assert told(make_plan([Path("docs")], [])) == [
        ("docs/b.md", "failed", "unreadable"),
        ("docs/sub/a.txt", "added", None),
    ]


def test_a_file_that_goes_away_between_looking_and_reading_costs_itself(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    plan = make_plan([Path("docs")], [])
    (folder / "b.md").unlink()
    with Parsers(1) as parsers:
        steps = list(try_plan(plan, parsers, Unpacker(folder), Progress()))
    assert told(steps) == [("docs/b.md", "failed", "unreadable"), ("docs/sub/a.txt", "added", None)]


def test_a_file_that_grows_for_ever_is_given_up(folder, monkeypatch):
    monkeypatch.setattr(sync, "MAX_BYTES", 1000)
    monkeypatch.setattr(sync, "READ_BYTES", 100)
    path, real = folder / "b.md", sync.format_of

    def grow(head: bytes, name: str) -> object:
        path.write_bytes(b"x" * 5000)  # after its size was asked for
        return real(head, name)

    monkeypatch.setattr(sync, "format_of", grow)
    assert [(step.status, step.reason) for step in make_plan([path], [])] == [("failed", "too-large")]
