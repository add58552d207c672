"""Sync: make a collection agree with files. First a plan by content hash, then its steps, one file at a time."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from graph.library import KEPT_FORMATS, KnownDocument, keep
from graph.retrieval.writer import IndexWriter
from ingest.archives import BadArchive, is_archive, unpack
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

    Of a file in an archive, `path` goes on behind the archive's, and its bytes are in `unpacked`.
    """

    path: Path
    source: str
    unpacked: Path | None = None

    @property
    def file(self) -> Path:
        """Where its bytes are."""
        return self.unpacked or self.path


@dataclass(frozen=True)
class Step:
    """What is to happen with a file, or what has happened.

    `reason` is a word that programs can switch on, `detail` its sentence for people. `chunks` are those that can
    be searched afterwards, so a file that failed now but was read before has some. `document_id` names the
    document that the file is a version of, when there is one. A page of the web is in `unpacked` and has a `url`, which
    stands for its path, and a `file_name`, which tells its format.
    """

    source: str
    path: Path
    status: Status
    reason: str | None = None
    detail: str = ""
    chunks: int | None = None
    document_id: str | None = None
    size_bytes: int = 0
    unpacked: Path | None = None
    url: str = ""
    file_name: str = ""

    @property
    def is_read(self) -> bool:
        """Whether the file has to be parsed."""
        return self.status in ("added", "changed")

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
    spool: Path,
    watcher: Watcher,
    *,
    prune: bool = False,
    leave_out: Path | None = None,
    source: str | None = None,
) -> list[Step]:
    """Compare files and folders with the `known` documents of a collection; reads and hashes every file.

    Archives count as folders; what is new in them is unpacked into the folder `spool`. `prune` adds the removal of
    documents whose file was in one of the folders and is gone. `leave_out` is a folder not to look into, such as the
    data folder. `source` is what a single file is to be called. Raises FileNotFoundError when one of `paths` does not
    exist.
    """
    documents = Documents(known)
    steps: dict[Path, Step] = {}
    for given in paths:
        for item in _with_members(_named(walk(given, leave_out), source), spool):
            if item.path not in steps:
                steps[item.path] = item if isinstance(item, Step) else _plan_file(item, documents)
                watcher.looked(steps[item.path])
    planned = list(steps.values())
    if prune:
        folders = [path.resolve() for path in paths if path.is_dir() or is_archive(path)]
        unknown = [step.path for step in planned if step.status == "failed"]
        planned += documents.gone(folders, {step.document_id for step in planned}, unknown)
    return planned


def apply_plan(plan: Sequence[Step], writer: IndexWriter, parsers: Parsers, watcher: Watcher) -> Iterator[Step]:
    """Carry out a plan: yields each step as it turned out.

    What was yielded is visible to readers after the next publish, which comes every few hundred chunks and at the
    end. Left early, what was published stays and the rest never becomes visible.
    """
    waiting = 0
    parsed = parsers.parse(_requests(plan))
    for step in plan:
        outcome = _apply_step(step, writer, parsed, watcher)
        _delete_unpacked(step)
        yield outcome
        if outcome.is_read:
            waiting += outcome.chunks or 0
        if waiting >= PUBLISH_CHUNKS:
            watcher.publishing()
            writer.publish()
            waiting = 0
    watcher.publishing()
    writer.publish()


def try_plan(plan: Sequence[Step], parsers: Parsers, watcher: Watcher) -> Iterator[Step]:
    """Say how a plan would turn out: files are read and cut, nothing is written."""
    parsed = parsers.parse(_requests(plan))
    for step in plan:
        version = _read(step, parsed, watcher) if step.is_read else None
        if isinstance(version, Refused):
            yield _refused(step, version)
        else:
            yield step if version is None else replace(step, chunks=len(version.chunks))


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


def _with_members(found: Iterable[Found | Step], spool: Path) -> Iterator[Found | Step]:
    """The files, with those in archives in place of the archives."""
    for item in found:
        if isinstance(item, Step) or not is_archive(item.path):
            yield item
            continue
        folder = spool / hashlib.sha256(str(item.path).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        folder.mkdir(exist_ok=True)
        try:
            for member in unpack(item.path, folder):
                inside = Found(item.path / member.name, f"{item.source}/{member.name}", member.file)
                yield inside if member.file else _failed(inside, member.reason, member.detail)
        except BadArchive as exc:
            yield _failed(item, exc.reason, exc.detail)
        except OSError as exc:
            yield _failed(item, "unreadable", exc.strerror or "the archive cannot be read")


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


def _plan_file(file: Found, documents: Documents) -> Step:
    known = documents.of(file)
    named = replace(file, source=documents.source_of(file))
    step = replace(_look_at(named, known), unpacked=file.unpacked)
    if not step.is_read:
        _delete_unpacked(step)
    if known is None:
        return step
    return replace(step, document_id=known.id, chunks=known.chunks)


def _look_at(file: Found, known: KnownDocument | None) -> Step:
    try:
        info = file.file.stat()
        if not stat.S_ISREG(info.st_mode):  # to open a pipe would be to wait for its other end
            return _failed(file, "unreadable", "not a regular file")
        size_bytes = info.st_size
        with file.file.open("rb") as opened:
            head = opened.read(SNIFF_BYTES)
            if not _is_utf8(file.source) or not _is_utf8(str(file.path)):
                return _failed(file, "file-name", "the path is not valid UTF-8; rename the file or its folder")
            if format_of(head, file.path.name) is None:
                return Step(file.source, file.path, "skipped", "unsupported", "no loader for this kind of file")
            if size_bytes > MAX_BYTES:
                return _failed(file, "too-large", f"larger than {MAX_BYTES // 2**20} MB")
            opened.seek(0)
            sha256 = _hash(iter(lambda: opened.read(READ_BYTES), b""))
    except OSError as exc:
        return _failed(file, "unreadable", exc.strerror or "the file cannot be read")
    if known is None:
        return Step(file.source, file.path, "added", size_bytes=size_bytes)
    status: Status = "unchanged" if is_read_as(known, sha256) else "changed"
    return Step(file.source, file.path, status, size_bytes=size_bytes)


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


def _hash(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _requests(plan: Sequence[Step]) -> Iterator[Request]:
    return (
        Request(step.unpacked or step.path, step.source, step.url or str(step.path), step.file_name)
        for step in plan
        if step.is_read
    )


def _read(step: Step, parsed: Iterator[Outcome], watcher: Watcher) -> Outcome:
    watcher.reading(step)
    version = next(parsed)
    if isinstance(version, Refused):
        watcher.refused(step)
    else:
        watcher.storing(step, len(version.chunks))
    return version


def _apply_step(step: Step, writer: IndexWriter, parsed: Iterator[Outcome], watcher: Watcher) -> Step:
    if step.status == "removed" and step.document_id is not None:
        writer.remove(step.document_id)
    if not step.is_read:
        return step
    version = _read(step, parsed, watcher)
    if isinstance(version, Refused):
        return _refused(step, version)
    result = writer.put(version)
    if version.format in KEPT_FORMATS:
        keep(writer.library.data_dir, version.sha256, step.unpacked or step.path)
    return replace(step, chunks=result.chunks, document_id=result.document_id)


def _refused(step: Step, refused: Refused) -> Step:
    # An empty file is nothing to worry about.
    status: Status = "skipped" if refused.reason == "empty" else "failed"
    return replace(step, status=status, reason=refused.reason, detail=refused.detail)


def _delete_unpacked(step: Step) -> None:
    if step.unpacked is not None:
        step.unpacked.unlink(missing_ok=True)
