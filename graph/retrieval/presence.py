"""Presence: readers hold shared locks on files of the data folder, so that a writer knows whether there are any.

A reader that opens the indexes needs the chunks of the generation it has just asked for, and a writer deletes chunks
that have ended. Where somebody reads, it leaves them for `KEEP_S` seconds. A whole index that has ended it deletes
when nobody has it open any more.
"""

from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: whoever writes takes it that somebody reads
    fcntl = None  # type: ignore[assignment]

KEEP_S = 3.0
"""How long chunks stay in the indexes after they have ended; a view that took longer to open is opened again."""
FILE_NAME = "readers.lock"
FOLDER = "readers"
"""Holds a file for each index."""


def be_present(data_dir: Path) -> IO[bytes]:
    """Say that this process reads, until the file is closed."""
    return _share(data_dir / FILE_NAME)


def is_anybody_present(data_dir: Path) -> bool:
    """Whether some process reads."""
    return _is_shared(data_dir / FILE_NAME)


def use_index(data_dir: Path, index: str) -> IO[bytes]:
    """Say that an index is open, until the file is closed."""
    return _share(data_dir / FOLDER / index)


def is_index_used(data_dir: Path, index: str) -> bool:
    """Whether somebody has an index open."""
    return _is_shared(data_dir / FOLDER / index)


def forget_index_use(data_dir: Path, index: str) -> None:
    """Delete what tells whether an index is open."""
    (data_dir / FOLDER / index).unlink(missing_ok=True)


def _share(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab")
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_SH)
    return file


def _is_shared(path: Path) -> bool:
    if fcntl is None:
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
