"""Chromium against a running server: the browser's own EventSource, dropped connections, and the page."""

import json
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect, sync_playwright

from tests.e2e.conftest import COMMAND, END_S, START_S, Serve, answered_by, environment, serving
from tests.ingest.web.site import Site, redirect
from tests.ingest.web.site import page as web_page
from tests.upstream import Upstream

pytestmark = pytest.mark.timeout(300)

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
REQUIRED = "CITESTREAM_REQUIRE_SERVICES"
"""Set where everything must be there, as in CI: what is missing is then a failure."""
WAIT_MS = 30_000
QUIET_S = 8
"""A browser's EventSource asks again after 1 s; by then it would have done so several times."""
GRACE_S = 20
"""How long a dropped run goes on: a busy machine may take its time to come back."""

QUESTION = "Where does the fox sleep?"
LAMP = "How often must the lamp be trimmed?"
SLOW = ("slow:120:0.05", "".join(f"word{number} " for number in range(120)))
"""A model that takes six seconds, and what it says."""

LISTEN = """
url => {
    const seen = window.seen = { events: [], opened: 0 };
    const source = window.source = new EventSource(url);
    source.onopen = () => seen.opened += 1;
    for (const name of ["run", "status", "source", "message", "citation", "suggest", "done", "failed"]) {
        source.addEventListener(name, ({ data, lastEventId }) =>
            seen.events.push({ name, data: JSON.parse(data), id: lastEventId }));
    }
}
"""
"""Opens an EventSource as any page would: it is never closed, and errors are not looked at."""


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
        self._threads[0].join(END_S)
        self.cut()
        for thread in self._threads:
            thread.join(END_S)
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


def wait_until(page: Page, condition: Callable[[], Any]) -> None:
    end = time.monotonic() + WAIT_MS / 1000
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
    with browser.new_context(viewport={"width": 1280, "height": 860}) as context:
        context.set_default_timeout(WAIT_MS)
        yield context.new_page()


@pytest.fixture(scope="module")
def extractive(serve: Serve) -> Iterator[str]:
    with serve() as address:
        yield address


@pytest.fixture(scope="module")
def slow(serve: Serve, upstream: Upstream) -> Iterator[str]:
    with serve(**answered_by(upstream, SLOW[0]), disconnect_grace_s=GRACE_S) as address:
        yield address


@pytest.fixture
def proxy(slow: str) -> Iterator[Proxy]:
    with Proxy(slow) as passing:
        yield passing


@pytest.fixture
def calls(upstream: Upstream) -> Callable[[], int]:
    """How often the model was called in this test."""
    before = len(upstream.requests)
    return lambda: len(upstream.requests) - before


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
    found = re.search(r"[?&]thread=([^&]+)", page.url)
    assert found, page.url
    return found[1]


def test_a_browsers_eventsource_asks_once_and_stays_closed_after_the_end(
    page: Page, slow: str, calls: Callable[[], int]
) -> None:
    page.goto(f"{slow}/")
    page.evaluate(LISTEN, f"/v1/chat/stream?question={QUESTION}")
    wait_until(page, lambda: page.evaluate("seen.events.some(({ name }) => name === 'done')"))
    page.wait_for_timeout(QUIET_S * 1000)

    events = page.evaluate("seen.events")
    assert page.evaluate("source.readyState === EventSource.CLOSED")
    assert page.evaluate("seen.opened") == 1
    assert [event["name"] for event in events].count("run") == 1
    assert "".join(event["data"]["delta"] for event in events if event["name"] == "message") == SLOW[1]
    assert calls() == 1


def test_a_browsers_eventsource_goes_on_after_a_drop_without_a_second_run(
    page: Page, proxy: Proxy, calls: Callable[[], int]
) -> None:
    page.goto(f"{proxy.address}/")
    page.evaluate(LISTEN, f"/v1/chat/stream?question={QUESTION}")
    wait_until(page, lambda: page.evaluate("seen.events.filter(({ name }) => name === 'message').length > 10"))
    assert proxy.cut() >= 1
    wait_until(page, lambda: page.evaluate("seen.events.some(({ name }) => name === 'done')"))

    events = page.evaluate("seen.events")
    numbers = [int(event["id"].rpartition(":")[2]) for event in events]
    assert page.evaluate("seen.opened") == 2
    assert numbers == list(range(1, len(events) + 1))
    assert "".join(event["data"]["delta"] for event in events if event["name"] == "message") == SLOW[1]
    assert events[-1]["data"]["answer"] == SLOW[1]
    assert calls() == 1


