"""What a person sees of a run."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from ingest.progress import duration
from ingest.sync import Step
from ingest.tally import Tally
from tests.ingest.terminal import ROOT, Terminal, citestream


def step(source: str, size_bytes: int) -> Step:
    return Step(source, Path("/", source), "added", size_bytes=size_bytes)


def test_files_and_bytes_count_when_their_chunks_have_vectors():
    steps = [step("a.md", 100), step("b.md", 300), step("c.md", 600)]
    tally = Tally(steps)
    assert (tally.of_files, tally.of_bytes) == (3, 1000)
    tally.stored(steps[0], 10)
    tally.stored(steps[1], 30)
    seen = [tally.standing(ready, 0.0) for ready in (0, 5, 10, 25, 40)]
    assert [(at.files, at.size_bytes, at.embedding) for at in seen] == [
        (0, 0, "a.md"), (0, 50, "a.md"), (1, 100, "b.md"), (1, 250, "b.md"), (2, 400, None),
    ]  # fmt: skip
    tally.refused(steps[2])
    assert (tally.standing(40, 0.0).files, tally.standing(40, 0.0).size_bytes) == (3, 1000)


def test_the_time_left_goes_by_what_files_of_a_kind_have_in_chunks():
    """By bytes alone a PDF full of pictures would take for ever, and the text behind it no time."""
    steps = [step("a.pdf", 9_000_000), step("a.md", 1_000), step("b.md", 100_000)]
    tally = Tally(steps)
    tally.stored(steps[0], 90)
    tally.stored(steps[1], 10)
    assert tally.standing(0, 100.0).left_s is None
    at = tally.standing(50, 105.0)
    assert at.per_second == pytest.approx(10)
    assert at.left_s == pytest.approx((50 + 1000) / 10)


def test_the_rate_follows_the_last_half_minute():
    steps = [step("a.md", 1_000)]
    tally = Tally(steps)
    tally.stored(steps[0], 10_000)
    for second in range(100):
        at = tally.standing(min(second, 50) * 40 + max(0, second - 50) * 10, float(second))
    assert at.per_second == pytest.approx(10)


def test_durations_are_rough():
    told = [duration(seconds) for seconds in (0.2, 12, 54, 58, 61, 3 * 60 + 20, 3600, 2 * 3600 + 130)]
    assert told == ["5 s", "10 s", "55 s", "1 min", "1 min", "3 min", "1 h 0 min", "2 h 2 min"]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Two good files and one that is none, between them in the order of reading."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("# Apples\n\nApples are red.\n")
    (folder / "b.pdf").write_bytes(b"%PDF-1.4 cut off")
    (folder / "c.txt").write_text("Cherries are dark.\n")
    return folder


def command(docs: Path, *flags: str) -> list[str]:
    return citestream("ingest", str(docs), "--data-dir", str(docs.parent / "data"), *flags)


def test_a_terminal_shows_how_far_it_is_and_failures_above(docs):
    terminal = Terminal(command(docs))
    shown = terminal.finish()
    assert terminal.process.returncode == 3
    assert "/3 files" in shown
    assert "reading " in shown
    assert shown.index("failed: ") < shown.rindex("/3 files")
    assert shown.count("failed: ") == 1
    assert "2 added, 1 failed; 2 chunks written in " in shown.split("tidying up")[-1]


def test_elsewhere_there_are_failures_and_the_summary_alone(docs):
    done = subprocess.run(
        command(docs), cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ, "FORCE_COLOR": "1"}
    )
    assert done.returncode == 3
    (failure,) = done.stderr.splitlines()
    assert failure.startswith(f"  failed: {docs}/b.pdf: malformed: ")
    assert done.stdout.startswith("2 added, 1 failed; 2 chunks written in ")
    assert len(done.stdout.splitlines()) == 1


def test_results_for_a_program_come_whole_while_a_person_looks_on(docs):
    """What is drawn goes to stderr, and once took stdout along."""
    read, write = os.pipe()
    terminal = Terminal(command(docs, "--json"), stdout=write)
    os.close(write)
    shown = terminal.finish()
    with os.fdopen(read) as stdout:
        lines = [json.loads(line) for line in stdout]
    assert [line.get("status") for line in lines] == ["added", "failed", "added", None]
    assert lines[-1]["summary"]["failed"] == 1
    assert "/3 files" in shown
    assert "summary" not in shown


def test_nothing_is_drawn_between_the_lines_for_programs(docs):
    shown = Terminal(command(docs, "--json")).finish()
    assert [json.loads(line).get("status") for line in shown.split("\n") if line] == ["added", "failed", "added", None]
