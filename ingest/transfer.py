"""Transfer: a collection as one file, with texts, chunks and vectors, and back, without embedding anything again.

The file is a zip file: `collection.json`, for each document `documents/<number>.json` (a NewVersion) and
`vectors/<number>.f32` (a vector of 32-bit numbers, little-endian, for each chunk), and `originals/<sha256>`.
"""

import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from graph.errors import IndexMismatch, TransferUnreadable
from graph.library import Collection, NewVersion, path_of
from graph.retrieval.writer import IndexWriter

FORMAT = 1
MAX_PART_BYTES = 512 * 1024 * 1024
FLOAT = np.dtype("<f4")
_VERSION = TypeAdapter(NewVersion)


class Head(BaseModel):
    """What the file says about itself."""

    format: Annotated[int, Field(ge=1)]
    name: str
    embedding: str
    chunker: str
    documents: Annotated[int, Field(ge=0)]
    dimensions: Annotated[int, Field(ge=0, le=65_536)]


def export(writer: IndexWriter, collection: Collection, file: Path) -> Iterator[str]:
    """Write a collection into a new file, and yield the source of each document that is in it.

    Raises FileExistsError. A file that was not finished is deleted.
    """
    library = writer.library
    known = library.known(collection.name)
    try:
        with zipfile.ZipFile(file, "x", zipfile.ZIP_DEFLATED) as archive:
            dimensions = 0
            kept: set[str] = set()
            for number, document in enumerate(known):
                version = library.version(document.id)
                vectors = writer.vectors(collection, document.id, version)
                dimensions = vectors.shape[1] if len(vectors) else dimensions
                archive.writestr(f"documents/{number}.json", json.dumps(asdict(version), ensure_ascii=False))
                archive.writestr(f"vectors/{number}.f32", vectors.astype(FLOAT).tobytes())
                original = path_of(library.data_dir, document.sha256)
                if original.exists() and document.sha256 not in kept:
                    archive.write(original, f"originals/{document.sha256}")
                    kept.add(document.sha256)
                yield document.source
            head = Head(
                format=FORMAT,
                name=collection.name,
                embedding=collection.embedding,
                chunker=collection.chunker,
                documents=len(known),
                dimensions=dimensions,
            )
            archive.writestr("collection.json", head.model_dump_json())
    except FileExistsError:
        raise
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def read_head(file: Path) -> Head:
    """What is in a file. Raises TransferUnreadable."""
    with _opened(file) as archive:
        try:
            head = Head.model_validate_json(_part(archive, "collection.json"))
        except ValidationError as exc:
            raise _broken(file) from exc
    if head.format > FORMAT:
        raise TransferUnreadable(f"{file} was written by a newer citestream. Upgrade citestream.")
    return head


def documents_of(file: Path, head: Head) -> Iterator[tuple[NewVersion, NDArray[np.float32]]]:
    """The documents with a vector for each chunk. Raises TransferUnreadable when a part is missing or does not fit."""
    with _opened(file) as archive:
        for number in range(head.documents):
            try:
                version = _VERSION.validate_json(_part(archive, f"documents/{number}.json"))
            except ValidationError as exc:
                raise _broken(file) from exc
            vectors = np.frombuffer(_part(archive, f"vectors/{number}.f32"), FLOAT)
            fits = len(vectors) == len(version.chunks) * head.dimensions and bool(np.isfinite(vectors).all())
            spans = [(part.start, part.end) for part in version.chunks]
            spans += [(block.start, block.end) for block in version.blocks]
            if not fits or not all(0 <= start < end <= len(version.text) for start, end in spans):
                raise _broken(file)
            if any(block.end > following.start for block, following in pairwise(version.blocks)):
                raise _broken(file)
            yield version, vectors.reshape(len(version.chunks), head.dimensions or 1).astype(np.float32)


def originals_of(file: Path) -> Iterator[tuple[str, bytes]]:
    """The files whose pages are shown, by their hash."""
    with _opened(file) as archive:
        for name in archive.namelist():
            folder, _, sha256 = name.partition("/")
            if folder == "originals" and len(sha256) == 64 and sha256.isalnum():
                yield sha256, _part(archive, name)


def check_fits(head: Head, embedding: str, chunker: str) -> None:
    """Raise IndexMismatch when what is in a file was embedded or cut by another one than this citestream has."""
    if (head.embedding, head.chunker) != (embedding, chunker):
        raise IndexMismatch(
            f"the file was embedded by {head.embedding!r} and cut by {head.chunker!r}; here these are {embedding!r} "
            f"and {chunker!r}. Set CITESTREAM_EMBEDDING={head.embedding} if that is the difference, or ingest the "
            "documents anew."
        )


def _opened(file: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except zipfile.BadZipFile as exc:
        raise _broken(file) from exc


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        info = archive.getinfo(name)
        if info.file_size > MAX_PART_BYTES:
            raise _broken(archive.filename)
        return archive.read(info)
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError) as exc:
        raise _broken(archive.filename) from exc


def _broken(file: Any) -> TransferUnreadable:
    return TransferUnreadable(f"{file} is no collection that `citestream index export` has written, or is damaged.")
