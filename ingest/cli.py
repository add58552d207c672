"""The commands `citestream ingest` and `citestream index`.

Exit codes: 0 good or nothing to do, 1 internal, 2 usage, 3 some files failed, 4 every file failed, 75 another
process is writing the index, 130 interrupted. Files without a loader and empty ones are skipped, not failed.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graph.errors import (
    CitestreamError,
    CollectionNotFound,
    DocumentNotFound,
    IndexEmpty,
    IndexLocked,
    IndexMismatch,
    SettingsError,
)
from graph.limits import DEFAULT_COLLECTION, MAX_NAME_CHARS
from ingest.terminal import shown, shown_text

if TYPE_CHECKING:
    from graph.library import Document, KnownDocument, Library
    from graph.settings import Settings
    from ingest.sync import Step

EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3
EXIT_ALL_FAILED = 4
EXIT_LOCKED = 75
EXIT_INTERRUPTED = 130
USAGE_ERRORS = (
    SettingsError,
    IndexMismatch,
    IndexEmpty,
    CollectionNotFound,
    DocumentNotFound,
    FileNotFoundError,
    FileExistsError,
    NotADirectoryError,
    PermissionError,
)

EXCERPT_CHARS = 600
JOBS = min(2, os.cpu_count() or 1)
"""Reading is a twentieth of the work of embedding, so that two processes keep ahead of it."""
WAIT_S = 24 * 3600.0


def _check_name(name: str | None) -> str | None:
    if name is None:
        return None
    if not 0 < len(name) <= MAX_NAME_CHARS:
        raise typer.BadParameter(f"a collection's name has 1 to {MAX_NAME_CHARS} characters.")
    try:
        name.encode()
    except UnicodeEncodeError as exc:
        raise typer.BadParameter("a collection's name has to be valid UTF-8.") from exc
    return name


CollectionName = Annotated[
    str, typer.Option("--collection", "-c", metavar="NAME", callback=_check_name, help="Collection to write.")
]
AnyCollection = Annotated[
    str | None,
    typer.Option(
        "--collection", "-c", metavar="NAME", callback=_check_name, help="Only this collection; all when left out."
    ),
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of the index, in place of CITESTREAM_DATA_DIR.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]

index_app = typer.Typer(help="See and change what is indexed.", no_args_is_help=True)


def ingest_command(
    paths: Annotated[
        list[Path], typer.Argument(exists=True, readable=False, metavar="PATH", help="Files and folders.")
    ],
    collection: CollectionName = DEFAULT_COLLECTION,
    prune: Annotated[bool, typer.Option("--prune", help="Remove documents of these folders that are gone.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Processes that read files.")] = JOBS,
    wait: Annotated[bool, typer.Option("--wait", help="Wait while another process is writing the index.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Index files and folders: text, web pages, PDF, Office documents, e-books, tables, notebooks and code.

    Unchanged files are skipped, changed ones replaced. Files that cannot be read are listed; the rest goes on.
    With --json, a line for each file and one with the summary.

    Exit codes: 0 good or nothing to do, 2 usage, 3 some files failed, 4 every file failed, 75 another process is
    writing the index, 130 interrupted.
    """
    with _exit_codes("interrupted; what was published stays"):
        _log_to_stderr()
        began = time.monotonic()
        done: list[Step] = []
        settings = _settings(data_dir)
        ways = Ways(prune, dry_run, jobs, WAIT_S if wait else 0)
        with closing(_ingest(settings, paths, collection, ways)) as steps:
            for step in steps:
                done.append(step)
                if as_json:
                    _print_json(_step_line(step))
        seconds = time.monotonic() - began
        if as_json:
            _print_json({"summary": {**_counts(done), "seconds": round(seconds, 3)}})
        else:
            _report(done, seconds, dry_run=dry_run)
        if code := _exit_code(done):
            raise typer.Exit(code)


