"""Sync: make a collection agree with files. First a plan by content hash, then its steps, one file at a time."""

import hashlib
import os
import stat
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from graph.library import KEPT_FORMATS, KnownDocument, keep
from graph.retrieval.writer import IndexWriter
from ingest.archives import BadArchive, Place, Unpacker, is_archive, members
from ingest.loaders import LOADER_VERSION, MAX_BYTES, SNIFF_BYTES, format_of
from ingest.parsing import Parsers
from ingest.reading import Outcome, Refused, Request

PUBLISH_CHUNKS = 500
"""New chunks after which what is done becomes visible, so that a long run can be searched while it goes on."""
READ_BYTES = 1024 * 1024

Status = Literal["added", "changed", "unchanged", "removed", "failed", "skipped"]


@dataclass(frozen=True)
class Found:
    """A file to look at: where it is, and what people call it (the path as given, in POSIX form).

    Of a file in an archive, `path` goes on behind the archive's, and `place` says where it is in there.
    """

    path: Path
    source: str
    place: Place | None = None


@dataclass(frozen=True)
class Step:
    """What is to happen with a file, or what has happened.

    `reason` is a word that programs can switch on, `detail` its sentence for people. `chunks` are those that can
    be searched afterwards, so a file that failed now but was read before has some. `document_id` names the
    document that the file is a version of, when there is one. `place` says where a file is in an archive. A page of the
    web is in `fetched` and has a `url`, which stands for its path, and a `file_name`, which tells its format; one that
    has moved is only removed when the step of the path that it has `moved_to` leaves a document.
    """

    source: str
    path: Path
    status: Status
    reason: str | None = None
    detail: str = ""
    chunks: int | None = None
    document_id: str | None = None
    size_bytes: int = 0
    place: Place | None = None
    fetched: Path | None = None
    url: str = ""
    file_name: str = ""
    moved_to: Path | None = None

    @property
    def is_read(self) -> bool:
        """Whether the file has to be parsed."""
        return self.status in ("added", "changed")

    @property
    def leaves_document(self) -> bool:
        """Whether the file, as it is now, is a document of the collection afterwards."""
        return self.status in ("added", "changed", "unchanged")

    @property
    def is_work(self) -> bool:
        """Whether the index has to be written."""
        return self.status in ("added", "changed", "removed")


class Watcher(Protocol):
    """Who is told what is about to be done."""

    def looked(self, step: Step) -> None:
        """A file was compared with the library."""

    def reading(self, step: Step) -> None:
        """A file is waited for, which is being parsed."""

    def storing(self, step: Step, chunks: int) -> None:
        """A file was parsed, and its chunks are about to be stored."""

    def refused(self, step: Step) -> None:
        """A file cannot be read."""

    def publishing(self) -> None:
        """What was stored is about to become visible."""


def make_plan(
    paths: Sequence[Path],
    known: Iterable[KnownDocument],
    watcher: Watcher,
    *,
    prune: bool = False,
    leave_out: Path | None = None,
    source: str | None = None,
) -> list[Step]:
    """Compare files and folders with the `known` documents of a collection; reads and hashes every file.

    Archives count as folders. `prune` adds the removal of
    documents whose file was in one of the folders and is gone. `leave_out` is a folder not to look into, such as the
    data folder. `source` is what a single file is to be called. Raises FileNotFoundError when one of `paths` does not
    exist.
    """
    documents = Documents(known)
    steps: dict[Path, Step] = {}
    for given in paths:
        for item in _named(walk(given, leave_out), source):
            for step in [item] if isinstance(item, Step) else _plan(item, documents):
                if step.path not in steps:
                    steps[step.path] = step
                    watcher.looked(step)
    planned = list(steps.values())
    if prune:
        folders = [path.resolve() for path in paths if path.is_dir() or is_archive(path)]
        unknown = [step.path for step in planned if step.status == "failed"]
        planned += documents.gone(folders, {step.document_id for step in planned}, unknown)
    return planned


def apply_plan(
    plan: Sequence[Step], writer: IndexWriter, parsers: Parsers, unpacker: Unpacker, watcher: Watcher
) -> Iterator[Step]:
    """Carry out a plan: yields each step as it turned out.

    What was yielded is visible to readers after the next publish, which comes every few hundred chunks and at the
    end. Left early, what was published stays and the rest never becomes visible.
    """
    waiting = 0
    parsed = parsers.parse(_requests(plan, unpacker))
    there: set[Path] = set()
    for step in (_with_successor(step, there) for step in plan):
        outcome = _apply_step(step, writer, parsed, unpacker, watcher)
        if outcome.leaves_document:
            there.add(outcome.path)
        _delete_copy(step, unpacker)
        yield outcome
        if outcome.is_read:
            waiting += outcome.chunks or 0
        if waiting >= PUBLISH_CHUNKS:
            watcher.publishing()
            writer.publish()
            waiting = 0
    watcher.publishing()
    writer.publish()


