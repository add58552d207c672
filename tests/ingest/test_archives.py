import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from graph.library import KnownDocument
from ingest import archives
from ingest.archives import BadArchive, Unpacker, members
from ingest.loaders import LOADER_VERSION
from ingest.parsing import AHEAD, Parsers
from ingest.progress import Progress
from ingest.sync import make_plan, try_plan

FILES = {"a.md": b"# A\n", "sub/b.txt": b"b\n"}


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link.md")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


def contents(archive: Path) -> dict[str, bytes]:
    """What is in it; raises what reading it raises."""
    return {member.place.name: b"".join(member.parts()) for member in members(archive) if member.opened}


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.xz", "w:xz")]
)
def test_the_files_of_a_tar_file_are_unpacked_and_links_are_not(tmp_path, name, mode):
    assert contents(write_tar(tmp_path / name, FILES, mode)) == FILES


def test_what_is_hidden_or_leads_out_is_not_unpacked(tmp_path):
    files = FILES | {
        "../evil.md": b"x",
        "/abs.md": b"x",
        ".hidden/c.md": b"x",
        "__MACOSX/a.md": b"x",
        "..\\win.md": b"x",
    }
    archive = write_zip(tmp_path / "a.zip", files)
    assert {member.place.name: member.reason for member in members(archive)} == {
        "a.md": "",
        "sub/b.txt": "",
        "../evil.md": "file-name",
        "/abs.md": "file-name",
        "..\\win.md": "file-name",
    }


def test_a_damaged_member_of_any_compression_is_malformed(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_LZMA) as written:
        written.writestr("a.md", b"words " * 500)
    data = bytearray(archive.read_bytes())
    place = data.index(b"a.md") + 20
    data[place : place + 12] = b"\xff" * 12
    archive.write_bytes(data)
    with pytest.raises(BadArchive, match="malformed"):
        contents(archive)


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_bomb_is_given_up_when_it_has_had_its_room(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 3_000_000)
    archive = write_zip(tmp_path / "a.zip", {f"{n}.txt": b"0" * 1_000_000 for n in range(9)})
    with pytest.raises(BadArchive) as caught:
        contents(archive)
    assert caught.value.reason == "too-large"


def test_too_many_members_are_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    archive = write_zip(tmp_path / "a.zip", {f"{n}.txt": b"0" for n in range(9)})
    with pytest.raises(BadArchive, match="too-large"):
        contents(archive)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar"])
def test_half_an_archive_is_malformed(tmp_path, name):
    whole = write_zip(tmp_path / "w", FILES) if name == "a.zip" else write_tar(tmp_path / "w", FILES)
    data = whole.read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(BadArchive, match="malformed"):
        contents(tmp_path / name)


def test_members_are_planned_as_files_below_the_archive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_zip(make(tmp_path / "docs") / "a.zip", FILES | {"c.png": b"x", "in.zip": b"PK"})
    plan = make_plan([Path("docs")], [], Progress())
    assert [(step.source, step.status) for step in plan] == [
        ("docs/a.zip/a.md", "added"),
        ("docs/a.zip/sub/b.txt", "added"),
        ("docs/a.zip/c.png", "skipped"),
        ("docs/a.zip/in.zip", "skipped"),
    ]
    assert plan[0].path == tmp_path / "docs/a.zip/a.md"


def known(path: Path, source: str, sha256: str) -> KnownDocument:
    return KnownDocument("id-" + source, source, str(path), sha256, 1, 0, f"markdown/{LOADER_VERSION}", 1)


def test_members_are_compared_and_pruned_like_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = write_zip(tmp_path / "a.zip", FILES)
    import hashlib

    here = known(archive / "a.md", "a.zip/a.md", hashlib.sha256(FILES["a.md"]).hexdigest())
    gone = replace(here, id="id-gone", source="a.zip/gone.md", path=str(archive / "gone.md"))
    plan = make_plan([Path("a.zip")], [here, gone], Progress(), prune=True)
    assert [(step.source, step.status) for step in plan] == [
        ("a.zip/a.md", "unchanged"),
        ("a.zip/sub/b.txt", "added"),
        ("a.zip/gone.md", "removed"),
    ]


def test_documents_of_an_archive_that_cannot_be_read_are_not_pruned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.zip").write_bytes(b"PK and nothing")
    before = known(tmp_path / "a.zip" / "a.md", "a.zip/a.md", "0" * 64)
    plan = make_plan([Path()], [before], Progress(), prune=True)
    assert [(step.source, step.status, step.reason) for step in plan] == [("a.zip", "failed", "malformed")]


def test_archives_are_unpacked_a_few_files_at_a_time(tmp_path, monkeypatch):
    """All that was new in all of them was once unpacked before the first file was read."""
    monkeypatch.chdir(tmp_path)
    docs, spool = make(tmp_path / "docs"), make(tmp_path / "spool")
    texts = {f"{number}.txt": b"text %d " % number * 10_000 for number in range(20)}
    write_zip(docs / "a.zip", texts)
    write_tar(docs / "b.tar.gz", texts)
    plan = make_plan([Path("docs")], [], Progress())
    assert len(plan) == 40
    assert not list(spool.iterdir())
    most = 0
    with Parsers(2) as parsers:
        for step in try_plan(plan, parsers, Unpacker(spool), Progress()):
            assert (step.status, bool(step.chunks)) == ("added", True)
            most = max(most, len(list(spool.iterdir())))
    assert 0 < most <= AHEAD * 2
    assert not list(spool.iterdir())


def test_an_archive_that_changes_between_looking_and_reading_costs_its_own_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_zip(tmp_path / "a.zip", FILES | {"c.md": b"three"})
    write_zip(tmp_path / "b.zip", FILES)
    plan = make_plan([Path("a.zip"), Path("b.zip")], [], Progress())
    write_zip(tmp_path / "a.zip", {"other.md": b"x", "sub/b.txt": b"b again\n"})
    with Parsers(1) as parsers:
        steps = list(try_plan(plan, parsers, Unpacker(make(tmp_path / "spool")), Progress()))
    assert [(step.source, step.status, step.reason) for step in steps] == [
        ("a.zip/a.md", "failed", "unreadable"),
        ("a.zip/sub/b.txt", "failed", "unreadable"),
        ("a.zip/c.md", "failed", "unreadable"),
        ("b.zip/a.md", "added", None),
        ("b.zip/sub/b.txt", "added", None),
    ]


def test_what_is_too_large_to_be_read_is_not_unpacked_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    monkeypatch.setattr(archives, "MAX_PASSED_BYTES", 5000)
    archive = write_tar(tmp_path / "a.tar.gz", {f"{n}.txt": b"0" * 2000 for n in range(9)})
    with pytest.raises(BadArchive, match="too-large"):
        contents(archive)


def test_a_header_that_is_a_bomb_is_not_read(tmp_path):
    """It was once read into memory as a whole, whatever its size."""

    def with_comment(size_bytes: int) -> Path:
        info = tarfile.TarInfo("folder/" * 40 + "a.md")
        info.pax_headers = {"comment": "a" * size_bytes}
        with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
            archive.addfile(info)
        return tmp_path / "a.tar.gz"

    assert contents(with_comment(1000)) == {"folder/" * 40 + "a.md": b""}
    with pytest.raises(BadArchive, match="malformed"):
        contents(with_comment(archives.MAX_HEADER_BYTES))
