"""Presence: readers hold a shared lock on a file of the data folder, so that a writer knows whether there are any.

A reader that opens the indexes needs the chunks of the generation it has just asked for, and a writer deletes chunks
that have ended. Where somebody reads, it leaves them for `KEEP_S` seconds.
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


def be_present(data_dir: Path) -> IO[bytes]:
    """Say that this process reads, until the file is closed."""
    data_dir.mkdir(parents=True, exist_ok=True)
    file = (data_dir / FILE_NAME).open("ab")
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_SH)
    return file


def is_anybody_present(data_dir: Path) -> bool:
    """Whether some process reads."""
    if fcntl is None:
        return True
    with (data_dir / FILE_NAME).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
