"""Texts that come as rows, not as files, taken in as the ingest command takes in files."""

import hashlib
from collections.abc import Sequence

from citestream.evaluate.questions import Row
from graph.library import NewVersion
from graph.retrieval.writer import open_writer
from graph.settings import Settings
from ingest.chunking import CHUNKER, chunk
from ingest.loaders import LOADER_VERSION, load


def index_rows(settings: Settings, collection: str, rows: Sequence[Row]) -> int:
    """Make each row a document whose source is its id; returns the number of chunks. Raises CitestreamError."""
    chunks = 0
    with open_writer(settings) as writer:
        writer.begin(collection, chunker=CHUNKER)
        for row in rows:
            chunks += writer.put(_version(row)).chunks
        writer.publish()
    return chunks


def _version(row: Row) -> NewVersion:
    data = row.text.encode()
    loaded = load(data, "row.txt")
    return NewVersion(
        source=row.id,
        path=f"/{row.id}",
        format=loaded.format,
        title=row.title,
        lang=loaded.lang,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        mtime_ns=0,
        loader=f"{loaded.format}/{LOADER_VERSION}",
        text=loaded.text,
        chunks=chunk(loaded),
        blocks=loaded.blocks,
    )
