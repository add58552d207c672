"""Archives: zip and tar files as folders of documents, within limits."""

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from ingest.loaders import MAX_BYTES

MAX_MEMBERS = 10_000
MAX_UNPACKED_BYTES = 1024**3
"""Of all members of an archive together."""
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError,
    RuntimeError, ValueError,
)  # fmt: skip
COPY_BYTES = 1024 * 1024


class BadArchive(Exception):
    """An archive that cannot be read, or not to its end: a word for programs and a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Member:
    """A file in an archive: its path there, and where it was unpacked to, or why it was not."""

    name: str
    file: Path | None
    reason: str = ""
    detail: str = ""


def is_archive(path: Path) -> bool:
    """Whether a file is to be looked into; Office documents are zip files, too, but go by other names."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path) -> Iterator[Member]:
    """The members of an archive, one after the other; each is unpacked into a new file of `folder`.

    Hidden members, folders and links are passed over, and none can leave `folder`, as the files get names of their
    own. Raises BadArchive, perhaps behind some members, and OSError.
    """
    members = _zipped(archive) if archive.name.lower().endswith(".zip") else _tarred(archive)
    total = 0
    try:
        for number, (name, size, opened) in enumerate(members):
            if number >= MAX_MEMBERS:
                raise BadArchive("too-large", f"more than {MAX_MEMBERS:,} files in it")
            parts = PurePosixPath(name.replace("\\", "/")).parts
            if name.startswith("/") or ".." in parts:
                yield Member(name, None, "file-name", "its path leads out of the archive")
                continue
            if not parts or any(part.startswith(".") for part in parts) or parts[0] == "__MACOSX":
                continue
            if isinstance(opened, Member):
                yield opened
            elif size > MAX_BYTES:
                yield Member(name, None, "too-large", f"larger than {MAX_BYTES // 2**20} MB")
            else:
                file = folder / str(number)
                total += _copy(opened, file, MAX_UNPACKED_BYTES - total)
                yield Member("/".join(parts), file)
    except DAMAGED as exc:
        raise BadArchive("malformed", "the archive is damaged, or cut off") from exc


def _zipped(archive: Path) -> Iterator[tuple[str, int, IO[bytes] | Member]]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            if info.is_dir():
                continue
            if info.flag_bits & 1:
                yield info.filename, 0, Member(info.filename, None, "encrypted", "it needs a password")
                continue
            with opened.open(info) as member:
                yield info.filename, info.file_size, member


def _tarred(archive: Path) -> Iterator[tuple[str, int, IO[bytes] | Member]]:
    with tarfile.open(archive, "r|*") as opened:
        for info in opened:
            member = opened.extractfile(info) if info.isreg() else None
            if member is not None:
                yield info.name, info.size, member


def _copy(member: IO[bytes], file: Path, room: int) -> int:
    """Unpack a member, and say how large it is."""
    size = 0
    with file.open("wb") as written:
        while part := member.read(COPY_BYTES):
            size += len(part)
            if size > room:
                raise BadArchive("too-large", f"more than {MAX_UNPACKED_BYTES // 2**20:,} MB when unpacked")
            written.write(part)
    return size
