"""Parsing: files become documents in processes of their own, so that a bad file costs no more than itself.

A parser may crash, hang, or ask for all memory there is. Its process has limits, is killed and replaced, and the file
is reported. pdfium is not thread-safe either.
"""

import hashlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Self

import structlog

from graph.library import NewVersion
from ingest.chunking import chunk
from ingest.loaders import LOADER_VERSION, Unreadable, load

FILE_SECONDS = 60.0
"""What one file may take; the slowest real one, a PDF of 2,400 pages, took 8."""
MEMORY_BYTES = 1024**3
"""Address space of a parser's process, which has a quarter of it before its first file."""
START_SECONDS = 30.0
"""What a process may take to start, on a machine that is busy."""
FILES_PER_PROCESS = 200
"""After so many files a process is replaced, as parsers leak."""
AHEAD = 2
"""Files that each process may be ahead of what was asked for."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Request:
    """A file to be read: where its bytes are, and what it is known as (NewVersion)."""

    file: Path
    source: str
    path: str

    @property
    def name(self) -> str:
        """The file's name, which tells its format."""
        return Path(self.path).name


@dataclass(frozen=True)
class Refused:
    """Why a file gives no document: a word that programs can switch on, and a sentence for people."""

    reason: str
    detail: str


Outcome = NewVersion | Refused


class Parsers:
    """Processes that read files. Use it as a context manager; one thread at a time."""

    def __init__(self, jobs: int, *, seconds: float = FILE_SECONDS) -> None:
        self._jobs = jobs
        self._seconds = seconds
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()
        self._workers = []

    def parse(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        """The outcome of each request, in order; a few files are read ahead while the caller works."""
        coming = enumerate(requests)
        done: dict[int, Outcome] = {}
        wanted = 0
        more = True
        while True:
            while more and (worker := self._idle(wanted, done)) is not None:
                number, request = next(coming, (-1, None))
                more = request is not None
                if request is not None:
                    worker.begin(number, request, self._seconds)
            if wanted in done:
                yield done.pop(wanted)
                wanted += 1
            elif any(worker.number is not None for worker in self._workers):
                self._collect(done)
            else:
                return

    def _idle(self, wanted: int, done: dict[int, Outcome]) -> "_Worker | None":
        """A process without a file, if another may be read ahead."""
        busy = sum(worker.number is not None for worker in self._workers)
        if len(done) + busy >= AHEAD * self._jobs:
            return None
        for worker in self._workers:
            if worker.number is None:
                return worker
        if len(self._workers) >= self._jobs:
            return None
        self._workers.append(_Worker())
        return self._workers[-1]

    def _collect(self, done: dict[int, Outcome]) -> None:
        """Wait until some process has an outcome, or has had its time."""
        busy = [worker for worker in self._workers if worker.number is not None]
        soonest = min(worker.deadline for worker in busy)
        wait([worker.connection for worker in busy], max(0.0, soonest - time.monotonic()))
        for worker in busy:
            outcome = worker.outcome()
            if outcome is not None and worker.number is not None:
                done[worker.number] = outcome
                worker.number = None


class _Worker:
    """One process at a time, replaced when it has died, hangs, or has read many files."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.deadline = 0.0
        self._seconds = 0.0
        self._start()

    def begin(self, number: int, request: Request, seconds: float) -> None:
        if self._files >= FILES_PER_PROCESS or not self._process.is_alive():
            self._restart()
        self.number, self._seconds = number, seconds
        self.deadline = time.monotonic() + seconds + (START_SECONDS if not self._files else 0)
        self._files += 1
        self.connection.send(request)

    def outcome(self) -> Outcome | None:
        """What came of the file; None while it is read."""
        try:
            # Asked before the clock: while nobody looked, the answer may have been there for long.
            while self.connection.poll():
                received: Outcome | None = self.connection.recv()
                if received is not None:
                    return received
                self.deadline = time.monotonic() + self._seconds  # it has started, and begins only now
        except (EOFError, OSError):
            self._restart()
            return Refused("crashed", "its parser crashed, or wanted more memory than it may have")
        if time.monotonic() < self.deadline:
            return None
        self._restart()
        return Refused("timeout", f"its parser took more than {self._seconds:g} s")

    def stop(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.join()
        self._process.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of other threads
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), name="citestream-parser", daemon=True)
        self._process.start()
        theirs.close()
        self._files = 0

    def _restart(self) -> None:
        self.stop()
        self._start()


def serve(connection: "Connection[Any, Any]") -> None:
    """Read files until the other side is gone: what a parser's process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other side hears it, too, and ends this process
    # Results go to standard output, and parsers print there.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _limit_memory()
    with suppress(EOFError, ConnectionError):
        connection.send(None)
        while True:
            connection.send(read_file(connection.recv()))


def read_file(request: Request) -> Outcome:
    """Load and cut a file. The edge at which whatever goes wrong in one file stops."""
    try:
        return _new_version(request)
    except Unreadable as exc:
        return Refused(exc.reason, exc.detail)
    except OSError as exc:
        return Refused("unreadable", exc.strerror or "it cannot be read")
    except MemoryError:
        return Refused("too-large", f"reading it takes more than {MEMORY_BYTES // 2**20} MB of memory")
    except Exception:
        log.exception("ingest_file_failed", source=request.source)
        return Refused("internal", "an error in citestream; see the log")


def _new_version(request: Request) -> NewVersion:
    info = request.file.stat()
    data = request.file.read_bytes()
    loaded = load(data, request.name)
    return NewVersion(
        source=request.source,
        path=request.path,
        format=loaded.format,
        title=loaded.title,
        lang=loaded.lang,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        mtime_ns=info.st_mtime_ns,
        loader=f"{loaded.format}/{LOADER_VERSION}",
        text=loaded.text,
        chunks=chunk(loaded),
    )


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    with suppress(ValueError, OSError):  # a smaller limit is in force already
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
