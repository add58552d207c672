"""Reading: a file becomes a document, in a process with limits that takes one file after the other."""

import hashlib
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from graph.library import NewVersion
from ingest.chunking import chunk
from ingest.loaders import LOADER_VERSION, Unreadable, load

MEMORY_BYTES = 1024**3
"""Address space of a parser's process, which has a quarter of it before its first file."""
ALONE_SECONDS = 150
"""After so long with one file such a process is killed, whatever it does: who should have ended it is gone."""


@dataclass(frozen=True)
class Request:
    """A file to be read: where its bytes are, and what it is known as (NewVersion).

    `file_name` is its name where the path's last part is none.
    """

    file: Path
    source: str
    path: str
    file_name: str = ""

    @property
    def name(self) -> str:
        """The file's name, which tells its format."""
        return self.file_name or Path(self.path).name


@dataclass(frozen=True)
class Refused:
    """Why a file gives no document: a word that programs can switch on, and a sentence for people."""

    reason: str
    detail: str


Outcome = NewVersion | Refused


def serve(connection: "Connection[Any, Any]") -> None:
    """Read files until the other side is gone: what a parser's process does."""
    # Results go to standard output, and parsers print there.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _limit_memory()
    with suppress(EOFError, ConnectionError):
        connection.send(None)
        while True:
            request = connection.recv()
            signal.alarm(ALONE_SECONDS)
            outcome = read_file(request)
            signal.alarm(0)
            connection.send(outcome)


def read_file(request: Request) -> Outcome:
    """Load and cut a file. The edge at which whatever goes wrong in one file stops."""
    try:
        return _new_version(request)
    except Unreadable as exc:
        return Refused(exc.reason, exc.detail)
    except OSError as exc:
        return Refused("unreadable", exc.strerror or "it cannot be read")
    except MemoryError:
        return Refused("too-large", f"reading it takes more than {MEMORY_BYTES // 2**20} MB of memory")
    except Exception:
        import structlog  # takes as long as all else here, and hardly a file needs it

        log = structlog.get_logger(__name__)
        log.exception("ingest_file_failed", source=request.source)
        return Refused("internal", "an error in citestream; see the log")


def _new_version(request: Request) -> NewVersion:
    info = request.file.stat()
    data = request.file.read_bytes()
    loaded = load(data, request.name)
    return NewVersion(
        source=request.source,
        path=request.path,
        format=loaded.format,
        title=loaded.title,
        lang=loaded.lang,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        mtime_ns=info.st_mtime_ns,
        loader=f"{loaded.format}/{LOADER_VERSION}",
        text=loaded.text,
        chunks=chunk(loaded),
        blocks=loaded.blocks,
    )


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    with suppress(ValueError, OSError):  # a smaller limit is in force already
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
