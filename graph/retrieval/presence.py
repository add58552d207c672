"""Presence: readers hold shared locks on files of the data folder, so that a writer knows whether there are any.

A reader that opens the indexes needs the chunks of the generation it has just asked for, and a writer deletes chunks
that have ended. Where somebody reads, it leaves them for `KEEP_S` seconds. A whole index that has ended it deletes
when nobody has an earlier generation open any more.
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
"""Holds a file for each generation that is open."""


def be_present(data_dir: Path) -> IO[bytes]:
    """Say that this process reads, until the file is closed."""
    return _share(data_dir / FILE_NAME)


def is_anybody_present(data_dir: Path) -> bool:
    """Whether some process reads."""
    return _is_shared(data_dir / FILE_NAME)


def hold_generation(data_dir: Path, generation: int) -> IO[bytes]:
    """Say that the indexes of a generation are open, until the file is closed.

    Whoever finds that it still is the newest one afterwards may open them: none of them is deleted meanwhile.
    """
    return _share(data_dir / FOLDER / str(generation))


def is_held_before(data_dir: Path, generation: int) -> bool:
    """Whether somebody has the indexes of an earlier generation open."""
    return any(_is_shared(path) for path in _files_before(data_dir, generation))


def tidy_up_before(data_dir: Path, generation: int) -> None:
    """Delete the files of earlier generations that nobody has open any more.

    Whoever takes one up just then finds that its generation is not the newest, and leaves it.
    """
    for path in _files_before(data_dir, generation):
        if not _is_shared(path):
            path.unlink(missing_ok=True)


def _files_before(data_dir: Path, generation: int) -> list[Path]:
    folder = data_dir / FOLDER
    return [path for path in folder.glob("[0-9]*") if int(path.name) < generation]


def _share(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab")
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_SH)
    return file


def _is_shared(path: Path) -> bool:
    if fcntl is None:
        return True
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
