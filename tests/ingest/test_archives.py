import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from graph.library import KnownDocument
from ingest import archives
from ingest.archives import BadArchive, unpack
from ingest.loaders import LOADER_VERSION
from ingest.progress import Progress
from ingest.sync import make_plan

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


def contents(archive: Path, folder: Path) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    return {member.name: member.file.read_bytes() for member in unpack(archive, folder) if member.file}


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.xz", "w:xz")]
)
def test_the_files_of_a_tar_file_are_unpacked_and_links_are_not(tmp_path, name, mode):
    assert contents(write_tar(tmp_path / name, FILES, mode), tmp_path / "spool") == FILES


def test_what_is_hidden_or_leads_out_is_not_unpacked(tmp_path):
    files = FILES | {
        "../evil.md": b"x",
        "/abs.md": b"x",
        ".hidden/c.md": b"x",
        "__MACOSX/a.md": b"x",
        "..\\win.md": b"x",
    }
    archive = write_zip(tmp_path / "a.zip", files)
    members = {member.name: member.reason for member in unpack(archive, make(tmp_path / "spool"))}
    assert members == {
        "a.md": "",
        "sub/b.txt": "",
        "../evil.md": "file-name",
        "/abs.md": "file-name",
        "..\\win.md": "file-name",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "spool"]


def test_a_damaged_member_of_any_compression_is_malformed(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_LZMA) as written:
        written.writestr("a.md", b"words " * 500)
    data = bytearray(archive.read_bytes())
    place = data.index(b"a.md") + 20
    data[place : place + 12] = b"\xff" * 12
    archive.write_bytes(data)
    with pytest.raises(BadArchive, match="malformed"):
        list(unpack(archive, make(tmp_path / "spool")))


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_bomb_is_given_up_when_it_has_had_its_room(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 3_000_000)
    archive = write_zip(tmp_path / "a.zip", {f"{n}.txt": b"0" * 1_000_000 for n in range(9)})
    with pytest.raises(BadArchive) as caught:
        list(unpack(archive, make(tmp_path / "spool")))
    assert caught.value.reason == "too-large"
    assert sum(path.stat().st_size for path in (tmp_path / "spool").iterdir()) <= 3_000_000


def test_too_many_members_are_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    archive = write_zip(tmp_path / "a.zip", {f"{n}.txt": b"0" for n in range(9)})
    with pytest.raises(BadArchive, match="too-large"):
        list(unpack(archive, make(tmp_path / "spool")))


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar"])
def test_half_an_archive_is_malformed(tmp_path, name):
    whole = write_zip(tmp_path / "w", FILES) if name == "a.zip" else write_tar(tmp_path / "w", FILES)
    data = whole.read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(BadArchive, match="malformed"):
        list(unpack(tmp_path / name, make(tmp_path / "spool")))


def test_members_are_planned_as_files_below_the_archive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_zip(make(tmp_path / "docs") / "a.zip", FILES | {"c.png": b"x", "in.zip": b"PK"})
    spool = make(tmp_path / "spool")
    plan = make_plan([Path("docs")], [], spool, Progress())
    assert [(step.source, step.status) for step in plan] == [
        ("docs/a.zip/a.md", "added"),
        ("docs/a.zip/sub/b.txt", "added"),
        ("docs/a.zip/c.png", "skipped"),
        ("docs/a.zip/in.zip", "skipped"),
    ]
    assert plan[0].path == tmp_path / "docs/a.zip/a.md"
    assert len([path for path in spool.rglob("*") if path.is_file()]) == 2


def known(path: Path, source: str, sha256: str) -> KnownDocument:
    return KnownDocument("id-" + source, source, str(path), sha256, 1, 0, f"markdown/{LOADER_VERSION}", 1)


def test_members_are_compared_and_pruned_like_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = write_zip(tmp_path / "a.zip", FILES)
    import hashlib

    here = known(archive / "a.md", "a.zip/a.md", hashlib.sha256(FILES["a.md"]).hexdigest())
    gone = replace(here, id="id-gone", source="a.zip/gone.md", path=str(archive / "gone.md"))
    plan = make_plan([Path("a.zip")], [here, gone], make(tmp_path / "spool"), Progress(), prune=True)
    assert [(step.source, step.status) for step in plan] == [
        ("a.zip/a.md", "unchanged"),
        ("a.zip/sub/b.txt", "added"),
        ("a.zip/gone.md", "removed"),
    ]


def test_documents_of_an_archive_that_cannot_be_read_are_not_pruned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.zip").write_bytes(b"PK and nothing")
    before = known(tmp_path / "a.zip" / "a.md", "a.zip/a.md", "0" * 64)
    plan = make_plan([Path()], [before], make(tmp_path / "spool"), Progress(), prune=True)
    assert [(step.source, step.status, step.reason) for step in plan] == [("a.zip", "failed", "malformed")]
