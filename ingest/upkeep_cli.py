"""The commands `citestream index verify`, `rebuild`, `export` and `import`: keep an index well, and move it."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graph.limits import DEFAULT_COLLECTION
from ingest.command import (
    EXIT_SOME_FAILED,
    WAIT_S,
    AnyCollection,
    AsJson,
    CollectionName,
    DataDir,
    Wait,
    exit_codes,
    load_settings,
    log_to_stderr,
    print_json,
)
from ingest.terminal import megabytes, shown

if TYPE_CHECKING:
    from graph.retrieval.checking import Check
    from graph.retrieval.rebuilding import Rebuilt


def verify_command(
    collection: AnyCollection = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Search for so many chunks of each collection, not for all.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Write what is damaged anew.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Check that the library, Chroma and the word index agree, and that every vector finds its chunk.

    Nobody may write meanwhile. With --json, a line for each collection. Exit code 3 when something is damaged and
    was not repaired.
    """
    with exit_codes():
        from graph.retrieval.writer import open_writer

        damaged = False
        with open_writer(load_settings(data_dir)) as writer:
            chosen = [writer.library.collection(collection)] if collection else writer.library.open_collections()
            for target in sorted(chosen, key=lambda target: target.name):
                found = writer.check(target, sample)
                after = found
                if repair and (found.damaged or found.extra):
                    writer.repair(found)
                    after = writer.check(target, sample)
                damaged = damaged or not after.is_good
                _tell_check(found, after, as_json)
        if damaged:
            raise typer.Exit(EXIT_SOME_FAILED)


def rebuild_command(
    collection: CollectionName = DEFAULT_COLLECTION,
    wait: Wait = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Embed a collection anew by the setting EMBEDDING, and cut its texts anew where that has changed.

    No file is read. Questions are answered out of the index there is until the new one takes its place, at once.
    """
    with exit_codes("interrupted; the new index is in use, and a later run deletes the one before"):
        log_to_stderr()
        from graph.retrieval.writer import open_writer
        from ingest.chunking import CHUNKER, chunk_again

        began = time.monotonic()
        with open_writer(load_settings(data_dir), wait_s=WAIT_S if wait else 0) as writer:
            before = writer.library.collection(collection)
            documents = len(writer.library.known(collection))
            with (
                exit_codes("interrupted; nothing has changed, and running this again goes on from here"),
                closing(writer.rebuild(before, chunker=CHUNKER, cut=chunk_again)) as steps,
            ):
                done = list(_with_bar(steps, documents))
            after = writer.library.collection(collection)
            told = {
                "collection": collection,
                "documents": documents,
                "chunks": sum(step.chunks for step in done),
                "embedded": writer.embedded,
                "embedding": after.embedding,
                "chunker": after.chunker,
                "seconds": round(time.monotonic() - began, 3),
            }
            _tell_rebuilt(told, before.embedding, as_json)


def _tell_rebuilt(told: dict[str, Any], before: str, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    typer.echo(
        "{documents:,} documents, {chunks:,} chunks in a new index; {embedded:,} texts embedded by {embedding} "
        "in {seconds:.1f} s".format_map(told)
    )
    if told["embedding"] != before:
        typer.echo(f"Servers embed questions by {told['embedding']} from now on; give them its key and package.")


def _with_bar(steps: "Iterator[Rebuilt]", documents: int) -> "Iterator[Rebuilt]":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("documents"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=documents)
        for step in steps:
            yield step
            progress.update(task, advance=1, description=shown(step.source))


def export_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="New file, by custom ending in .citestream.")],
    collection: CollectionName = DEFAULT_COLLECTION,
    data_dir: DataDir = None,
) -> None:
    """Write a collection into one file, with its texts and vectors, for `index import` on any machine."""
    with exit_codes("interrupted; nothing was written"):
        from graph.retrieval.writer import open_writer
        from ingest.transfer import export

        with open_writer(load_settings(data_dir)) as writer:
            count = sum(1 for _ in export(writer, writer.library.collection(collection), file))
        typer.echo(f"{count:,} documents in {shown(str(file))}, {megabytes(file.stat().st_size)}")


def import_command(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="Written by index export.")],
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", metavar="NAME", help="Another name for it.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Take in a collection out of a file; nothing is embedded again. What is there of it already is replaced."""
    with exit_codes("interrupted; what was published stays"):
        from graph.library import keep_bytes
        from graph.retrieval.writer import open_writer
        from ingest.chunking import CHUNKER
        from ingest.transfer import check_fits, documents_of, originals_of, read_head

        settings = load_settings(data_dir)
        head = read_head(file)
        check_fits(head, settings.embedding, CHUNKER)
        with open_writer(settings) as writer:
            writer.begin(collection or head.name, chunker=CHUNKER)
            for version, vectors in documents_of(file, head):
                writer.put(version, vectors)
            for sha256, data in originals_of(file):
                keep_bytes(settings.data_dir, sha256, data)
            writer.publish()
        typer.echo(f"{head.documents:,} documents are in the collection {shown(collection or head.name)!r} now")


def _tell_check(found: "Check", after: "Check", as_json: bool) -> None:
    """What was found out, and `after` a repair, which is the same where nothing was repaired."""
    counts = {
        "chunks": found.chunks,
        "searched": found.searched,
        "without_vector": len(found.without_vector),
        "without_words": len(found.without_words),
        "not_found": len(found.not_found),
        "extra": len(found.extra),
    }
    repaired, left = after is not found, len(after.damaged)
    if as_json:
        told = {"good": found.is_good, "repaired": repaired, "left": left}
        print_json({"collection": found.collection.name, **counts, **told})
        return
    if repaired:
        rest = f", all but {left:,}; `citestream index rebuild` makes the index anew" if left else ""
        outcome = f"repaired{rest}"
    else:
        outcome = "good" if found.is_good else "damaged; --repair writes it anew"
    told_counts = ", ".join(
        f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count or name == "chunks"
    )
    typer.echo(f"{shown(found.collection.name)}: {outcome} ({told_counts})")
