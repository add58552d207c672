"""Tally: how far a run is, how fast, and how long the rest will take. Reckons only; drawing is progress.py's."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ingest.sync import Step

WINDOW_S = 30.0
"""The rate is that of so many seconds: long enough for a lot of chunks, short enough to follow a busy machine."""
TRUSTED_S = 5.0
"""Before, a rate says little, and nothing is told of it."""


@dataclass(frozen=True)
class Standing:
    """Where a run stands. Files and bytes count when all of a file's chunks have their vectors, bytes also in parts."""

    files: int
    size_bytes: float
    chunks: int
    embedding: str | None
    """The file whose chunks come next."""
    per_second: float | None = None
    """Chunks a second of late; None at the beginning."""
    left_s: float | None = None
    """Seconds that the rest will take at that rate; None when nothing can be said."""


@dataclass(frozen=True)
class _Stored:
    source: str
    size_bytes: int
    chunks: int
    last: int
    """Chunks of the run up to and with its last."""


class Tally:
    """Counts the files of a plan as they are read, stored, and get their vectors.

    Embedding is nearly all of a run's time, so the time left is told by chunks: those that wait, and those that files
    not read yet will have, reckoned from what files with the same ending had for each of their bytes.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        work = [step for step in steps if step.is_read]
        self.of_files = len(work)
        self.of_bytes = sum(step.size_bytes for step in work)
        self.given = 0
        """Chunks that were stored."""
        self._unread = Counter[str]()
        for step in work:
            self._unread[_kind(step)] += step.size_bytes
        self._read_bytes, self._read_chunks = Counter[str](), Counter[str]()
        self._waiting: deque[_Stored] = deque()
        self._files = self._bytes = 0
        self._samples: deque[tuple[float, int]] = deque()

    def stored(self, step: Step, chunks: int) -> None:
        """A file has so many chunks, which get their vectors in the order of files."""
        kind = _kind(step)
        self._unread[kind] -= step.size_bytes
        self._read_bytes[kind] += step.size_bytes
        self._read_chunks[kind] += chunks
        self.given += chunks
        self._waiting.append(_Stored(step.source, step.size_bytes, chunks, self.given))

    def refused(self, step: Step) -> None:
        """A file gives no chunks."""
        self._unread[_kind(step)] -= step.size_bytes
        self._files += 1
        self._bytes += step.size_bytes

    def standing(self, ready: int, now_s: float) -> Standing:
        """Where the run stands when `ready` chunks have their vectors; `now_s` grows from call to call."""
        while self._waiting and self._waiting[0].last <= ready:
            done = self._waiting.popleft()
            self._files += 1
            self._bytes += done.size_bytes
        first = self._waiting[0] if self._waiting else None
        part = 0.0
        if first is not None:
            part = first.size_bytes * (ready - first.last + first.chunks) / first.chunks
        per_second = self._rate(ready, now_s)
        return Standing(
            self._files,
            self._bytes + part,
            ready,
            first.source if first else None,
            per_second,
            self._expected(ready) / per_second if per_second and self._read_chunks.total() else None,
        )

    def _rate(self, ready: int, now_s: float) -> float | None:
        self._samples.append((now_s, ready))
        while self._samples[0][0] < now_s - WINDOW_S:
            self._samples.popleft()
        began_s, before = self._samples[0]
        return (ready - before) / (now_s - began_s) if now_s - began_s >= TRUSTED_S else None

    def _expected(self, ready: int) -> float:
        """Chunks that have no vectors yet."""
        overall = self._read_chunks.total() / max(1, self._read_bytes.total())
        unread = 0.0
        for kind, size_bytes in self._unread.items():
            of_kind = self._read_bytes[kind]
            unread += size_bytes * (self._read_chunks[kind] / of_kind if of_kind else overall)
        return self.given - ready + unread


def _kind(step: Step) -> str:
    return PurePath(step.source).suffix.lower()
