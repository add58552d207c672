"""The command `citestream ingest`.

Exit codes: 0 good or nothing to do, 1 internal, 2 usage, 3 some files failed, 4 every file failed, 5 there is no file
to read, 74 the disk is full, 75 another process is writing the index, 130 interrupted. Files without a loader and empty
ones are skipped, not failed.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from graph.cores import count_cores
from graph.errors import TooManyGone
from graph.imports import without_garbage_collection
from graph.limits import DEFAULT_COLLECTION
from ingest.command import (
    EXIT_NOTHING_TO_READ,
    WAIT_S,
    AsJson,
    CollectionName,
    DataDir,
    Wait,
    exit_codes,
    load_settings,
    log_to_stderr,
    print_json,
)
from ingest.web.command import AllowWeb, check_addresses, split_places

if TYPE_CHECKING:
    from graph.library import KnownDocument
    from graph.retrieval.writer import IndexWriter
    from graph.settings import Settings
    from ingest.progress import Progress
    from ingest.sync import Step
    from ingest.web.visits import Visit

JOBS = min(2, count_cores())
"""Reading took 5 of 350 processor seconds for 136 manuals, so that two processes keep ahead of embedding."""
FEW_REMOVED, REMOVED_SHARE = 5, 0.3
"""More than so many, and than this share of a collection, are only removed with --yes: a disk may not be mounted."""


def ingest_command(
    places: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Files, folders, and with --allow-web pages and sitemaps.")
    ],
    collection: CollectionName = DEFAULT_COLLECTION,
    prune: Annotated[bool, typer.Option("--prune", help="Remove documents of these folders that are gone.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove however many there are.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and follow what changes, until Ctrl-C.")] = False,
    source: Annotated[str | None, typer.Option("--source", help="What a single file is to be called.")] = None,
    allow_web: AllowWeb = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Processes that read files.")] = JOBS,
    wait: Wait = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Index files and folders: text, web pages, PDF, Office documents, e-books, tables, notebooks and code.

    Unchanged files are skipped, changed ones replaced. Files that cannot be read are listed; the rest goes on.
    With --json, a line for each file and one with the summary, or with what broke the run off. Addresses of pages and
    sitemaps are taken with --allow-web, from the public internet and from the hosts that CITESTREAM_WEB_PRIVATE_HOSTS
    names.

    Exit codes: 0 good or nothing to do, 2 usage, 3 some files failed, 4 every file failed, 5 there is no file to
    read, 74 the disk is full, 75 another process is writing the index, 130 interrupted.
    """
    if watch and dry_run:
        raise typer.BadParameter("a trial does nothing that could be followed.", param_hint="--watch")
    paths, addresses = split_places(places)
    check_addresses(addresses, allow_web=allow_web, watch=watch, source=source)
    if source is not None and (len(paths) > 1 or paths[0].is_dir()):
        raise typer.BadParameter("names one file.", param_hint="--source")
    with exit_codes("interrupted; what was published stays", as_json=as_json):
        log_to_stderr()
        settings = load_settings(data_dir)
        ways = Ways(prune, yes, dry_run, source, jobs, WAIT_S if wait or watch else 0, tuple(addresses))
        code = _ingest_and_tell(settings, paths, collection, ways, as_json)
        if watch:
            for _ in _changes(paths, settings.data_dir.resolve()):
                _ingest_and_tell(settings, paths, collection, ways, as_json)
        if code:
            raise typer.Exit(code)


def _ingest_and_tell(settings: "Settings", paths: list[Path], collection: str, ways: "Ways", as_json: bool) -> int:
    """Ingest, say what came of it, and return the exit code."""
    with without_garbage_collection():
        from ingest.progress import Progress
        from ingest.report import counts_of, exit_code, skipped_lines, step_line, summary, trouble_line

    began = time.monotonic()
    done: list[Step] = []
    with (
        Progress(results_on_stdout=as_json) as progress,
        closing(_ingest(settings, paths, collection, ways, progress)) as steps,
    ):
        for step in steps:
            done.append(step)
            if as_json:
                print_json(step_line(step))
            if (line := trouble_line(step)) and (progress.is_drawn or not as_json):
                progress.say(line)
    seconds = time.monotonic() - began
    if as_json:
        print_json({"summary": {**counts_of(done), "seconds": round(seconds, 3)}})
    else:
        for line in summary(done, seconds, dry_run=ways.dry_run):
            typer.echo(line)
        for line in skipped_lines(done):
            typer.echo(line, err=True)
    code = exit_code(done)
    if code == EXIT_NOTHING_TO_READ:
        typer.echo("citestream: there is no file that can be read. Check the paths.", err=True)
    return code


