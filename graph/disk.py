"""Disk: what SQLite, Chroma and tantivy say when it is full, in one error that says what to do."""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graph.errors import CitestreamError, DiskFull, IndexUnusable

NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
WORDS = ("disk is full", "no space left on device", "disk quota exceeded", "file too large", "storagefull")
"""Chroma, tantivy and SQLite tell it in words alone."""
ROOM_BYTES = 256 * 1024
"""With less, whatever cannot be written is so for want of room: SQLite and tantivy may not know why."""


def says_full(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that a disk is full."""
    return any(_says_full(part) for part in _chain(error))


def _says_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in NUMBERS
    told = str(error).lower()
    return not isinstance(error, CitestreamError) and any(word in told for word in WORDS)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it came from, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


@contextmanager
def disk_of(folder: Path) -> Iterator[None]:
    """Raise DiskFull where something in `folder` goes wrong for want of room, and IndexUnusable where SQLite fails."""
    try:
        yield
    except DiskFull:  # perhaps of another disk
        raise
    except Exception as exc:
        if is_full(exc, folder):
            raise full(folder) from exc
        failed = next((part for part in _chain(exc) if isinstance(part, sqlite3.OperationalError)), None)
        if failed is not None and not isinstance(exc, CitestreamError):
            raise IndexUnusable(
                f"the index in {folder} cannot be used: {failed}. See whether its disk is full or broken and its "
                "files may be written, and run this again: what was published stays."
            ) from exc
        raise


def full(folder: Path) -> DiskFull:
    """What to raise when the disk of a folder is full."""
    return DiskFull(
        f"the disk with {folder} is full. Make room there, and run this again: what was published stays, and the rest "
        "is done then."
    )


def is_full(error: Exception, folder: Path) -> bool:
    """Whether an error is there for want of room on the disk of a folder."""
    if says_full(error):
        return True
    try:
        return not isinstance(error, CitestreamError) and shutil.disk_usage(folder).free < ROOM_BYTES
    except OSError:
        return False
