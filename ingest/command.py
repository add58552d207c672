"""What the commands have in common: their options, how they end, and how they speak."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graph.disk import says_full
from graph.errors import (
    CitestreamError,
    CollectionNotFound,
    DiskFull,
    DocumentNotFound,
    IndexEmpty,
    IndexLocked,
    IndexMismatch,
    SettingsError,
    TooManyGone,
    TransferUnreadable,
)
from graph.limits import MAX_NAME_CHARS
from ingest.signals import interruptible
from ingest.terminal import shown

if TYPE_CHECKING:
    from graph.settings import Settings

EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3
EXIT_ALL_FAILED = 4
EXIT_NOTHING_TO_READ = 5
EXIT_DISK_FULL = 74
EXIT_LOCKED = 75
EXIT_INTERRUPTED = 130
USAGE_ERRORS = (
    SettingsError,
    IndexMismatch,
    IndexEmpty,
    CollectionNotFound,
    DocumentNotFound,
    TooManyGone,
    TransferUnreadable,
    FileNotFoundError,
    FileExistsError,
    NotADirectoryError,
    PermissionError,
)
CODES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int], ...] = (
    (IndexLocked, EXIT_LOCKED),
    (DiskFull, EXIT_DISK_FULL),
    (USAGE_ERRORS, EXIT_USAGE),
)


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
WAIT_S = 24 * 3600.0
Wait = Annotated[bool, typer.Option("--wait", help="Wait while another process is writing the index.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]


def failure_of(error: CitestreamError | OSError) -> tuple[str, int]:
    """What to say about an error that the user can mend, and the exit code for it; raises any other again."""
    code = next((code for kind, code in CODES if isinstance(error, kind)), EXIT_INTERNAL)
    if isinstance(error, CitestreamError):
        return error.message, code
    if says_full(error):
        where = f" ({shown(str(error.filename))})" if error.filename else ""
        return f"the disk is full{where}. Make room, and run this again.", EXIT_DISK_FULL
    if error.filename is None:  # no matter of a path, such as a reader of our output who has left
        raise error
    path = shown(str(error.filename))
    return f"{path} cannot be used ({error.strerror}). Check the path and its permissions, or name another one.", code


@contextmanager
def exit_codes(interrupted: str = "interrupted", *, as_json: bool = False) -> Iterator[None]:
    """Say what went wrong in one line on stderr, for programs also on stdout, and leave with the code for it."""
    try:
        with interruptible(EXIT_INTERRUPTED):
            yield
    except (CitestreamError, OSError) as exc:
        message, code = failure_of(exc)
    except (KeyboardInterrupt, typer.Abort):
        message, code = interrupted, EXIT_INTERRUPTED
    else:
        return
    with suppress(OSError):  # who reads the lines may have left, or their disk is full
        if as_json:
            print_json({"error": {"message": message, "exit": code}})
    raise leaving(message, code)


def log_to_stderr() -> None:
    """Keep stdout for results, where no one else has said where logs go."""
    import structlog

    if not structlog.is_configured():
        structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def leaving(message: str, code: int) -> typer.Exit:
    """Say something on stderr; what to raise to leave with the code."""
    typer.echo(f"citestream: {message}", err=True)
    return typer.Exit(code)


def load_settings(data_dir: Path | None) -> "Settings":
    """The settings, with the flag in place of theirs."""
    from graph.settings import Settings

    return Settings.load(data_dir=data_dir)


def print_json(value: Any) -> None:
    """A value on stdout, in a line."""
    typer.echo(json.dumps(value, ensure_ascii=False))