def try_plan(plan: Sequence[Step], parsers: Parsers, unpacker: Unpacker, watcher: Watcher) -> Iterator[Step]:
    """Say how a plan would turn out: files are read and cut, nothing is written."""
    parsed = parsers.parse(_requests(plan, unpacker))
    there: set[Path] = set()
    for step in (_with_successor(step, there) for step in plan):
        version = _read(step, parsed, watcher) if step.is_read else None
        _delete_copy(step, unpacker)
        if isinstance(version, Refused):
            outcome = _refused(step, version)
        else:
            outcome = step if version is None else replace(step, chunks=len(version.chunks))
        if outcome.leaves_document:
            there.add(outcome.path)
        yield outcome


def walk(given: Path, leave_out: Path | None = None) -> Iterator[Found | Step]:
    """The regular files at or below a path, sorted; folders that cannot be read come as failed steps.

    Hidden files and folders, and symbolic links that lead out of the folder, are passed over. A file that is
    named itself is always taken.
    """
    root = given.resolve(strict=True)
    if not root.is_dir():
        yield Found(root, given.as_posix())
        return
    unreadable: list[OSError] = []
    for folder, names, files in os.walk(root, onerror=unreadable.append):
        here = Path(folder)
        names[:] = sorted(name for name in names if name[0] != "." and here / name != leave_out)
        for name in sorted(files):
            path = here / name
            if name[0] != "." and _is_file_below(path, root):
                yield Found(path.resolve(), (given / path.relative_to(root)).as_posix())
    for error in unreadable:
        path = Path(error.filename)
        source = (given / path.relative_to(root)).as_posix()
        yield _failed(Found(path, source), "unreadable", f"the folder cannot be read ({error.strerror})")


def _named(found: Iterable[Found | Step], source: str | None) -> Iterator[Found | Step]:
    return (item if source is None else replace(item, source=source) for item in found)


def _is_file_below(path: Path, root: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode) and path.resolve(strict=True).is_relative_to(root)
    except PermissionError:  # perhaps a file; whoever reads it will say that it cannot be read
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a link that leads nowhere, or in a circle
        return False


class Documents:
    """The documents of a collection, found by what a file is called and where it is."""

    def __init__(self, known: Iterable[KnownDocument]) -> None:
        self._by_path = {document.path: document for document in known}
        self._by_source = {document.source: document for document in self._by_path.values()}

    def of(self, file: Found) -> KnownDocument | None:
        """The document that a file is a version of: by its place, or by its name when it has moved."""
        here = self._by_path.get(str(file.path))
        if here is not None:
            return here
        named = self._by_source.get(file.source)
        return named if named is not None and _is_gone(Path(named.path)) else None

    def source_of(self, file: Found) -> str:
        """What a file is to be called: as before, or by its whole path where its name is taken."""
        document = self.of(file)
        if document is not None:
            return document.source
        return str(file.path) if file.source in self._by_source else file.source

    def gone(self, folders: Sequence[Path], kept: set[str | None], unknown: Sequence[Path]) -> list[Step]:
        """Removals of the documents below `folders` without a file, except for those `kept` or below `unknown`."""
        return [
            Step(document.source, Path(document.path), "removed", document_id=document.id)
            for document in sorted(self._by_path.values(), key=lambda document: document.source)
            if document.id not in kept
            and any(Path(document.path).is_relative_to(folder) for folder in folders)
            and not any(Path(document.path).is_relative_to(path) for path in unknown)
            and _is_gone(Path(document.path))
        ]


def _is_gone(path: Path) -> bool:
    """Whether there is surely no file; a folder that may not be looked into is no such sign."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _plan(file: Found, documents: Documents) -> Iterator[Step]:
    """What is to happen with a file, or with the files in an archive."""
    if not is_archive(file.path):
        yield _plan_file(file, documents)
        return
    try:
        for member in members(file.path):
            name = member.place.name
            inside = Found(file.path / name, f"{file.source}/{name}", member.place)
            if member.reason:
                yield _failed(inside, member.reason, member.detail)
            else:
                yield _compare(inside, documents, member.size_bytes, member.parts())
    except BadArchive as exc:
        yield _failed(file, exc.reason, exc.detail)
    except OSError as exc:
        yield _failed(file, "unreadable", exc.strerror or "the archive cannot be read")


def _plan_file(file: Found, documents: Documents) -> Step:
    try:
        info = file.path.stat()
        if stat.S_ISREG(info.st_mode):  # to open a pipe would be to wait for its other end
            with file.path.open("rb") as opened:
                return _compare(file, documents, info.st_size, iter(lambda: opened.read(READ_BYTES), b""))
        detail = "not a regular file"
    except OSError as exc:
        detail = exc.strerror or "the file cannot be read"
    named = replace(file, source=documents.source_of(file))
    return _known_as(_failed(named, "unreadable", detail), documents.of(file))


def _compare(file: Found, documents: Documents, size_bytes: int, parts: Iterator[bytes]) -> Step:
    """Look at a file's bytes, as few as are needed. Raises what reading `parts` raises."""
    known = documents.of(file)
    named = replace(file, source=documents.source_of(file))
    return _known_as(_look_at(named, known, size_bytes, parts), known)


