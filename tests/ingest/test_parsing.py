"""Files that crash, hang or eat memory cost themselves, and nothing else."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graph.library import NewVersion
from ingest import parser, parsing, reading
from ingest.parsing import Parsers
from ingest.reading import Refused, Request, read_file

# What the processes of these tests run in place of the loaders; they import this file.
DEEDS = {
    "hang": lambda: time.sleep(60),
    "crash": lambda: os.abort(),
    "leave": lambda: os._exit(0),
    "eat": lambda: bytearray(8 * 1024**3),
    "print": lambda: sys.stdout.write("noise") and sys.stdout.flush(),
}


def request(path: Path) -> Request:
    return Request(path, path.name, str(path))


def run_badly(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Let parsers' processes run this file instead of theirs."""
    monkeypatch.setattr(parsing, "MODULE", module)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def serve_badly() -> None:
    """As the real one, but a file may hold the name of a deed."""
    real, load = reading.read_file, reading.load

    def read(request: Request):
        deed = DEEDS.get(request.file.read_text())
        reading.load = load if deed is None else lambda *_: deed()
        return real(request)

    reading.read_file = read
    parser.main()


@pytest.fixture
def files(tmp_path: Path):
    def write(*texts: str) -> list[Request]:
        made = []
        for number, text in enumerate(texts):
            path = tmp_path / f"{number}.txt"
            path.write_text(text)
            made.append(request(path))
        return made

    return write


def told(outcomes) -> list[str]:
    return [outcome.reason if isinstance(outcome, Refused) else outcome.text for outcome in outcomes]


def test_outcomes_come_in_order_from_several_processes(files):
    texts = [f"text {number} " * (500 if number % 3 else 1) for number in range(30)]
    with Parsers(3) as parsers:
        assert told(parsers.parse(files(*texts))) == texts
        assert told(parsers.parse(files("", "more"))) == ["empty", "more"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_that_hangs_crashes_or_eats_memory_costs_only_itself(files, monkeypatch, jobs):
    run_badly(monkeypatch, __name__)
    requests = files("one", "hang", "two", "crash", "leave", "three", "eat", "four")
    with Parsers(jobs, seconds=2) as parsers:
        assert told(parsers.parse(requests)) == [
            "one", "timeout", "two", "crashed", "crashed", "three", "too-large", "four",
        ]  # fmt: skip


def test_what_a_parser_prints_does_not_get_into_the_results(files, monkeypatch, capfd):
    run_badly(monkeypatch, __name__)
    with Parsers(1) as parsers:
        assert told(parsers.parse(files("print"))) == ["internal"]
    assert capfd.readouterr().out == ""


def test_a_process_is_replaced_after_many_files(files, monkeypatch):
    monkeypatch.setattr(parsing, "FILES_PER_PROCESS", 2)
    with Parsers(1) as parsers:
        processes = set()
        for _ in parsers.parse(files(*"abcdef")):
            processes.add(parsers._workers[0]._process.pid)
    assert len(processes) >= 3


def test_a_file_that_goes_away_or_makes_the_loader_fail_is_refused(tmp_path, monkeypatch):
    assert read_file(request(tmp_path / "gone.md")).reason == "unreadable"
    (tmp_path / "a.md").write_text("x")
    monkeypatch.setattr(reading, "load", lambda *_: 1 / 0)
    refused = read_file(request(tmp_path / "a.md"))
    assert (refused.reason, refused.detail) == ("internal", "an error in citestream; see the log")


def test_a_file_becomes_a_version_with_its_hash_and_chunks(tmp_path):
    (tmp_path / "a.md").write_text("# A\n\nwords")
    version = read_file(request(tmp_path / "a.md"))
    assert isinstance(version, NewVersion)
    assert (version.title, version.format, version.size_bytes, len(version.chunks)) == ("A", "markdown", 10, 1)


def test_parsers_that_cannot_be_started_end_the_run(files, monkeypatch):
    monkeypatch.setattr(parsing, "MODULE", "ingest.no_such_module")
    with Parsers(1) as parsers, pytest.raises(parsing.ParsersUnavailable):
        told(parsers.parse(files("one")))


def test_a_process_that_reads_files_starts_light():
    """SQLAlchemy and structlog, of which it needs neither, took five times as long to load as all else."""
    heavy = "import sys, ingest.parser; print({'sqlalchemy', 'structlog'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True).stdout == "set()\n"


if __name__ == "__main__":
    serve_badly()