@index_app.command("list")
def list_command(collection: AnyCollection = None, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the documents that can be searched. With --json, an array."""
    with _exit_codes(), _open_library(data_dir) as library:
        documents = sorted(library.documents(collection), key=lambda document: (document.collection, document.source))
        if as_json:
            _print_json([_document_fields(document) for document in documents])
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
    with _exit_codes(), _open_library(data_dir) as library:
        found = _find_document(library, document, collection)
        text = library.text(found.id)
        if as_json:
            _print_json({**_document_fields(found), "text": text})
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
    with _exit_codes():
        with _open_library(data_dir) as library:
            found = {item.id: item for item in (_find_document(library, name, collection) for name in documents)}
        if not yes and not _confirmed(found.values()):
            return
        from graph.retrieval.writer import open_writer

        with open_writer(_settings(data_dir)) as writer:
            for document_id in found:
                writer.remove(document_id)
            writer.publish()
        for item in found.values():
            if as_json:
                _print_json({"path": item.source, "status": "removed"})
            else:
                typer.echo(f"removed {shown(item.source)}")


@index_app.command("stats")
def stats_command(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Count what is indexed. With --json, an object with `documents` and `chunks` on top."""
    with _exit_codes(), _open_library(data_dir) as library:
        collections = library.collections()
        stats = {
            "documents": sum(item.documents for item in collections),
            "chunks": sum(item.chunks for item in collections),
            "generation": library.generation(),
            "collections": [asdict(item) for item in collections],
        }
        if as_json:
            _print_json(stats)
            return
        typer.echo(f"{stats['documents']:,} documents, {stats['chunks']:,} chunks")
        for item in collections:
            counted = f"{item.documents:,} documents, {item.chunks:,} chunks"
            typer.echo(f"{shown(item.name)}: {counted}, embedding {item.embedding}")


def failure_of(error: CitestreamError | OSError) -> tuple[str, int]:
    """What to say about an error that the user can mend, and the exit code for it; raises any other again."""
    code = EXIT_USAGE if isinstance(error, USAGE_ERRORS) else EXIT_INTERNAL
    if isinstance(error, CitestreamError):
        return error.message, EXIT_LOCKED if isinstance(error, IndexLocked) else code
    if error.filename is None:  # no matter of a path, such as a reader of our output who has left
        raise error
    path = shown(str(error.filename))
    return f"{path} cannot be used ({error.strerror}). Check the path and its permissions, or name another one.", code


@contextmanager
def _exit_codes(interrupted: str = "interrupted") -> Iterator[None]:
    """Say what went wrong in one line on stderr, and leave with the code for it."""
    try:
        yield
    except (CitestreamError, OSError) as exc:
        message, code = failure_of(exc)
        raise _exit(message, code) from exc
    except (KeyboardInterrupt, typer.Abort) as exc:
        raise _exit(interrupted, EXIT_INTERRUPTED) from exc


def _log_to_stderr() -> None:
    """Keep stdout for results, where no one else has said where logs go."""
    import structlog

    if not structlog.is_configured():
        structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def _exit(message: str, code: int) -> typer.Exit:
    typer.echo(f"citestream: {message}", err=True)
    return typer.Exit(code)


def _settings(data_dir: Path | None) -> "Settings":
    from graph.settings import Settings

    return Settings.load(data_dir=data_dir)


@contextmanager
def _open_library(data_dir: Path | None) -> "Iterator[Library]":
    from graph.library import Library

    library = Library.open(_settings(data_dir).data_dir)
    try:
        yield library
    finally:
        library.close()


def _ingest(settings: "Settings", paths: list[Path], collection: str, ways: "Ways") -> "Generator[Step]":
    from ingest.parsing import Parsers
    from ingest.sync import apply_plan, make_plan, try_plan

    with TemporaryDirectory(prefix="citestream-") as spool, Parsers(ways.jobs) as parsers:

        def plan_now() -> "list[Step]":
            known = _known(settings, collection)
            return make_plan(paths, known, Path(spool), prune=ways.prune, leave_out=settings.data_dir.resolve())

        generation = _generation(settings)
        plan = plan_now()
        if ways.dry_run:
            yield from try_plan(plan, parsers)
            return
        if not any(step.is_work for step in plan):
            yield from plan
            return
        # The writer loads the embedding and takes the lock, so only a run with work to do opens it.
        from graph.retrieval.writer import open_writer
        from ingest.chunking import CHUNKER

        with open_writer(settings, wait_s=ways.wait_s) as writer:
            writer.begin(collection, chunker=CHUNKER)
            if writer.library.generation() != generation:  # another process has published meanwhile
                plan = plan_now()
            yield from _with_progress(plan, apply_plan(plan, writer, parsers))


@dataclass(frozen=True)
class Ways:
    """How to ingest, as the flags say."""

    prune: bool
    dry_run: bool
    jobs: int
    wait_s: float


def _generation(settings: "Settings") -> int:
    from graph.library import FILE_NAME, Library

    if not (settings.data_dir / FILE_NAME).exists():
        return 0
    library = Library.open(settings.data_dir)
    try:
        return library.generation()
    finally:
        library.close()


def _known(settings: "Settings", collection: str) -> "list[KnownDocument]":
    """What the collection holds; [] where nothing was ever indexed. Raises IndexMismatch as the writer would."""
    from graph.library import FILE_NAME, Library, check_chunker, check_embedding
    from ingest.chunking import CHUNKER

    if not (settings.data_dir / FILE_NAME).exists():
        return []
    library = Library.open(settings.data_dir)
    try:
        known = library.known(collection)
        if known:
            found = library.collection(collection)
            check_chunker(found, CHUNKER)
            check_embedding(found, settings.embedding)
        return known
    finally:
        library.close()


def _with_progress(plan: "list[Step]", steps: "Iterator[Step]") -> "Iterator[Step]":
    """Draw a bar on stderr, where that is a terminal: by bytes, with files, chunks and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        BarColumn(),
        TextColumn("{task.fields[files]}/{task.fields[of]} files"),
        TextColumn("{task.fields[chunks]} chunks"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    work = [step for step in plan if step.is_work]
    total = sum(step.size_bytes for step in work)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        files = chunks = 0
        task = progress.add_task(shown(work[0].source), total=total, files=files, of=len(work), chunks=chunks)
        for step, planned in zip(steps, plan, strict=True):
            if planned.is_work:
                files += 1
                chunks += (step.chunks or 0) if step.is_work else 0
                following = shown(work[files].source) if files < len(work) else "publishing"
                progress.update(task, advance=planned.size_bytes, files=files, chunks=chunks, description=following)
            yield step


def _step_line(step: "Step") -> dict[str, Any]:
    line: dict[str, Any] = {"path": step.source, "status": step.status}
    if step.reason is not None:
        line["reason"] = step.reason
    if step.chunks is not None:
        line["chunks"] = step.chunks
    return line


def _counts(steps: "list[Step]") -> dict[str, int]:
    """Files by what happened to them, and the chunks that were written."""
    by_status = Counter(step.status for step in steps)
    counts = {status: by_status[status] for status in ("added", "changed", "unchanged", "removed", "failed", "skipped")}
    return {**counts, "chunks": sum(step.chunks or 0 for step in steps if step.status in ("added", "changed"))}


def _exit_code(steps: "list[Step]") -> int:
    counts = _counts(steps)
    if not counts["failed"]:
        return 0
    return EXIT_SOME_FAILED if counts["added"] + counts["changed"] + counts["unchanged"] else EXIT_ALL_FAILED


def _report(steps: "list[Step]", seconds: float, *, dry_run: bool) -> None:
    counts = _counts(steps)
    chunks = counts.pop("chunks")
    told = ", ".join(f"{count:,} {status}" for status, count in counts.items() if count) or "no files"
    typer.echo(f"would be: {told}" if dry_run else f"{told}; {chunks:,} chunks written in {seconds:.1f} s")
    for step in steps:
        if dry_run and step.is_work:
            typer.echo(f"  {step.status}: {shown(step.source)}")
        elif step.status in ("failed", "skipped") and step.reason != "unsupported":
            kept = f"; the version indexed before stays ({step.chunks} chunks)" if step.chunks else ""
            typer.echo(f"  {step.status}: {shown(step.source)}: {step.reason}: {step.detail}{kept}", err=True)
    unsupported = Counter(
        Path(step.source).suffix.lower() or "no extension" for step in steps if step.reason == "unsupported"
    )
    if unsupported:
        listed = ", ".join(f"{count:,} × {shown(suffix)}" for suffix, count in unsupported.most_common())
        typer.echo(f"  skipped for want of a loader: {listed}", err=True)


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
        raise _exit("say --yes to remove documents where nobody can be asked", EXIT_USAGE)
    return typer.confirm("Remove these documents and erase their text?", err=True)


def _document_fields(document: "Document") -> dict[str, Any]:
    return {**asdict(document), "ingested_at": document.ingested_at.isoformat().replace("+00:00", "Z")}


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))