def _known_as(step: Step, known: KnownDocument | None) -> Step:
    return step if known is None else replace(step, document_id=known.id, chunks=known.chunks)


def _look_at(file: Found, known: KnownDocument | None, size_bytes: int, parts: Iterator[bytes]) -> Step:
    if not _is_utf8(file.source) or not _is_utf8(str(file.path)):
        return _failed(file, "file-name", "the path is not valid UTF-8; rename the file or its folder")
    head = next(parts, b"")
    if format_of(head[:SNIFF_BYTES], file.path.name) is None:
        return Step(file.source, file.path, "skipped", "unsupported", "no loader for this kind of file")
    digest, read = hashlib.sha256(head), len(head)
    for part in parts if size_bytes <= MAX_BYTES else ():
        digest.update(part)
        read += len(part)
        if read > MAX_BYTES:  # it grows while it is read
            break
    if max(read, size_bytes) > MAX_BYTES:
        return _failed(file, "too-large", f"larger than {MAX_BYTES // 2**20} MB")
    same = known is not None and is_read_as(known, digest.hexdigest())
    status: Status = "added" if known is None else "unchanged" if same else "changed"
    return Step(file.source, file.path, status, size_bytes=read, place=file.place)


def is_read_as(known: KnownDocument, sha256: str) -> bool:
    """Whether a document was read from that content by today's loader: reading it again would change nothing."""
    return known.sha256 == sha256 and known.loader.endswith(f"/{LOADER_VERSION}")


def _failed(file: Found, reason: str, detail: str) -> Step:
    shown = file.source.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return Step(shown, file.path, "failed", reason, detail)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _requests(plan: Sequence[Step], unpacker: Unpacker) -> Iterator[Request]:
    """The files to be read; those in archives are unpacked when their turn has come."""
    for step in plan:
        if step.is_read:
            file = unpacker.unpack(step.place) if step.place else _file(step, unpacker)
            yield Request(file, step.source, step.url or str(step.path), step.file_name)


def _file(step: Step, unpacker: Unpacker) -> Path:
    """Where the bytes of a step are, which were unpacked before if they are in an archive."""
    return unpacker.file(step.place) if step.place else step.fetched or step.path


def _read(step: Step, parsed: Iterator[Outcome], watcher: Watcher) -> Outcome:
    watcher.reading(step)
    version = next(parsed)
    if isinstance(version, Refused):
        watcher.refused(step)
    else:
        watcher.storing(step, len(version.chunks))
    return version


def _apply_step(
    step: Step, writer: IndexWriter, parsed: Iterator[Outcome], unpacker: Unpacker, watcher: Watcher
) -> Step:
    if step.status == "removed" and step.document_id is not None:
        writer.remove(step.document_id)
    if not step.is_read:
        return step
    version = _read(step, parsed, watcher)
    if isinstance(version, Refused):
        return _refused(step, version)
    result = writer.put(version)
    if version.format in KEPT_FORMATS:
        keep(writer.library.data_dir, version.sha256, _file(step, unpacker))
    return replace(step, chunks=result.chunks, document_id=result.document_id)


def _with_successor(step: Step, there: Container[Path]) -> Step:
    """The step, but for what has moved to a place where no document came to be: that stays."""
    lost = step.status == "removed" and step.moved_to is not None and step.moved_to not in there
    return replace(step, status="unchanged") if lost else step


def _refused(step: Step, refused: Refused) -> Step:
    # An empty file is nothing to worry about.
    status: Status = "skipped" if refused.reason == "empty" else "failed"
    return replace(step, status=status, reason=refused.reason, detail=refused.detail)


def _delete_copy(step: Step, unpacker: Unpacker) -> None:
    if step.is_read and step.place is not None:
        unpacker.forget(step.place)
    if step.fetched is not None:
        step.fetched.unlink(missing_ok=True)
