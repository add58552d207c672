"""Ctrl-C and a polite kill: what was live stays live, nothing is left running, and another run finishes the work."""

import logging
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from ingest.signals import interruptible
from tests.acceptance.recorder import ACCEPTANCE, Measured, many
from tests.graph.test_kills import PHASES, SLOW, clean_states, ingest, state, state_of_readers, write_documents
from tests.ingest.terminal import Terminal, citestream

SEED = 5
WAYS = ("ctrl-c", "sigterm")
LINE = "citestream: interrupted; what was published stays"


def interrupt(terminal: Terminal, how: str) -> None:
    if how == "ctrl-c":
        terminal.press_ctrl_c()
    else:
        os.kill(terminal.process.pid, signal.SIGTERM)


def check_left_well(terminal: Terminal) -> bool:
    """One clear line and nobody left; False when it had come to its end before."""
    shown = terminal.finish()
    assert "Traceback" not in shown, shown
    assert "Exception" not in shown, shown
    deadline = time.monotonic() + 10
    while terminal.processes():
        assert time.monotonic() < deadline, shown
        time.sleep(0.05)
    if terminal.process.returncode == 130:
        assert shown.count(LINE) == 1, shown
        return True
    # Behind the summary only Python's own end is left, which a signal may cut short.
    assert terminal.process.returncode == 0 or (terminal.process.returncode < 0 and " chunks written in " in shown), (
        shown
    )
    return False


def test_an_interruption_stays_one_whatever_a_library_makes_of_it() -> None:
    """Loading the embedding once made "the embedding does not answer" of it, with another exit code."""

    def load() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt as exc:
            raise ImportError("cannot load") from exc

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interruptible(130):
        load()
    with pytest.raises(ImportError), interruptible(130):
        raise ImportError
    assert signal.getsignal(signal.SIGINT) is handler


def test_libraries_do_not_show_the_traceback_of_an_interruption(caplog: pytest.LogCaptureFixture) -> None:
    """SQLAlchemy logs whatever passes through it while it closes a connection."""
    library = logging.getLogger("sqlalchemy.pool")

    def close() -> None:
        library.warning("before")
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except BaseException:
            library.exception("Exception closing connection")
            raise

    with pytest.raises(KeyboardInterrupt), interruptible(130):
        close()
    library.warning("after")
    assert caplog.messages == ["before", "after"]


def test_a_second_signal_ends_a_command_that_does_not_end(tmp_path: Path) -> None:
    stuck = (
        "import time; from ingest.signals import interruptible\n"
        "with interruptible(130):\n    try:\n        print('ready', flush=True); time.sleep(60)\n"
        "    finally:\n        time.sleep(60)\n"
    )
    terminal = Terminal([sys.executable, "-c", stuck])
    assert terminal.read_until(b"ready")
    began = time.monotonic()
    while terminal.process.poll() is None and time.monotonic() - began < 20:
        terminal.press_ctrl_c()
        time.sleep(0.3)
    terminal.finish()
    assert terminal.process.returncode == 130
    assert 1 < time.monotonic() - began < 20


@pytest.mark.timeout(3000)
@pytest.mark.long
def test_interrupted_at_any_moment_and_run_again_the_index_is_that_of_a_clean_run(
    tmp_path: Path, measured: Measured
) -> None:
    """Ctrl-C and SIGTERM in each phase of an ingest, then again: the same chunks as of a clean run."""
    chance = random.Random(SEED)
    docs = tmp_path / "docs"
    clean = clean_states(tmp_path, docs)
    data_dir, revision = tmp_path / "data", 1
    write_documents(docs, 1)
    ingest(data_dir, docs)
    hits: Counter[str] = Counter()
    phases = PHASES * 20 if ACCEPTANCE else ("embed", "write", "flip")
    for number, phase in enumerate(phases):
        before, revision = clean[revision], 3 - revision
        write_documents(docs, revision)
        arguments = ["ingest", str(docs), "--data-dir", str(data_dir), "--prune"]
        terminal = Terminal([sys.executable, "-c", SLOW, *arguments])
        if terminal.read_until(f"{phase}\r\n".encode(), chance.randint(1, 2)):
            time.sleep(chance.random() * 0.05)
            interrupt(terminal, WAYS[number % len(WAYS)])
        hits[phase] += check_left_well(terminal)
        live = state_of_readers(data_dir)
        assert set(live) <= set(before) | set(clean[revision])
        assert {name.partition(".")[0] for name in live} == {name.partition(".")[0] for name in before}
        ingest(data_dir, docs)
        assert state(data_dir) == clean[revision]
    measured.count = hits.total()
    measured.note(**hits)
    assert all(hits[phase] >= (5 if ACCEPTANCE else 1) for phase in phases), hits


@pytest.mark.timeout(600)
@pytest.mark.long
def test_ctrl_c_between_start_and_end_leaves_no_trace_of_python(tmp_path: Path) -> None:
    """Processes that read files once heard it, too, and showed theirs while they were starting."""
    write_documents(tmp_path / "docs", 1)
    chance = random.Random(SEED)

    def begin(data_dir: str) -> Terminal:
        arguments = ["ingest", str(tmp_path / "docs"), "--data-dir", str(tmp_path / data_dir), "--jobs", "2"]
        terminal = Terminal(citestream(*arguments), TMPDIR=str(tmp_path))
        assert terminal.read_until(b"\x1b")  # Python itself is up, and something is drawn
        return terminal

    whole = begin("whole")
    began = time.monotonic()
    assert whole.read_until(b" chunks written in ")
    seconds = time.monotonic() - began
    whole.finish()
    interrupted, runs = 0, many(6, 60)
    for number in range(runs):
        terminal = begin(f"data{number}")
        time.sleep((number + chance.random()) / runs * seconds)  # one in each part of its time
        terminal.press_ctrl_c()
        interrupted += check_left_well(terminal)
        assert not list(tmp_path.glob("citestream-*"))
    assert interrupted


def test_a_parser_at_work_is_ended_with_the_command(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    os.mkfifo(tmp_path / "pipe")
    (docs / "a.md").write_text("text")
    # A file that becomes a pipe once it was looked at keeps whoever opens it waiting.
    replaced = "import os, sys; from ingest import sync; from citestream.cli import main; real = sync.try_plan\n" + (
        f"def slow(*a):\n    os.replace({str(tmp_path / 'pipe')!r}, {str(docs / 'a.md')!r}); return real(*a)\n"
        "sync.try_plan = slow\nmain()"
    )
    terminal = Terminal([sys.executable, "-c", replaced, "ingest", str(docs), "--dry-run"])
    assert terminal.read_until(b"reading ")
    deadline = time.monotonic() + 20
    while len(terminal.processes()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    terminal.press_ctrl_c()
    assert check_left_well(terminal)