def test_the_page_goes_on_reading_after_a_drop_and_misses_nothing(
    page: Page, proxy: Proxy, calls: Callable[[], int]
) -> None:
    page.goto(f"{proxy.address}/")
    turn = ask(page, QUESTION)
    wait_until(page, lambda: "word10" in shown(turn))
    assert proxy.cut() >= 1
    expect_status(turn, "completed")

    stored = httpx2.get(f"{proxy.address}/v1/threads/{thread_of(page)}").json()["turns"]
    assert [record["answer"] for record in stored] == [SLOW[1]]
    assert shown(turn) == SLOW[1].strip()
    assert calls() == 1


def test_the_page_shows_the_steps_while_the_answer_grows(page: Page, slow: str) -> None:
    trouble = Trouble(page, slow)
    page.goto(f"{slow}/")
    turn = ask(page, QUESTION)
    steps = turn.get_by_test_id("steps").locator("li")
    wait_until(page, lambda: "word2" in shown(turn))
    states = steps.evaluate_all("items => items.map(({ dataset }) => [dataset.node, dataset.state])")
    early = shown(turn)
    wait_until(page, lambda: len(shown(turn)) > len(early))

    assert states == [["condense", "end"], ["retrieve", "end"], ["cite_and_generate", "start"], ["finalize", "waiting"]]
    expect(turn.get_by_test_id("status")).to_have_attribute("data-status", "running")
    assert shown(turn).startswith(early.rstrip())
    expect_status(turn, "completed")
    assert steps.evaluate_all("items => items.map(({ dataset }) => dataset.state)") == ["end"] * 4
    assert shown(turn) == SLOW[1].strip()
    assert trouble.seen == []


def test_stop_keeps_what_was_written_and_says_so(page: Page, slow: str, upstream: Upstream) -> None:
    trouble = Trouble(page, slow)
    page.goto(f"{slow}/")
    closed = upstream.closed_early
    turn = ask(page, QUESTION)
    wait_until(page, lambda: "word5" in shown(turn))
    page.get_by_test_id("stop").click()
    expect_status(turn, "stopped")

    kept = shown(turn)
    [record] = httpx2.get(f"{slow}/v1/threads/{thread_of(page)}").json()["turns"]
    assert (record["status"], record["answer"].strip()) == ("stopped", kept)
    assert SLOW[1].startswith(record["answer"])
    assert "word5" in kept
    assert "word119" not in kept
    expect(turn.get_by_test_id("status")).to_contain_text("Stopped")
    expect(page.get_by_test_id("send")).to_be_visible()
    wait_until(page, lambda: upstream.closed_early == closed + 1)
    assert trouble.seen == []


def test_a_marker_opens_the_passage_with_the_quote_marked(page: Page, extractive: str) -> None:
    trouble = Trouble(page, extractive)
    page.goto(f"{extractive}/")
    turn = ask(page, LAMP)
    expect_status(turn, "completed")
    marker = turn.get_by_test_id("marker").first
    expect(marker).to_have_attribute("data-verdict", "exact")
    marker.click()

    panel = page.get_by_test_id("source-panel")
    quote = panel.get_by_test_id("quote")
    expect(quote).to_have_text("The lamp burns paraffin and must be trimmed every four hours.")
    expect(panel).to_contain_text("Clean the lens with spirit")
    expect(panel).to_contain_text("documents/lighthouse.md")
    expect(quote).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(marker).to_be_focused()
    assert trouble.seen == []


