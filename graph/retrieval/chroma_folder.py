"""The folder that Chroma keeps vectors in: one process at a time changes it, and a kill leaves it whole.

Chroma 1.5 collects changes in its log, a table of SQLite, and writes every 1,000 of them into the files of an HNSW
graph. Three things about that are not as a folder with one writer and many readers needs them:

- Whoever opens a collection takes up the log, also to read, and writes the files when the log is long enough. Two
  processes have different graphs in memory, and what one leaves of the other's files is a mixture: here a collection of
  11,000 vectors had a `link_lists.bin` of 2.7 TB, and opening one of 3,400 ended the process. So whatever may write
  the files happens under a lock, and the first look at a collection is one of these.
- The files are changed in place, and a process that dies meanwhile leaves halves. So there is a copy of them as they
  were written last. Chroma writes the graph, then the names (`index_metadata.pickle`), then notes in SQLite that so
  much of the log is in them: with whole names the files are whole, and otherwise the copy and the log have everything.
- Readers of the SQLite file wait while it is written, unless it has a write-ahead log (p95 of a search beside a writer:
  195 ms without, 24 ms with one; idle 24 ms).

SQLite's locks belong to a process, and closing a file gives all of them up: nothing here opens Chroma's SQLite file in
a process that may have it open through Chroma.
"""

import pickletools
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import filelock

from graph.errors import IndexUnusable

FOLDER = "chroma"
COPIES = "chroma-copies"
LOCK, TURN = "chroma.lock", "chroma-turn.lock"
"""The lock, and one that whoever waits for it holds: a process that writes lot after lot lets others in between."""
POLL_S = 0.01
WAIT_S = 120.0
"""How long another process may take: opening 100,000 vectors takes some seconds."""
DATABASE = "chroma.sqlite3"
HEADER, ELEMENTS, LENGTHS, LINKS, NAMES = FILES = (
    "header.bin",
    "data_level0.bin",
    "length.bin",
    "link_lists.bin",
    "index_metadata.pickle",
)
"""Of a graph; the last one is there once vectors have been written."""
HEADER_LAYOUT = struct.Struct("<iQQQQQQiIQQQdQ")
"""hnswlib's: version, offset, capacity, elements, bytes of an element, offsets of label and vector, levels, entry,
three numbers of neighbours (the first is that of the upper levels), and two more."""
MAX_LEVELS = 64
ASK = "import sqlite3, sys; print(*(row[0] for row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2], sys.argv[3:])))"


class ChromaFolder:
    """The folder of one data folder, as one user of it has it; threads may share it."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FOLDER
        self._copies = data_dir / COPIES
        self._lock = filelock.FileLock(data_dir / LOCK, poll_interval=POLL_S)
        self._damaged: dict[str, str] = {}
        """What is wrong with the files of a graph, by its name."""
        self._turn = filelock.FileLock(data_dir / TURN, poll_interval=POLL_S)

    def prepare(self) -> None:
        """Make the SQLite file with a write-ahead log, where there is none yet."""
        if not (self.path / DATABASE).exists():
            self.path.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path / DATABASE)) as database:
                database.execute("PRAGMA journal_mode = wal")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other process or thread change the files meanwhile; may be nested.

        Raises IndexUnusable when another process goes on for longer than `WAIT_S` seconds.
        """
        if self._lock.is_locked:  # by this thread
            yield
            return
        try:
            with self._turn.acquire(timeout=WAIT_S):
                held = self._lock.acquire(timeout=WAIT_S)
        except filelock.Timeout:
            raise IndexUnusable(
                f"another process has been changing {self.path} for {WAIT_S:.0f} s. See whether it still works, end it "
                "if not, and try again; nothing is lost."
            ) from None
        with held:
            yield

    def mend(self) -> None:
        """Undo what a process that died did to files that it had not written to the end. Hold `alone`."""
        for files in self._graphs():
            copy = self._copies / files.name
            if not copy.is_dir():
                if not _is_complete(files / NAMES) and not self._is_noted(files.name):
                    (files / NAMES).unlink()  # Chroma begins anew, as the log has everything
            elif not _are_same(copy, files) and (
                _is_same(copy / NAMES, files / NAMES) or not _is_complete(files / NAMES)
            ):
                for name in FILES:
                    if not _is_same(copy / name, files / name):
                        shutil.copy2(copy / name, files / name)

    def keep(self) -> None:
        """Copy files that were written since they were copied last. Hold `alone`. Damaged ones are left out."""
        self._damaged = {}
        for files in self._graphs():
            copy = self._copies / files.name
            if copy.is_dir() and _are_same(copy, files):
                continue
            if trouble := _trouble(files, known=copy.is_dir()):
                self._damaged[files.name] = trouble
            else:
                _replace(copy, files)

    def check(self, collection: UUID) -> None:
        """Raise IndexUnusable when `keep` found that a collection's files cannot be what Chroma wrote."""
        if not self._damaged:
            return
        query = "SELECT id FROM segments WHERE collection = ? AND scope = 'VECTOR'"
        for segment in self._ask(query, str(collection)):
            if trouble := self._damaged.get(segment):
                raise IndexUnusable(
                    f"the vectors in {self.path / segment} are damaged: {trouble}. Run `citestream index rebuild`, "
                    "which makes them anew from the documents' texts."
                )

    def delete_left_behind(self) -> None:
        """Delete files of vectors that belong to no collection: Chroma 1.5 leaves them when it deletes one."""
        used = self._ask("SELECT id FROM segments")
        for folder in (self.path, self._copies):
            for path in folder.iterdir() if folder.is_dir() else ():
                if path.is_dir() and path.name not in used:
                    shutil.rmtree(path, ignore_errors=True)

    def _is_noted(self, segment: str) -> bool:
        """Whether Chroma has ever written a graph to the end, and forgotten what of the log is in it."""
        return self._ask("SELECT seq_id FROM max_seq_id WHERE segment_id = ?", segment) != []

    def _ask(self, query: str, *parameters: str) -> list[str]:
        """The first column of a query to Chroma's SQLite, by another process, which has locks of its own."""
        command = [sys.executable, "-I", "-c", ASK, str(self.path / DATABASE), query, *parameters]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()  # noqa: S603

    def _graphs(self) -> list[Path]:
        """The folders of all collections whose vectors have been written, and are not in the log alone."""
        return [path for path in self.path.iterdir() if (path / NAMES).exists()]


