"""kill -9 while the index is written: what was live stays live, and running it again gives what a clean run gives."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from graph.retrieval.writer import open_writer
from graph.settings import Settings
from tests.acceptance.recorder import ACCEPTANCE, Measured, many

ROOT = Path(__file__).parents[2]
PHASES = ("parse", "embed", "write", "flip", "delete")
SEED = 11
# The ingest command, which says when a phase begins and takes a while for each; only its last phase is killed.
SLOW = """
import sys, time
from unittest.mock import patch
from typer.testing import CliRunner
from graph.library import LibraryWriter
from graph.retrieval import chunk_writer
from graph.retrieval.index import DenseIndex
from ingest import sync
from citestream.cli import app

def slow(phase, owner, name):
    real = getattr(owner, name)
    def call(*arguments, **named):
        sys.stdout.write(phase + "\\n"); sys.stdout.flush()
        time.sleep(0.02)
        result = real(*arguments, **named)
        time.sleep(0.02)
        return result
    setattr(owner, name, call)

slow("parse", sync.Parsers, "_collect")
slow("embed", chunk_writer.ChunkWriter, "_vectors")
slow("write", DenseIndex, "add")
slow("flip", LibraryWriter, "publish")
slow("flip", LibraryWriter, "publish_index")
slow("delete", DenseIndex, "delete")
slow("delete", DenseIndex, "drop")
sync.PUBLISH_CHUNKS = 8
chunk_writer.LOT_CHUNKS = 4
app(sys.argv[1:])
"""


def write_documents(folder: Path, revision: int) -> None:
    """Ten files, of which every second one differs from revision to revision."""
    folder.mkdir(exist_ok=True)
    for number in range(10):
        said = revision if number % 2 else 0
        sections = [f"## Part {part}\n\nDocument {number} says {said} in part {part}.\n" for part in range(3)]
        (folder / f"{number}.md").write_text(f"# Document {number}\n\n" + "\n".join(sections))


def ingest(data_dir: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "citestream", "ingest", str(folder), "--data-dir", str(data_dir), "--prune"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)


def killed_ingest(data_dir: Path, folder: Path, phase: str, nth: int, delay_s: float) -> bool:
    """Kill the command a moment after it has begun a phase for the nth time; False when it came to its end before."""
    return killed(("ingest", str(folder), "--data-dir", str(data_dir), "--prune"), phase, nth, delay_s)


def killed(arguments: Sequence[str], phase: str, nth: int, delay_s: float) -> bool:
    """Kill a command a moment after it has begun a phase for the nth time; False when it came to its end before."""
    command = [sys.executable, "-c", SLOW, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        begun = 0
        for line in running.stdout:
            begun += line.strip() == phase
            if begun == nth:
                time.sleep(delay_s)
                running.send_signal(signal.SIGKILL)
                break
        running.stdout.close()
    return running.returncode == -signal.SIGKILL


def state(data_dir: Path) -> dict[str, object]:
    """All that a reader can find, by chunk, and whether both indexes have just that."""
    with open_writer(Settings.load(data_dir=data_dir)) as writer:
        collection = writer.library.collection("default")
        found = writer.check(collection)
        assert found.is_good
        assert not found.extra
        chunks = writer.library.live_chunks(writer.library.live_ids(collection))
    return {name: chunk.text for name, chunk in chunks.items()}


def clean_states(folder: Path, docs: Path) -> dict[int, dict[str, object]]:
    """What is found after a run that nothing disturbed, for each revision of the documents."""
    clean: dict[int, dict[str, object]] = {}
    for revision in (1, 2):
        write_documents(docs, revision)
        ingest(folder / f"clean{revision}", docs)
        clean[revision] = state(folder / f"clean{revision}")
    return clean


@pytest.mark.timeout(3000)
@pytest.mark.long
def test_killed_at_any_moment_and_run_again_the_index_is_that_of_a_clean_run(
    tmp_path: Path, measured: Measured
) -> None:
    """kill -9 of ingest in each of its phases, then again: the same chunks as of a clean run."""
    chance = random.Random(SEED)
    docs = tmp_path / "docs"
    clean = clean_states(tmp_path, docs)
    data_dir, revision = tmp_path / "data", 1
    write_documents(docs, 1)
    ingest(data_dir, docs)
    hits: Counter[str] = Counter()
    for phase in PHASES * many(1, 12):
        before, revision = clean[revision], 3 - revision
        write_documents(docs, revision)
        if killed_ingest(data_dir, docs, phase, chance.randint(1, 2), chance.random() * 0.05):
            hits[phase] += 1
        # What a reader finds is one version of each document, and none is missing.
        live = state_of_readers(data_dir)
        assert set(live) <= set(before) | set(clean[revision])
        assert {name.partition(".")[0] for name in live} == {name.partition(".")[0] for name in before}
        assert all(len({n.rpartition(".")[0] for n in live if n.startswith(d)}) == 1 for d in {n[:12] for n in live})
        ingest(data_dir, docs)
        assert state(data_dir) == clean[revision]
    measured.count = hits.total()
    measured.note(**hits)
    assert all(hits[phase] >= (5 if ACCEPTANCE else 1) for phase in PHASES), hits


def state_of_readers(data_dir: Path) -> set[str]:
    """The ids of live chunks, without any repair that opening for writing would do."""
    from graph.library import Library

    library = Library.open(data_dir)
    try:
        return library.live_ids(library.collection("default"))
    finally:
        library.close()


@pytest.mark.timeout(3000)
@pytest.mark.long
def test_a_rebuild_killed_at_any_moment_leaves_an_index_and_run_again_comes_to_its_end(
    tmp_path: Path, measured: Measured
) -> None:
    """kill -9 of rebuild in each of its phases, then again: the same chunks, in one index."""
    chance = random.Random(SEED)
    docs, data_dir = tmp_path / "docs", tmp_path / "data"
    write_documents(docs, 1)
    ingest(data_dir, docs)
    clean = state(data_dir)
    rebuild = ("index", "rebuild", "--data-dir", str(data_dir))
    hits: Counter[str] = Counter()
    for phase in ("embed", "write", "flip", "delete") * many(1, 12):
        if killed(rebuild, phase, 1 if phase in ("flip", "delete") else chance.randint(1, 6), chance.random() * 0.05):
            hits[phase] += 1
        assert state_of_readers(data_dir) == set(clean)
        subprocess.run([sys.executable, "-m", "citestream", *rebuild], cwd=ROOT, check=True, timeout=120)
        assert state(data_dir) == clean
        assert len(list((data_dir / "lexical").iterdir())) == 1
    measured.count = hits.total()
    measured.note(**hits)
    assert all(hits[phase] >= (5 if ACCEPTANCE else 1) for phase in ("embed", "write", "flip", "delete")), hits
