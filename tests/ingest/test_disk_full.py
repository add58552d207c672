"""A full disk: what was live stays live and goes on answering, and with room again the rest is done."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from graph.library import path_of
from graph.retrieval.query import history_query
from graph.settings import Settings
from tests.acceptance.recorder import ACCEPTANCE, Measured
from tests.graph.test_kills import ROOT, ingest, state, state_of_readers, write_documents
from tests.graph.test_live_index import open_retriever
from tests.ingest.conftest import pdf_of

PHASES = ("open", "stage", "keep", "write", "words", "commit", "flip", "delete", "finish")
SHORT = ("write", "flip")
# The ingest command; the disk is filled to its last byte just before a phase.
FILLING = """
import sys
from pathlib import Path
from graph.library import LibraryWriter
from graph.retrieval import chunk_writer, writer
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex
from ingest import sync
from citestream.cli import main

phase, filler = sys.argv.pop(1), Path(sys.argv.pop(1))

def fill(name, owner, attribute):
    real = getattr(owner, attribute)
    def call(*arguments, **named):
        if name == phase:
            with filler.open("ab", 0) as file:
                size = 2**20
                while size:
                    try:
                        file.write(bytes(size))
                    except OSError:
                        size //= 2
        return real(*arguments, **named)
    setattr(owner, attribute, call)

fill("open", writer, "open_writer")
fill("stage", LibraryWriter, "stage")
fill("keep", sync, "keep")
fill("write", DenseIndex, "add")
fill("words", LexicalIndex, "add")
fill("commit", LexicalIndex, "commit")
fill("flip", LibraryWriter, "publish")
fill("delete", DenseIndex, "delete")
fill("finish", LibraryWriter, "finish")
sync.PUBLISH_CHUNKS = 8
chunk_writer.LOT_CHUNKS = 4
main()
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own of 32 MB, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32m", "citestream-test", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a disk of its own can only be mounted by root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def ingest_and_fill(phase: str, data_dir: Path, docs: Path) -> subprocess.CompletedProcess[str]:
    arguments = [phase, str(data_dir.parent / "filler"), "ingest", str(docs), "--data-dir", str(data_dir), "--prune"]
    command = [sys.executable, "-c", FILLING, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.long
def test_a_disk_that_fills_up_at_any_moment_costs_nothing_that_was_live(
    tmp_path: Path, small_disk: Path, measured: Measured
) -> None:
    """A disk full in each phase of an ingest, with a reader beside, then again with room: as after a clean run."""
    docs, data_dir, revision = tmp_path / "docs", small_disk / "data", 1
    clean: dict[int, dict[str, object]] = {}
    for number in (2, 1):
        write_revision(docs, number)
        ingest(tmp_path / f"clean{number}", docs)
        clean[number] = state(tmp_path / f"clean{number}")
    ingest(data_dir, docs)
    phases = PHASES if ACCEPTANCE else SHORT
    for phase in phases:
        before, revision = clean[revision], 3 - revision
        write_revision(docs, revision)
        reader = open_retriever(Settings.load(data_dir=data_dir))
        reader.warm()
        told = ingest_and_fill(phase, data_dir, docs)
        assert told.returncode == 74, (phase, told.stderr)
        (line,) = told.stderr.splitlines()
        assert line.startswith(f"citestream: the disk with {data_dir} is full. Make room there, and run this again"), (
            line
        )
        found = reader.search(history_query("what does document 4 say?", []), ["default"], k=5, where={})
        assert any("Document 4 says" in passage["text"] for passage in found.passages)
        reader.close()
        (small_disk / "filler").unlink()
        live = state_of_readers(data_dir)
        assert set(live) <= set(before) | set(clean[revision])
        assert {name.partition(".")[0] for name in live} == {name.partition(".")[0] for name in before}
        ingest(data_dir, docs)
        assert state(data_dir) == clean[revision]
        assert path_of(data_dir, sha256((docs / "paper.pdf").read_bytes()).hexdigest()).exists()
    measured.count = len(phases)


def test_a_command_that_cannot_open_a_full_disk_says_so(tmp_path: Path, small_disk: Path) -> None:
    write_documents(tmp_path / "docs", 1)
    data_dir = small_disk / "data"
    ingest(data_dir, tmp_path / "docs")
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    (small_disk / "filler").write_bytes(bytes(free))
    for arguments in (["ask", "What does document 4 say?"], ["index", "verify"], ["ingest", str(ROOT / "docs")]):
        command = [sys.executable, "-m", "citestream", *arguments, "--data-dir", str(data_dir)]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert told.returncode == 74, told.stderr
        assert told.stderr.splitlines()[-1].startswith(f"citestream: the disk with {data_dir} is full."), told.stderr


def test_a_full_disk_of_temporary_files_is_told_as_such_and_no_file_is_called_bad(
    tmp_path: Path, small_disk: Path
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    with zipfile.ZipFile(docs / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large.txt", b"words " * 6_000_000)
    command = [sys.executable, "-m", "citestream", "ingest", str(docs), "--data-dir", str(tmp_path / "data")]
    told = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ, "TMPDIR": str(small_disk)}
    )
    assert (told.returncode, told.stdout) == (74, ""), told.stderr
    (line,) = told.stderr.splitlines()
    assert line.startswith(f"citestream: the disk with {small_disk} is full."), line
    assert not list(small_disk.iterdir())


def test_files_that_cannot_grow_are_told_in_one_line(tmp_path: Path) -> None:
    """A limit on the size of files, as a quota has it: SQLite says no more than that its disk has failed."""
    write_documents(tmp_path / "docs", 1)
    ingest(tmp_path / "data", tmp_path / "docs")
    write_documents(tmp_path / "docs", 2)
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "from citestream.cli import main; main()"
    )
    command = [sys.executable, "-c", limited, "ingest", str(tmp_path / "docs"), "--data-dir", str(tmp_path / "data")]
    before = state_of_readers(tmp_path / "data")
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert told.returncode in (1, 74), told.stderr
    (line,) = told.stderr.splitlines()
    assert "disk" in line
    assert state_of_readers(tmp_path / "data") == before
    ingest(tmp_path / "data", tmp_path / "docs")
    ingest(tmp_path / "clean", tmp_path / "docs")
    assert state(tmp_path / "data") == state(tmp_path / "clean")


def write_revision(docs: Path, revision: int) -> None:
    """Ten files of text and a PDF."""
    write_documents(docs, revision)
    (docs / "paper.pdf").write_bytes(pdf_of([[f"The paper in revision {revision}."]]))
