"""The command `citestream ingest`.

Exit codes: 0 good or nothing to do, 1 internal, 2 usage, 3 some files failed, 4 every file failed, 75 another
process is writing the index, 130 interrupted. Files without a loader and empty ones are skipped, not failed.
"""

import os
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graph.errors import TooManyGone
from graph.limits import DEFAULT_COLLECTION
from ingest.command import (
    EXIT_ALL_FAILED,
    EXIT_SOME_FAILED,
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
from ingest.terminal import shown
from ingest.web.command import AllowWeb, check_addresses, split_places, telling

if TYPE_CHECKING:
    from graph.library import KnownDocument
    from graph.settings import Settings
    from ingest.sync import Step
    from ingest.web.visits import Visit

JOBS = min(2, os.cpu_count() or 1)
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
    With --json, a line for each file and one with the summary. Addresses of pages and sitemaps are taken with
    --allow-web, from the public internet and from the hosts that CITESTREAM_WEB_PRIVATE_HOSTS names.

    Exit codes: 0 good or nothing to do, 2 usage, 3 some files failed, 4 every file failed, 75 another process is
    writing the index, 130 interrupted.
    """
    if watch and dry_run:
        raise typer.BadParameter("a trial does nothing that could be followed.", param_hint="--watch")
    paths, addresses = split_places(places)
    check_addresses(addresses, allow_web=allow_web, watch=watch, source=source)
    if source is not None and (len(paths) > 1 or paths[0].is_dir()):
        raise typer.BadParameter("names one file.", param_hint="--source")
    with exit_codes("interrupted; what was published stays"):
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
    began = time.monotonic()
    done: list[Step] = []
    with closing(_ingest(settings, paths, collection, ways)) as steps:
        for step in steps:
            done.append(step)
            if as_json:
                print_json(_step_line(step))
    seconds = time.monotonic() - began
    if as_json:
        print_json({"summary": {**_counts(done), "seconds": round(seconds, 3)}})
    else:
        _report(done, seconds, dry_run=ways.dry_run)
    return _exit_code(done)


def _changes(paths: list[Path], leave_out: Path) -> "Iterator[object]":
    """Something each time when files have changed, a moment after the last of a burst. Ends by KeyboardInterrupt."""
    from watchfiles import watch

    def concerns(_: object, path: str) -> bool:
        changed = Path(path)
        return not changed.is_relative_to(leave_out) and not changed.name.startswith(".")

    return watch(*paths, watch_filter=concerns, raise_interrupt=True)


def _ingest(settings: "Settings", paths: list[Path], collection: str, ways: "Ways") -> "Generator[Step]":
    from ingest.parsing import Parsers
    from ingest.sync import apply_plan, make_plan, try_plan
    from ingest.web.plan import plan_pages

    with TemporaryDirectory(prefix="citestream-") as spool, Parsers(ways.jobs) as parsers:
        visits = _visit(settings, collection, ways, Path(spool)) if ways.addresses else []

        def plan_now() -> "list[Step]":
            known = _known(settings, collection)
            plan = make_plan(
                paths, known, Path(spool), prune=ways.prune, leave_out=settings.data_dir.resolve(), source=ways.source
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


def _visit(settings: "Settings", collection: str, ways: "Ways", spool: Path) -> "list[Visit]":
    """Fetch the pages, before anything is locked: that takes as long as their servers want."""
    from ingest.web.visits import visit_pages

    with telling() as tell:
        known = _known(settings, collection)
        keep = not ways.dry_run
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
