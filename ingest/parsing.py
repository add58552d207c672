"""Parsing: files become documents in processes of their own, so that a bad file costs no more than itself.

A parser may crash, hang, or ask for all memory there is. Its process has limits, is killed and replaced, and the file
is reported. pdfium is not thread-safe either.
"""

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Pipe, wait
from typing import Self

from graph.errors import CitestreamError
from ingest.reading import Outcome, Refused, Request
from ingest.signals import held_back

FILE_SECONDS = 60.0
"""What one file may take."""
START_SECONDS = 30.0
"""What a process may take to start, on a machine that is busy."""
FILES_PER_PROCESS = 200
"""After so many files a process is replaced, as parsers leak."""
AHEAD = 2
"""Files that each process may be ahead of what was asked for."""

MODULE = "ingest.parser"
"""What such a process runs."""


class ParsersUnavailable(CitestreamError):
    """No process that reads files can be started."""

    code = "internal"


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
            while more and (worker := self._idle(done)) is not None:
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

    def _idle(self, done: dict[int, Outcome]) -> "_Worker | None":
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
        self._ready = False
        self._start()

    def begin(self, number: int, request: Request, seconds: float) -> None:
        if self._files >= FILES_PER_PROCESS or self._process.poll() is not None:
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
                self._ready = True
                self.deadline = time.monotonic() + self._seconds  # it has started, and begins only now
        except (EOFError, OSError) as exc:
            if not self._ready:
                raise ParsersUnavailable(
                    "the process that reads files cannot be started. Its own words stand above; installing citestream "
                    "anew may help."
                ) from exc
            self._restart()
            return Refused("crashed", "its parser crashed, or wanted more memory than it may have")
        if time.monotonic() < self.deadline:
            return None
        self._restart()
        return Refused("timeout", f"its parser took more than {self._seconds:g} s")

    def stop(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        self.connection, theirs = Pipe()
        # A program of its own: a fork would copy the locks of other threads, and multiprocessing's own way of starting
        # one runs the main module again. -P: nothing is imported from the folder in which the command was given.
        command = [sys.executable, "-P", "-m", MODULE, str(theirs.fileno())]
        with held_back():  # it is this process that ends the other one
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self._files = 0
        self._ready = False

    def _restart(self) -> None:
        self.stop()
        self._start()
