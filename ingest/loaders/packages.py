"""Packages: the zip files that Office documents and e-books are, opened with care."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from ingest.loaders import Unreadable

MAX_INFLATED_BYTES = 128 * 1024 * 1024
"""What the parts of one document may hold together when unpacked."""
MAX_PARTS = 20_000
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How files of Office before 2007 begin, and today's when they are encrypted."""
DOCTYPE = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
PROLOG_BYTES = 4096
XML = (".xml", ".rels")

log = structlog.get_logger(__name__)


@contextmanager
def open_package(data: bytes, required: str) -> Iterator[zipfile.ZipFile]:
    """The zip file in `data`, which has the part `required`. Raises Unreadable for anything that is not sound.

    Sizes are judged before anything is unpacked; Python's zipfile never gives more than the size that is declared.
    XML that brings a document type is refused: no program writes such parts, and entities can grow without end.
    """
    if data.startswith(OLE):
        raise Unreadable("encrypted", "encrypted, or of a version before 2007; save it anew without a password")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            _check(package, required)
            yield package
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError) as exc:
        raise Unreadable("malformed", "the file is damaged, or cut off") from exc


@contextmanager
def foreign_parser(what: str) -> Iterator[None]:
    """Take any error of a library that reads foreign bytes for what it nearly always is: a file that is not sound."""
    try:
        yield
    except (Unreadable, MemoryError):
        raise
    except Exception as exc:
        log.info("document_malformed", expected=what, exc_info=True)
        raise Unreadable("malformed", f"not {what} that can be opened") from exc


def _check(package: zipfile.ZipFile, required: str) -> None:
    parts = package.infolist()
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_INFLATED_BYTES:
        raise Unreadable("too-large", f"more than {MAX_INFLATED_BYTES // 2**20} MB when unpacked")
    if required not in package.namelist():
        raise Unreadable("malformed", f"{required} is missing in the file")
    if any(part.flag_bits & 1 for part in parts):
        raise Unreadable("encrypted", "the file needs a password; save it without one")
    for part in parts:
        if part.filename.lower().endswith(XML):
            with package.open(part) as opened:
                if DOCTYPE.search(opened.read(PROLOG_BYTES)):
                    raise Unreadable("malformed", "the file holds XML that no program of this format writes")
