"""Archives: zip and tar files as folders of documents, within limits."""

import itertools
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

from graph.disk import disk_of
from ingest.loaders import MAX_BYTES

MAX_MEMBERS = 10_000
MAX_UNPACKED_BYTES = 1024**3
"""Of all members of an archive together."""
MAX_PASSED_BYTES = 8 * 1024**3
"""Of those that are too large to be read: to pass over them in a tar file is to unpack them, too."""
MAX_HEADER_BYTES = 1024**2
LONG_NAMES = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip
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
class Place:
    """Where a file is in an archive: as which one of all, and under which path."""

    archive: Path
    number: int
    name: str


@dataclass(frozen=True)
class Member:
    """A file in an archive: its place and size, and its bytes, or why they are not read."""

    place: Place
    size_bytes: int
    opened: IO[bytes] | None
    reason: str = ""
    detail: str = ""

    def parts(self) -> Iterator[bytes]:
        """Its bytes, until the next member is asked for. Raises BadArchive."""
        try:
            while self.opened is not None and (part := self.opened.read(COPY_BYTES)):
                yield part
        except DAMAGED as exc:
            raise _damaged() from exc


def is_archive(path: Path) -> bool:
    """Whether a file is to be looked into; Office documents are zip files, too, but go by other names."""
    return path.name.lower().endswith(SUFFIXES)


def members(archive: Path) -> Iterator[Member]:
    """The files in an archive, one after the other, with the path that each has in it.

    Hidden ones, folders and links are passed over. Raises BadArchive, perhaps behind some members, and OSError.
    """
    total = passed = 0
    opened = _zipped(archive) if archive.name.lower().endswith(".zip") else _tarred(archive)
    try:
        for member in opened:
            if member.place.number >= MAX_MEMBERS:
                raise BadArchive("too-large", f"more than {MAX_MEMBERS:,} files in it")
            name = member.place.name
            parts = PurePosixPath(name.replace("\\", "/")).parts
            if name.startswith("/") or ".." in parts:
                yield replace(member, opened=None, reason="file-name", detail="its path leads out of the archive")
                continue
            if not parts or any(part.startswith(".") for part in parts) or parts[0] == "__MACOSX":
                continue
            named = replace(member, place=replace(member.place, name="/".join(parts)))
            if member.size_bytes > MAX_BYTES:
                passed += member.size_bytes
                named = replace(named, opened=None, reason="too-large", detail=f"larger than {MAX_BYTES // 2**20} MB")
            elif not member.reason:
                total += member.size_bytes
            if total > MAX_UNPACKED_BYTES or passed > MAX_PASSED_BYTES:
                raise BadArchive("too-large", f"more than {MAX_UNPACKED_BYTES // 2**20:,} MB when unpacked")
            yield named
    except DAMAGED as exc:
        raise _damaged() from exc


class Unpacker:
    """Unpacks files of archives into a folder, each when it is asked for, in the order that they have in there.

    None can leave the folder, as they get names of their own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = itertools.count()
        self._archive: Path | None = None
        self._coming: Iterator[Member] = iter(())
        self._files: dict[Place, Path] = {}

    def unpack(self, place: Place) -> Path:
        """Unpack a file, and say where; there is none when the archive has changed. Raises DiskFull."""
        file = self._files[place] = self._folder / str(next(self._names))
        if place.archive != self._archive:
            self._archive, self._coming = place.archive, members(place.archive)
        try:
            for member in self._coming:
                if member.place == place:
                    _write(member, file)
                    break
        except (BadArchive, OSError):
            file.unlink(missing_ok=True)
        return file

    def file(self, place: Place) -> Path:
        """Where a file is that was unpacked."""
        return self._files[place]

    def forget(self, place: Place) -> None:
        """Delete a file that was unpacked."""
        self._files.pop(place).unlink(missing_ok=True)


def _write(member: Member, file: Path) -> None:
    # The folder goes with this process; its disk is named by the one above.
    with disk_of(file.parent.parent), file.open("wb") as written:
        for part in member.parts():
            written.write(part)


def _damaged() -> BadArchive:
    return BadArchive("malformed", "the archive is damaged, or cut off")


class _Header(tarfile.TarInfo):
    """A header of a tar file. Long names are in members of their own, which tarfile reads into memory at once.

    A file of 7 MB took 3 GB that way.
    """

    def _proc_member(self, opened: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in LONG_NAMES and self.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header is too large")
        # The place that tarfile leaves for subclasses; its types do not name it.
        return super()._proc_member(opened)  # type: ignore[misc,no-any-return]


def _zipped(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        files = (info for info in opened.infolist() if not info.is_dir())
        for number, info in enumerate(files):
            place = Place(archive, number, info.filename)
            if info.flag_bits & 1:
                yield Member(place, 0, None, "encrypted", "it needs a password")
                continue
            with opened.open(info) as member:
                yield Member(place, info.file_size, member)


def _tarred(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive, "r|*", tarinfo=_Header) as opened:
        files = ((info, opened.extractfile(info)) for info in opened if info.isreg())
        for number, (info, member) in enumerate(files):
            yield Member(Place(archive, number, info.name), info.size, member)
