"""Three commands at once on one data folder: no vector is lost, and whoever does not wait is told who writes."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from graph.library import Library
from tests.acceptance.recorder import Measured
from tests.graph.test_kills import write_documents
from tests.ingest.terminal import ROOT, citestream

THREE = range(3)


def ingest_at_once(data_dir: Path, arguments: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """Exit code and stderr of each."""
    commands = [citestream("ingest", *each, "--data-dir", str(data_dir)) for each in arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for command in commands]
    told = [process.communicate(timeout=100)[1] for process in running]
    return [(process.returncode, text) for process, text in zip(running, told, strict=True)]


def verify(data_dir: Path) -> dict[str, tuple[int, int]]:
    """Chunks of each collection, and how many of them a search by their own vector finds."""
    command = citestream("index", "verify", "--json", "--data-dir", str(data_dir))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stdout
    return {line["collection"]: (line["chunks"], line["searched"] - line["not_found"]) for line in lines}


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Three folders of ten documents of three chunks, which say different things."""
    made = [tmp_path / f"docs{number}" for number in THREE]
    for number, folder in enumerate(made):
        write_documents(folder, 1)
        for path in folder.iterdir():
            path.write_text(path.read_text().replace("says", f"said in folder {number}"))
    return made


@pytest.mark.parametrize("collections", [("default",) * 3, ("one", "two", "three")], ids=["one", "three"])
def test_three_that_wait_for_each_other_lose_nothing(
    tmp_path: Path, folders: list[Path], collections: Sequence[str], measured: Measured
) -> None:
    """Three ingests at once into one data folder: every chunk is found by its own vector."""
    ways = [[str(folder), "-c", name, "--wait"] for folder, name in zip(folders, collections, strict=True)]
    told = ingest_at_once(tmp_path / "data", ways)
    assert [code for code, _ in told] == [0, 0, 0], told
    found = verify(tmp_path / "data")
    assert set(found) == set(collections)
    assert all(chunks == searched for chunks, searched in found.values()), found
    library = Library.open(tmp_path / "data")
    assert len(library.documents()) == 30
    library.close()
    measured.count = sum(chunks for chunks, _ in found.values())
    assert measured.count == 90


def test_three_of_the_same_folder_are_as_one(tmp_path: Path, folders: list[Path]) -> None:
    told = ingest_at_once(tmp_path / "data", [[str(folders[0]), "--wait"] for _ in THREE])
    assert [code for code, _ in told] == [0, 0, 0], told
    assert verify(tmp_path / "data") == {"default": (30, 30)}


def test_three_that_do_not_wait_are_told_who_writes(tmp_path: Path, folders: list[Path]) -> None:
    told = ingest_at_once(tmp_path / "data", [[str(folder)] for folder in folders])
    codes = sorted(code for code, _ in told)
    assert codes[0] == 0
    assert set(codes) <= {0, 75}
    assert all("another process (" in text for code, text in told if code == 75), told
    [(chunks, found)] = verify(tmp_path / "data").values()
    assert chunks == found == 30 * codes.count(0)
