"""Uploads: documents that come over HTTP, taken in by the ingest command in a process of its own.

The server never writes the index itself: embedding would hold up its answers, and there is one writer at a time. The
command waits for another writer, and goes on when the client that brought the file has left.
"""

import asyncio
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, NotRequired
from uuid import uuid4

import anyio
import anyio.to_thread
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream
from pydantic import Field, RootModel
from typing_extensions import TypedDict

from graph.errors import CitestreamError, DocumentNotFound, IndexLocked
from graph.library import Library
from server.bodies import DocumentBody
from server.events import Failure

FOLDER = "uploads"
MAX_NAME_BYTES = 200
AT_A_TIME = 1
"""Commands at a time; more would only wait for each other."""
EXIT_LOCKED = 75
"""How the command ends when another process is writing (docs/ingest.md)."""
_BAD = re.compile(r"[\x00-\x1f\x7f/\\]")

log = structlog.get_logger(__name__)


class FileProgress(TypedDict):
    """What became of a file; an archive holds several. `reason` tells why it was not taken."""

    path: str
    status: Literal["added", "changed", "unchanged", "removed", "failed", "skipped"]
    reason: NotRequired[str]
    chunks: NotRequired[int]


class Uploaded(TypedDict):
    """The document that the file has become; null for an archive, which becomes several."""

    document: DocumentBody | None


class ProgressEvent(TypedDict):
    """A file was read."""

    event: Literal["progress"]
    id: str
    data: FileProgress


class UploadDoneEvent(TypedDict):
    """The file was taken in: last."""

    event: Literal["done"]
    id: str
    data: Uploaded


class UploadFailedEvent(TypedDict):
    """The file was not taken in: last."""

    event: Literal["failed"]
    id: str
    data: Failure


class UploadEvent(
    RootModel[Annotated[ProgressEvent | UploadDoneEvent | UploadFailedEvent, Field(discriminator="event")]]
):
    """One event of an upload: a line of NDJSON, or the fields of a frame of SSE."""


class UploadRefused(CitestreamError):
    """A file that cannot be taken: its name, or where it comes from."""

    code = "invalid_request"


class IngestFailed(CitestreamError):
    """The command that takes documents in or out has failed."""

    code = "internal"


class Uploads:
    """Where uploaded files are, and the commands that are at work."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._limiter = anyio.CapacityLimiter(AT_A_TIME)
        self._tasks: set[asyncio.Task[None]] = set()

    async def keep(self, file: BinaryIO, name: str, collection: str) -> Path:
        """Store a file under its name, in place of one that has the same. Raises UploadRefused."""
        checked = _checked_name(name)
        folder = self._data_dir / FOLDER / hashlib.sha256(collection.encode()).hexdigest()[:16]

        def copy() -> Path:
            folder.mkdir(parents=True, exist_ok=True)
            part = folder / f".{uuid4().hex}"
            try:
                with part.open("wb") as written:
                    shutil.copyfileobj(file, written)
                part.replace(folder / checked)
            finally:
                part.unlink(missing_ok=True)
            return folder / checked

        return await anyio.to_thread.run_sync(copy)

    def ingest(self, path: Path, collection: str) -> MemoryObjectReceiveStream[dict[str, Any]]:
        """Take a file in: the lines of the command's `--json`, as they come. It goes on when nobody listens."""
        send, receive = anyio.create_memory_object_stream[dict[str, Any]](100)
        arguments = ["ingest", str(path), "--source", path.name, "--collection", collection, "--wait", "--json"]

        async def work() -> None:
            async with self._limiter, send:
                async for line in self._run(arguments):
                    try:
                        await send.send(line)
                    except anyio.BrokenResourceError:  # nobody listens
                        continue

        task = asyncio.create_task(work(), name="citestream-ingest")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return receive

    async def remove(self, library: Library, document_id: str) -> None:
        """Erase a document, and its file if it was uploaded. Raises DocumentNotFound, IndexLocked."""
        path = Path(await anyio.to_thread.run_sync(library.path_of, document_id))
        async for line in self._run(["index", "rm", document_id, "--yes", "--json"]):
            if (code := line.get("exit")) is not None and code:
                raise _error_of(code, document_id)
        if path.is_relative_to(self._data_dir / FOLDER):
            await anyio.Path(path).unlink(missing_ok=True)

    async def close(self) -> None:
        """End the commands that are at work; what they have published stays."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, arguments: Sequence[str]) -> AsyncIterator[dict[str, Any]]:
        """The JSON lines of a command, and at its end `{"exit": code}`."""
        command = [sys.executable, "-P", "-m", "citestream", *arguments, "--data-dir", str(self._data_dir)]
        async with await anyio.open_process(command, stdin=subprocess.DEVNULL, stderr=None) as process:
            try:
                if process.stdout is not None:
                    async for line in _lines(process.stdout):
                        yield json.loads(line)
                yield {"exit": await process.wait()}
            finally:
                if process.returncode is None:
                    process.terminate()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("upload_failed", exc_info=error)


async def _lines(stream: anyio.abc.ByteReceiveStream) -> AsyncIterator[str]:
    waiting = b""
    async for part in stream:
        *whole, waiting = (waiting + part).split(b"\n")
        for line in whole:
            yield line.decode()


def _checked_name(name: str) -> str:
    last = re.split(r"[/\\]", name)[-1].strip()
    if not last.strip(".") or last.startswith(".") or _BAD.search(last) or len(last.encode()) > MAX_NAME_BYTES:
        raise UploadRefused(
            f"the file needs a name of at most {MAX_NAME_BYTES} bytes that does not begin with a dot: "
            "its ending tells its format."
        )
    return last


def _error_of(code: int, document_id: str) -> CitestreamError:
    if code == EXIT_LOCKED:
        return IndexLocked("another process is writing the index. Try again in a moment.")
    if code == 2:
        return DocumentNotFound(f"there is no document {document_id!r}.")
    return IngestFailed("the document could not be removed; see the server's log.")
