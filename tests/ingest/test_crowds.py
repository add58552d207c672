"""Files whose chunks are nearly the same, beside others: chunks are found by their own vectors."""

import json
import random
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.recorder import Measured
from tests.ingest.terminal import ROOT, citestream

HNSW = 0.001
"""The share that a graph may lose: it promises nothing. Here none was lost in any run."""


def run(*arguments: str) -> str:
    done = subprocess.run(citestream(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode in (0, 3), done.stderr  # 3: some files could not be read, as some of the nasty ones
    return done.stdout


def lost_of(folders: list[Path], data_dir: Path, measured: Measured) -> float:
    """The share of all chunks that a search by their own vector does not find."""
    where = ("--data-dir", str(data_dir))
    run("ingest", *map(str, folders), *where)
    told = json.loads(run("index", "verify", "--json", *where))
    measured.count = told["searched"]
    measured.note(not_found=told["not_found"])
    assert told["searched"] == told["chunks"] > 1000
    assert (told["without_vector"], told["without_words"], told["extra"]) == (0, 0, 0)
    return float(told["not_found"] / told["searched"])


def write_log(folder: Path) -> Path:
    """A folder with a log of 6,000 lines, and with a file that says one thing 20,000 times."""
    chance = random.Random(0)
    folder.mkdir()
    lines = [
        f"2026-11-{1 + number // 400:02} {number % 24:02}:{number % 60:02} worker-{chance.randrange(8)} answered "
        f"request {chance.randrange(10**6)} in {chance.randrange(900)} ms\n"
        for number in range(6000)
    ]
    (folder / "service.log").write_text("".join(lines))
    (folder / "same.txt").write_text("x1 " * 20_000)
    return folder


@pytest.mark.long
@pytest.mark.timeout(600)
def test_hardly_anything_is_lost_beside_a_log_and_a_file_that_repeats_itself(
    tmp_path: Path, measured: Measured
) -> None:
    """Documents beside a log and a file that repeats itself: chunks are found by their own vectors."""
    assert lost_of([ROOT / "docs", write_log(tmp_path / "logs")], tmp_path / "data", measured) < HNSW


@pytest.mark.long
@pytest.mark.timeout(600)
def test_hardly_anything_is_lost_beside_the_nasty_files(corpus: Path, tmp_path: Path, measured: Measured) -> None:
    """Documents beside the nasty files: chunks are found by their own vectors."""
    assert lost_of([ROOT / "docs", corpus / "nasty"], tmp_path / "data", measured) < HNSW
