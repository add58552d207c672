"""The command `citestream index`: see, check and change what is indexed."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graph.errors import DocumentNotFound
from ingest.command import (
    EXIT_USAGE,
    AnyCollection,
    AsJson,
    DataDir,
    exit_codes,
    leaving,
    load_settings,
    print_json,
)
from ingest.terminal import megabytes, shown, shown_text

if TYPE_CHECKING:
    from graph.library import Document, Holding, Library

EXCERPT_CHARS = 600

index_app = typer.Typer(help="See, check and change what is indexed.", no_args_is_help=True)


@index_app.command("list")
def list_command(collection: AnyCollection = None, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the documents that can be searched. With --json, an array."""
    with exit_codes(), _open_library(data_dir) as library:
        documents = sorted(library.documents(collection), key=lambda document: (document.collection, document.source))
        if as_json:
            print_json([_document_fields(document) for document in documents])
            return
        for document in documents:
            typer.echo(
                f"{document.id}  {shown(document.collection)}  {document.format:<8}  {document.chunks:>6} chunks  "
                f"{shown(document.source)}  {shown(document.title)}"
            )


@index_app.command("show")
def show_command(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", help="Id or source of a document.")],
    collection: AnyCollection = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show a document and the beginning of its text. With --json, an object with the whole text."""
    with exit_codes(), _open_library(data_dir) as library:
        found = _find_document(library, document, collection)
        text = library.text(found.id)
        if as_json:
            print_json({**_document_fields(found), "text": text})
            return
        for name, value in _document_fields(found).items():
            typer.echo(f"{name + ':':<13}{shown(str(value))}")
        typer.echo("\n" + shown_text(text[:EXCERPT_CHARS]) + (" …" if len(text) > EXCERPT_CHARS else ""))


@index_app.command("rm")
def remove_command(
    documents: Annotated[list[str], typer.Argument(metavar="DOCUMENT", help="Ids or sources of documents.")],
    collection: AnyCollection = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Remove documents and erase their text, also that of earlier versions. With --json, a line for each."""
    with exit_codes():
        with _open_library(data_dir) as library:
            found = {item.id: item for item in (_find_document(library, name, collection) for name in documents)}
        if not yes and not _confirmed(found.values()):
            return
        from graph.retrieval.writer import open_writer

        with open_writer(load_settings(data_dir)) as writer:
            for document_id in found:
                writer.remove(document_id)
            writer.publish()
        for item in found.values():
            if as_json:
                print_json({"path": item.source, "status": "removed"})
            else:
                typer.echo(f"removed {shown(item.source)}")


@index_app.command("stats")
def stats_command(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Count what is indexed, by format and language, and how much room it takes.

    With --json, an object with `documents` and `chunks` on top; `rebuilding` names the embedding of a rebuild that has
    not come to its end.
    """
    with exit_codes(), _open_library(data_dir) as library:
        holdings, begun = library.holdings(), library.begun_indexes()
        collections = [
            {
                **asdict(item),
                **_shares([held for held in holdings if held.collection == item.name]),
                "rebuilding": begun.get(item.name),
            }
            for item in library.collections()
        ]
        stats = {
            "documents": sum(held.documents for held in holdings),
            "chunks": sum(held.chunks for held in holdings),
            "generation": library.generation(),
            "collections": collections,
            "disk_bytes": _disk(library.data_dir),
        }
        if as_json:
            print_json(stats)
            return
        room = ", ".join(f"{name} {megabytes(size)}" for name, size in _disk(library.data_dir).items())
        typer.echo(f"{stats['documents']:,} documents, {stats['chunks']:,} chunks; on disk: {room or 'nothing'}")
        for item in collections:
            counted = f"{item['documents']:,} documents, {item['chunks']:,} chunks, {megabytes(item['size_bytes'])}"
            typer.echo(f"{shown(item['name'])}: {counted}, embedding {item['embedding']}")
            for name in ("formats", "languages"):
                told = ", ".join(f"{kind} {count:,}" for kind, count in item[name].items())
                if told:
                    typer.echo(f"  {name}: {told}")
            if item["rebuilding"]:
                typer.echo(
                    f"  a rebuild with {item['rebuilding']} has begun; where it was interrupted, "
                    "`citestream index rebuild` goes on with it"
                )


def _shares(holdings: "list[Holding]") -> dict[str, Any]:
    """Documents by format and by language, the most first, and the size of what was read."""
    formats: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    for held in holdings:
        formats[held.format] += held.documents
        languages[held.lang] += held.documents
    return {
        "size_bytes": sum(held.size_bytes for held in holdings),
        "formats": dict(formats.most_common()),
        "languages": dict(languages.most_common()),
    }


def _disk(data_dir: Path) -> dict[str, int]:
    """Bytes on disk by what they are for."""
    parts = {"library": "library.db*", "chroma": "chroma*/**/*", "words": "lexical/**/*", "originals": "originals/*"}
    sizes: Counter[str] = Counter()
    for name, pattern in parts.items():
        for path in data_dir.glob(pattern):
            with suppress(FileNotFoundError):  # a writer may be at work
                sizes[name] += path.stat().st_size if path.is_file() else 0
    return {name: size for name, size in sizes.items() if size}


@contextmanager
def _open_library(data_dir: Path | None) -> "Iterator[Library]":
    from graph.library import Library

    library = Library.open(load_settings(data_dir).data_dir)
    try:
        yield library
    finally:
        library.close()


def _find_document(library: "Library", name: str, collection: str | None) -> "Document":
    """The document with an id, or a source. Raises DocumentNotFound, also when several have that source."""
    documents = library.documents(collection)
    found = [document for document in documents if name == document.id]
    found = found or [document for document in documents if name == document.source]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(f"{document.id} in {document.collection!r}" for document in found)
        raise DocumentNotFound(f"several documents have the source {name!r}: {ids}. Name one by its id.")
    raise DocumentNotFound(f"there is no document {name!r}. `citestream index list` shows all.")


def _confirmed(documents: "Iterable[Document]") -> bool:
    for document in documents:
        typer.echo(f"{document.id}  {shown(document.source)}  {document.chunks} chunks", err=True)
    if not sys.stdin.isatty():
        raise leaving("say --yes to remove documents where nobody can be asked", EXIT_USAGE)
    return typer.confirm("Remove these documents and erase their text?", err=True)


def _document_fields(document: "Document") -> dict[str, Any]:
    return {**asdict(document), "ingested_at": document.ingested_at.isoformat().replace("+00:00", "Z")}