def _replace(copy: Path, files: Path) -> None:
    """At any moment there is the earlier copy, the new one, or none while the files are whole."""
    part, before = copy.with_suffix(".part"), copy.with_suffix(".before")
    for path in (part, before):
        shutil.rmtree(path, ignore_errors=True)
    part.mkdir(parents=True)
    for name in FILES:
        shutil.copy2(files / name, part / name)
    if copy.is_dir():
        copy.rename(before)
    part.rename(copy)
    shutil.rmtree(before, ignore_errors=True)


def _are_same(copy: Path, files: Path) -> bool:
    return all(_is_same(copy / name, files / name) for name in FILES)


def _is_same(one: Path, other: Path) -> bool:
    """By size and time."""
    try:
        mine, its = one.stat(), other.stat()
    except FileNotFoundError:
        return False
    return (mine.st_size, mine.st_mtime_ns) == (its.st_size, its.st_mtime_ns)


def _is_complete(names: Path) -> bool:
    """Whether they were written to the end; they are read without making anything of what is in them."""
    try:
        return all(True for _ in pickletools.genops(names.read_bytes()))
    except ValueError:
        return False


def _trouble(files: Path, *, known: bool) -> str | None:
    """What is wrong with the sizes of a graph's files; hnswlib trusts them, and reads beyond their end.

    Of files that are not `known` the names are looked through as well; `mend` has done so where there is a copy.
    """
    if not known and not _is_complete(files / NAMES):
        return f"{NAMES} is cut off"
    try:
        _, _, _, elements, size, _, _, _, _, neighbours, *_ = HEADER_LAYOUT.unpack((files / HEADER).read_bytes())
    except (OSError, struct.error):
        return f"{HEADER} cannot be read"
    if not all((files / name).exists() for name in (ELEMENTS, LENGTHS, LINKS)):
        return "a file is missing"
    if (files / ELEMENTS).stat().st_size < elements * size:
        return f"{ELEMENTS} is too short for {elements:,} vectors"
    level, links = 4 * (neighbours + 1), (files / LINKS).stat().st_size
    if links > elements * (4 + MAX_LEVELS * level):
        return f"{LINKS} has {links:,} bytes for {elements:,} vectors"
    lists, at = (files / LINKS).read_bytes(), 0
    for _ in range(elements):
        if at + 4 > links:
            return f"{LINKS} ends too early"
        (length,) = struct.unpack_from("<I", lists, at)
        if length % level:
            return f"{LINKS} is no list of neighbours"
        at += 4 + length
    return None if at == links else f"{LINKS} has {links:,} bytes, and {at:,} are told of"