def _changes(paths: list[Path], leave_out: Path) -> "Iterator[object]":
    """Something each time when files have changed, a moment after the last of a burst. Ends by KeyboardInterrupt."""
    from watchfiles import watch

    def concerns(_: object, path: str) -> bool:
        changed = Path(path)
        return not changed.is_relative_to(leave_out) and not changed.name.startswith(".")

    return watch(*paths, watch_filter=concerns, raise_interrupt=True)


def _ingest(
    settings: "Settings", paths: list[Path], collection: str, ways: "Ways", progress: "Progress"
) -> "Generator[Step]":
    from ingest.archives import Unpacker
    from ingest.parsing import Parsers
    from ingest.sync import apply_plan, make_plan, try_plan
    from ingest.web.plan import plan_pages

    with TemporaryDirectory(prefix="citestream-") as spool, Parsers(ways.jobs) as parsers:
        unpacker = Unpacker(Path(spool))
        visits = _visit(settings, collection, ways, Path(spool), progress) if ways.addresses else []

        def plan_now() -> "list[Step]":
            known = _known(settings, collection)
            plan = make_plan(
                paths,
                known,
                progress,
                prune=ways.prune,
                leave_out=settings.data_dir.resolve(),
                source=ways.source,
            )
            plan += plan_pages(visits, known, prune=ways.prune)
            removed = sum(step.status == "removed" for step in plan)
            if removed > max(FEW_REMOVED, REMOVED_SHARE * len(known)) and not (ways.yes or ways.dry_run):
                raise TooManyGone(
                    f"{removed:,} of {len(known):,} documents would be removed, as their files are gone. "
                    "If that is so, run this again with --yes; --dry-run lists them. Nothing was changed."
                )
            return plan

        generation = _generation(settings)
        plan = plan_now()
        if ways.dry_run:
            progress.begin(plan)
            yield from try_plan(plan, parsers, unpacker, progress)
            return
        if not any(step.is_work for step in plan):
            yield from plan
            return
        # The writer loads the embedding and takes the lock, so only a run with work to do opens it.
        from ingest.chunking import CHUNKER

        with _writer(settings, ways.wait_s, progress) as writer:
            writer.begin(collection, chunker=CHUNKER)
            if writer.library.generation() != generation:  # another process has published meanwhile
                plan = plan_now()
            progress.begin(plan, lambda: writer.ready)
            yield from apply_plan(plan, writer, parsers, unpacker, progress)
            progress.doing("tidying up")


@contextmanager
def _writer(settings: "Settings", wait_s: float, progress: "Progress") -> "Iterator[IndexWriter]":
    """The index's one writer; who has to wait for another says so."""
    from graph.errors import IndexLocked
    from graph.retrieval.writer import open_writer

    progress.doing("opening the index")
    with ExitStack() as stack:
        try:
            writer = stack.enter_context(open_writer(settings))
        except IndexLocked as exc:
            if not wait_s:
                raise
            progress.say(f"waiting: {exc.message.partition('. ')[0]}")
            progress.doing("waiting for the other process")
            writer = stack.enter_context(open_writer(settings, wait_s=wait_s))
        yield writer


def _visit(settings: "Settings", collection: str, ways: "Ways", spool: Path, progress: "Progress") -> "list[Visit]":
    """Fetch the pages, before anything is locked: that takes as long as their servers want."""
    from ingest.web.visits import visit_pages

    known = _known(settings, collection)
    keep, tell = not ways.dry_run, progress.asking
    return visit_pages(ways.addresses, settings, collection, known, spool, prune=ways.prune, keep=keep, tell=tell)


@dataclass(frozen=True)
class Ways:
    """How to ingest, as the flags say."""

    prune: bool
    yes: bool
    dry_run: bool
    source: str | None
    jobs: int
    wait_s: float
    addresses: tuple[str, ...] = ()


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
