"""What the library takes in and gives out, and how its ids are made."""

import hashlib
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from graph.errors import IndexMismatch, SourceNotFound
from graph.library.structure import Block

MAX_DIGITS = 12
"""Digits of an offset: more than any text has, less than SQLite's integers."""


@dataclass(frozen=True)
class Chunk:
    """What the index stores: a slice of the canonical text, its page from 1 and its heading path `A > B`."""

    start: int
    end: int
    page: int | None = None
    heading: str = ""


@dataclass(frozen=True)
class NewVersion:
    """A document as just read, ready to be staged.

    `path` is absolute and tells documents apart; `source` is what people see; `sha256` is that of the file;
    `blocks`, from which `chunks` are cut, are ordered and do not overlap.
    """

    source: str
    path: str
    format: str
    title: str
    lang: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    loader: str
    text: str
    chunks: Sequence[Chunk]
    blocks: Sequence[Block] = ()


@dataclass(frozen=True)
class StagedChunk:
    """A chunk with its id and text, as it goes into the index."""

    id: str
    text: str
    chunk: Chunk


@dataclass(frozen=True)
class Collection:
    """A set of documents searched together, bound to one embedding and one chunker."""

    id: str
    name: str
    embedding: str
    chunker: str
    index: str
    """What Chroma and tantivy hold of it; a collection that is rebuilt gets another one."""


@dataclass(frozen=True)
class CollectionInfo:
    """A collection as it is listed."""

    name: str
    documents: int
    chunks: int
    embedding: str


@dataclass(frozen=True)
class Holding:
    """What is live of one format and language in a collection."""

    collection: str
    format: str
    lang: str
    documents: int
    chunks: int
    size_bytes: int
    """Of the files that were read."""


@dataclass(frozen=True)
class KnownDocument:
    """What ingest compares a file with."""

    id: str
    source: str
    path: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    loader: str
    chunks: int


@dataclass(frozen=True)
class Document:
    """A document with a live version."""

    id: str
    source: str
    title: str
    collection: str
    format: str
    lang: str
    sha256: str
    chunks: int
    ingested_at: datetime
    status: str


@dataclass(frozen=True)
class SourceView:
    """A slice of a document with what stands around it."""

    id: str
    document: Document
    version: str
    live: bool
    text: str
    start: int
    end: int
    before: str
    after: str
    page: int | None
    heading: str | None


@dataclass(frozen=True)
class LiveChunk:
    """A chunk of a live version, with the metadata that a passage carries."""

    id: str
    text: str
    start: int
    end: int
    page: int | None
    heading: str
    document: str
    source: str
    title: str
    lang: str
    doc_sha256: str

    @property
    def version(self) -> str:
        """The id of the document's version that it is a slice of."""
        return self.id.rpartition(".")[0]  # asked for hundreds of times a search: the id is not checked again


@dataclass(frozen=True)
class Section:
    """What stands around a slice of a document, of its section and page: `text` from `start` on, and its chunks."""

    start: int
    text: str
    chunks: Sequence[tuple[int, int]]
    """`(start, end)` in the document, in order."""

    def slice(self, start: int, end: int) -> str:
        """The document's text from `start` to `end`, both within the section."""
        return self.text[start - self.start : end - self.start]


def new_collection_id() -> str:
    """The id of a new collection or index: Chroma takes few characters in a name.

    By chance, so that two data folders do not meet in one Chroma server.
    """
    return "c-" + secrets.token_hex(8)


def check_chunker(collection: Collection, chunker: str) -> None:
    """Raise IndexMismatch, naming both, when a collection was cut by another chunker."""
    if collection.chunker != chunker:
        raise IndexMismatch(
            f"the collection {collection.name!r} was cut by the chunker {collection.chunker!r}, "
            f"this one cuts by {chunker!r}. "
            f"Cut it anew with `citestream index rebuild --collection {shlex.quote(collection.name)}`."
        )


def check_embedding(collection: Collection, embedding: str) -> None:
    """Raise IndexMismatch, naming both, when a collection was embedded by another model than the setting's."""
    if collection.embedding != embedding:
        raise IndexMismatch(
            f"the collection {collection.name!r} was embedded by {collection.embedding!r}, the setting says "
            f"{embedding!r}. Set CITESTREAM_EMBEDDING={collection.embedding}, or embed it anew with "
            f"`citestream index rebuild --collection {shlex.quote(collection.name)}`."
        )


def text_hash(text: str) -> bytes:
    """Names a chunk's text, so that no text is embedded twice."""
    return hashlib.sha256(text.encode()).digest()[:16]


def parse_source_id(source_id: str) -> tuple[str, int, int]:
    """`(version id, start, end)` of a source id `<document>.<version>.<start>-<end>`. Raises SourceNotFound."""
    version, _, place = source_id.rpartition(".")
    start, _, end = place.partition("-")
    if not (version and start.isascii() and end.isascii() and start.isdigit() and end.isdigit()):
        raise SourceNotFound(f"{source_id[:80]!r} is no source id; it has the form document.version.start-end.")
    if len(place) > 2 * MAX_DIGITS or int(start) >= int(end):
        raise SourceNotFound(f"{source_id[:80]!r} is no source id: its range is empty.")
    return version, int(start), int(end)
