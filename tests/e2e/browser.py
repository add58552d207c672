"""A browser against a running server: Debian's Chromium, driven by Playwright, and what the tests of the page share."""

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
REQUIRED = "CITESTREAM_REQUIRE_SERVICES"
"""Set where everything must be there, as in CI: what is missing is then a failure."""
WAIT_MS = 30_000
THREAD_URL = re.compile(r"/t/([^/?]+)$")

expect.set_options(timeout=WAIT_MS)
JOIN_S = 30
"""How long a thread of the proxy may take to end."""
GRACE_S = 20
"""How long a dropped run goes on: a busy machine may take its time to come back."""
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}

QUESTION = "Where does the fox sleep?"
LAMP = "How often must the lamp be trimmed?"
SLOW = ("slow:120:0.05", "".join(f"word{number} " for number in range(120)))
"""A model that takes six seconds, and what it says."""

LOOKS = [("en-US", "light"), ("zh-CN", "dark")]
"""Language and colours that every journey of the page is made in: each language and each theme once."""


class Proxy:
    """Passes connections on to a server, and can cut all of them."""

    def __init__(self, address: str) -> None:
        target = urlsplit(address)
        assert target.hostname
        assert target.port
        self._target = (target.hostname, target.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "Proxy":
        self._threads[0].start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(JOIN_S)
        self.cut()
        for thread in self._threads:
            thread.join(JOIN_S)
            assert not thread.is_alive()

    def cut(self) -> int:
        """Break all connections; returns how many there were."""
        broken = list(self._open)
        for client in broken:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        return len(broken)

    def _accept(self) -> None:
        with self._listener, suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.add(client)
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        """Pass on both directions until one side has closed."""
        with client, socket.create_connection(self._target) as server:
            back = threading.Thread(target=_pass_on, args=(server, client))
            back.start()
            _pass_on(client, server)
            back.join()
            self._open.discard(client)


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def wait_until(page: Page, condition: Callable[[], Any], wait_s: float = WAIT_MS / 1000) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        page.wait_for_timeout(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        reason = f"{CHROMIUM} is not there; Debian's package `chromium` brings it"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An English page with light colours on a desktop."""
    with browser.new_context(viewport=DESKTOP, locale="en-US") as context:
        context.set_default_timeout(WAIT_MS)
        yield context.new_page()


@pytest.fixture(params=LOOKS, ids="-".join)
def looked(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in each of `LOOKS`."""
    locale, theme = request.param
    context = browser.new_context(
        viewport=DESKTOP, locale=locale, color_scheme=theme, permissions=["clipboard-read", "clipboard-write"]
    )
    with context:
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        yield page
        assert page.evaluate("document.documentElement.lang.slice(0, 2)") == locale[:2]
        assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is (theme == "dark")


class Trouble:
    """What a page must never do: complain, or ask another host."""

    def __init__(self, page: Page, address: str) -> None:
        self.seen: list[str] = []
        self._address = address
        page.on("console", lambda message: self._note(message.type in ("error", "warning"), message.text))
        page.on("pageerror", lambda error: self._note(True, str(error)))
        page.on("request", self._look_at)
        page.on("requestfailed", self._note_failure)
        page.on("response", lambda response: self._note(response.status >= 400, f"{response.url}: {response.status}"))

    def _look_at(self, request: Request) -> None:
        self._note(not request.url.startswith((f"{self._address}/", "data:")), f"asked for {request.url}")

    def _note_failure(self, request: Request) -> None:
        # The page lets go of a stream at its terminal event; the server may not have closed it yet.
        self._note(request.failure != "net::ERR_ABORTED", f"{request.url}: {request.failure}")

    def _note(self, bad: bool, what: str) -> None:
        if bad:
            self.seen.append(what)


def ask(page: Page, question: str) -> Locator:
    """Ask in the page; returns the new turn."""
    turns = page.locator("article.turn")
    before = turns.count()
    page.get_by_test_id("question").fill(question)
    page.get_by_test_id("question").press("Enter")
    expect(turns).to_have_count(before + 1)
    return turns.nth(before)


def expect_status(turn: Locator, status: str) -> None:
    expect(turn.get_by_test_id("status")).to_have_attribute("data-status", status, timeout=WAIT_MS)


def shown(turn: Locator) -> str:
    """The text of the answer so far."""
    answer = turn.get_by_test_id("answer")
    return answer.inner_text() if answer.count() else ""


def answer_once(page: Page, *events: tuple[str, dict[str, Any]]) -> None:
    """Answer the next question in the server's place, with these events after the `run`."""

    def fulfill(route: Route) -> None:
        asked: dict[str, Any] = json.loads(route.request.post_data or "")
        run = {
            "v": 1, "run_id": asked["run_id"], "thread_id": asked.get("thread_id", "t"), "message_id": "m",
            "model": "m", "resumable": True,
        }  # fmt: skip
        frames = [
            f"event: {name}\ndata: {json.dumps(data)}\nid: {asked['run_id']}:{n}\n\n"
            for n, (name, data) in enumerate([("run", run), *events], 1)
        ]
        route.fulfill(content_type="text/event-stream", body="".join(frames))

    page.route("**/v1/chat/stream", fulfill, times=1)


def thread_of(page: Page) -> str:
    """The id in the page's address, of which the browser tells a little after the page has changed it."""
    expect(page).to_have_url(THREAD_URL)
    found = THREAD_URL.search(page.url)
    assert found, page.url
    return found[1]
