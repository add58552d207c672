"""The library: which documents there are, their canonical text, and which version of each is live.

It is the truth about what is indexed; Chroma and tantivy hold what can be searched, under the ids given here. One
SQLite file in the data folder, read by every process and written by the one that holds the writer lock.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from graph.library.originals import KEPT_FORMATS, keep, keep_bytes, path_of
from graph.library.records import (
    Chunk,
    Collection,
    CollectionInfo,
    Document,
    Holding,
    KnownDocument,
    LiveChunk,
    NewVersion,
    Section,
    SourceView,
    StagedChunk,
    check_chunker,
    check_embedding,
    parse_source_id,
    text_hash,
)
from graph.library.structure import Block, Kind

if TYPE_CHECKING:
    from graph.library.reader import FILTER_KEYS, Library, batches, no_collection
    from graph.library.tables import FILE_NAME
    from graph.library.writer import LibraryWriter

_WITH_DATABASE = {
    "FILE_NAME": "tables",
    "FILTER_KEYS": "reader",
    "Library": "reader",
    "LibraryWriter": "writer",
    "batches": "reader",
    "no_collection": "reader",
}
"""Name -> its module, which needs SQLAlchemy: imported when asked for, as a process that reads files never does."""


def __getattr__(name: str) -> Any:
    if name not in _WITH_DATABASE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WITH_DATABASE[name]}"), name)


__all__ = [
    "FILE_NAME",
    "FILTER_KEYS",
    "KEPT_FORMATS",
    "Block",
    "Chunk",
    "Collection",
    "CollectionInfo",
    "Document",
    "Holding",
    "Kind",
    "KnownDocument",
    "Library",
    "LibraryWriter",
    "LiveChunk",
    "NewVersion",
    "Section",
    "SourceView",
    "StagedChunk",
    "batches",
    "check_chunker",
    "check_embedding",
    "keep",
    "keep_bytes",
    "no_collection",
    "parse_source_id",
    "path_of",
    "text_hash",
]