def test_a_passage_of_a_page_of_the_web_links_to_that_page(page: Page, tmp_path: Path) -> None:
    env = environment(tmp_path / "data", web_private_hosts="127.0.0.1", web_delay_s=0)
    with Site() as site:
        site.pages |= {"/old": redirect("/lamp?a=1#part"), "/lamp?a=1": web_page("Lamps. The lamp burns paraffin.")}
        command = [COMMAND, "ingest", "--allow-web", f"{site.address}/old"]
        ingested = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=START_S)
        assert ingested.returncode == 0, ingested.stderr
    with serving(COMMAND, cwd=tmp_path, env=env) as address:
        page.goto(f"{address}/")
        turn = ask(page, "What does the lamp burn?")
        turn.get_by_test_id("marker").first.click()
        panel = page.get_by_test_id("source-panel")
        expect(panel.get_by_test_id("quote")).to_have_text("The lamp burns paraffin.")
        link = panel.get_by_role("link")
        expect(link).to_have_text(f"{site.address}/lamp?a=1")
        expect(link).to_have_attribute("href", f"{site.address}/lamp?a=1")
        expect(link).to_have_attribute("rel", re.compile("noopener"))


def test_a_marker_in_a_chinese_answer_opens_its_characters(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    turn = ask(page, "猫每天睡多久？")
    expect_status(turn, "completed")
    turn.get_by_test_id("marker").first.click()
    expect(page.get_by_test_id("source-panel").get_by_test_id("quote")).to_have_text("猫每天睡十六个小时。")


def test_a_follow_up_stays_in_the_thread_and_a_reload_shows_it_all(page: Page, extractive: str) -> None:
    trouble = Trouble(page, extractive)
    page.goto(f"{extractive}/")
    first = ask(page, QUESTION)
    expect_status(first, "completed")
    thread = thread_of(page)
    second = ask(page, "And where was it seen?")
    expect_status(second, "completed")
    answers = [shown(first), shown(second)]
    assert thread_of(page) == thread
    assert "The fox sleeps in a den." in answers[0]
    assert "A fox was seen near Oxford" in answers[1]

    page.reload()
    turns = page.locator("article.turn")
    expect(turns).to_have_count(2)
    expect(turns.locator("h2.question")).to_have_text([QUESTION, "And where was it seen?"])
    assert [shown(turns.nth(0)), shown(turns.nth(1))] == answers
    turns.nth(0).get_by_test_id("marker").first.click()
    expect(page.get_by_test_id("source-panel").get_by_test_id("quote")).to_have_text("The fox sleeps in a den.")
    page.get_by_test_id("new-thread").click()
    expect(turns).to_have_count(0)
    page.go_back()
    expect(turns).to_have_count(2)
    assert trouble.seen == []


def test_a_reload_in_mid_answer_finds_the_run_again(page: Page, slow: str, calls: Callable[[], int]) -> None:
    page.goto(f"{slow}/")
    turn = ask(page, QUESTION)
    wait_until(page, lambda: "word5" in shown(turn))
    page.reload()
    turn = page.locator("article.turn")
    expect_status(turn, "completed")
    assert shown(turn) == SLOW[1].strip()
    assert calls() == 1


def test_a_double_click_on_ask_asks_once_and_does_not_stop(page: Page, slow: str, calls: Callable[[], int]) -> None:
    """Stop takes the place of Ask, so the second click fell on it."""
    page.goto(f"{slow}/")
    page.get_by_test_id("question").fill(QUESTION)
    page.get_by_test_id("send").dblclick()
    turn = page.locator("article.turn")
    expect_status(turn, "completed")
    assert shown(turn) == SLOW[1].strip()
    assert calls() == 1


def test_a_failed_question_cannot_be_asked_again_while_another_is_answered(page: Page, slow: str) -> None:
    """Asking let go of the answer that was being written: it stayed as it was, and never ended."""
    page.goto(f"{slow}/")
    first = ask(page, QUESTION)
    wait_until(page, lambda: "word2" in shown(first))
    page.get_by_test_id("stop").click()
    expect_status(first, "stopped")
    answer_once(page, ("failed", {"code": "model_unavailable", "message": "No model.", "retryable": True}))
    again = ask(page, LAMP).get_by_role("button", name="Ask again")
    expect(again).to_be_enabled()

    running = ask(page, QUESTION)
    expect(again).to_be_disabled()
    page.get_by_test_id("stop").click()
    expect_status(running, "stopped")
    expect(again).to_be_enabled()


def test_a_step_without_an_end_does_not_go_on_after_the_run(page: Page, extractive: str) -> None:
    """Its spinner turned for ever."""
    page.goto(f"{extractive}/")
    answer_once(
        page,
        ("status", {"node": "condense", "state": "start", "label": "Understanding the question"}),
        ("failed", {"code": "server_restart", "message": "The server was restarted.", "retryable": True}),
    )
    turn = ask(page, QUESTION)
    expect(turn.get_by_test_id("error")).to_contain_text("The server was restarted.")
    expect(turn.get_by_test_id("steps").locator("li")).to_have_attribute("data-state", "unfinished")


def test_another_source_never_shows_the_passage_of_the_one_before(page: Page, extractive: str) -> None:
    """Until it was loaded, its quotes were looked for in the passage before, and told as missing there."""
    page.goto(f"{extractive}/")
    turn = ask(page, LAMP)
    expect_status(turn, "completed")
    sources = turn.get_by_test_id("sources").locator("button")
    panel = page.get_by_test_id("source-panel")
    sources.nth(0).click()
    expect(panel).to_contain_text("The lamp burns paraffin")

    held: list[Route] = []
    page.route("**/v1/sources/*", lambda route: held.append(route))
    sources.nth(1).click()
    wait_until(page, lambda: held)
    expect(panel).to_contain_text("Loading the source")
    expect(panel).not_to_contain_text("The lamp burns paraffin")
    held[0].continue_()
    expect(panel.locator(".passage")).to_be_visible()


def test_the_open_source_goes_with_its_conversation(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    turn = ask(page, LAMP)
    expect_status(turn, "completed")
    turn.get_by_test_id("marker").first.click()
    expect(page.get_by_test_id("source-panel")).to_have_count(1)
    page.go_back()
    expect(turn).to_have_count(0)
    expect(page.get_by_test_id("source-panel")).to_have_count(0)


def test_wrapped_lines_of_a_passage_fill_the_panel_and_code_keeps_its_lines(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    turn = ask(page, LAMP)
    expect_status(turn, "completed")
    turn.get_by_test_id("marker").first.click()
    passage = page.get_by_test_id("source-panel").locator(".passage")
    expect(passage).to_contain_text("compressor start")
    assert "with spirit and a soft cloth, never with soap. At dawn" in passage.inner_text()
    assert "```sh\nvalve --open main\ncompressor start" in passage.inner_text()
    assert "never with\nsoap." in (passage.text_content() or "")


def test_a_hostile_answer_runs_nothing_and_asks_nobody(page: Page, extractive: str) -> None:
    trouble = Trouble(page, extractive)
    page.goto(f"{extractive}/")
    answer = (
        "<img src=x onerror=alert(1)> <script>alert(1)</script> ![seen](https://example.org/seen.png)\n\n"
        "[run](javascript:alert(1)) [own](/v1/threads) [badge ![b](https://example.org/b.png)](https://example.org/)"
    )
    done = {
        "status": "completed", "message_id": "m", "answer": answer, "cited": [], "grounding": "none",
        "usage": {"input_tokens": 0, "output_tokens": 0}, "timings": {"ttft_ms": 1, "total_ms": 1},
    }  # fmt: skip
    answer_once(page, ("source", {"sources": []}), ("message", {"delta": answer}), ("done", done))
    turn = ask(page, QUESTION)
    expect_status(turn, "completed")
    content = turn.get_by_test_id("answer")
    expect(content.locator("a")).to_have_count(2)
    links = content.locator("a").evaluate_all("links => links.map(link => link.href)")
    assert links == ["https://example.org/seen.png", "https://example.org/"]
    assert content.locator("img, script, a a").count() == 0
    assert "<script>alert(1)</script>" in content.inner_text()
    assert trouble.seen == []
