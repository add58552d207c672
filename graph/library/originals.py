"""Originals: files whose pages are shown, kept by their hash in the data folder, as the ones read may change."""

import hashlib
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

FOLDER = "originals"
KEPT_FORMATS = ("pdf",)


def keep(data_dir: Path, sha256: str, file: Path) -> None:
    """Keep a copy of a file, unless it is there, or the file is no longer what it was."""
    with suppress(FileNotFoundError):
        _keep(data_dir, sha256, lambda copy: shutil.copyfile(file, copy))


def keep_bytes(data_dir: Path, sha256: str, data: bytes) -> None:
    """Keep a file that is in memory, if it has that hash."""
    _keep(data_dir, sha256, lambda copy: copy.write_bytes(data))


def _keep(data_dir: Path, sha256: str, write: Callable[[Path], object]) -> None:
    """Put a file in place as a whole, if what is written has the hash."""
    kept = path_of(data_dir, sha256)
    if kept.exists():
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    copy = kept.with_suffix(f".{uuid4().hex}")
    try:
        write(copy)
        with copy.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() == sha256:
                copy.replace(kept)
    finally:
        copy.unlink(missing_ok=True)


def path_of(data_dir: Path, sha256: str) -> Path:
    """Where the file with that hash is, if it is kept."""
    return data_dir / FOLDER / sha256


def forget_others(data_dir: Path, wanted: Collection[str]) -> None:
    """Delete what is kept and has none of the `wanted` hashes."""
    folder = data_dir / FOLDER
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in wanted:
            path.unlink(missing_ok=True)
