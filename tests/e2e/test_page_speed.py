"""How fast the page is, how much it weighs, and that it stays so: first paint, long answers, many turns."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.e2e.browser import DESKTOP, QUESTION, WAIT_MS, Trouble, ask, expect_status, shown
from tests.e2e.conftest import Serve, answered_by
from tests.upstream import Upstream

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

FIRST_PAINT_BYTES = 250_000
FIRST_PAINT_MS = 1_000
LONG_TASK_MS = 100
TURNS = 50
TRIES = 3
"""The best of so many: other work on the machine must not count, and cannot make anything faster."""

WATCH_TASKS = """
window.tasks = [];
new PerformanceObserver(list => tasks.push(...list.getEntries().map(({ duration }) => duration)))
    .observe({ type: "longtask" });
"""


@pytest.fixture(scope="module")
def long(serve: Serve, upstream: Upstream) -> Iterator[str]:
    settings = {"max_output_tokens": 20_000, "context_budget_tokens": 30_000}
    with serve(**answered_by(upstream, "essay:2000:0.01"), **settings) as address:
        yield address


def test_what_the_first_paint_needs_is_light(extractive: str) -> None:
    index = httpx2.get(f"{extractive}/").text
    files = re.findall(r'(?:src|href)="(/assets/[^"]+)"', index)
    sizes = {file: len(gzip.compress(httpx2.get(f"{extractive}{file}").content)) for file in files}
    print(f"gzip bytes at first paint: {sum(sizes.values())} {sizes}")  # noqa: T201
    assert any(file.endswith(".js") for file in files)
    assert sum(sizes.values()) <= FIRST_PAINT_BYTES


@pytest.mark.acceptance
def test_the_first_paint_comes_within_a_second(browser: Browser, extractive: str) -> None:
    taken = []
    for _ in range(TRIES):
        with browser.new_context(viewport=DESKTOP) as context:
            page = context.new_page()
            page.goto(f"{extractive}/")
            expect(page.get_by_test_id("question")).to_be_visible()
            taken.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
    print(f"first contentful paint: {[round(ms) for ms in taken]} ms")  # noqa: T201
    assert min(taken) <= FIRST_PAINT_MS


@pytest.mark.acceptance
def test_a_long_answer_never_holds_the_page_up(page: Page, long: str) -> None:
    """2,000 words at 100 a second."""
    page.set_default_timeout(4 * WAIT_MS)
    longest = []
    for _ in range(TRIES):
        page.goto(f"{long}/")
        page.evaluate(WATCH_TASKS)
        turn = ask(page, QUESTION)
        expect(turn.get_by_test_id("status")).to_have_attribute("data-status", "completed", timeout=4 * WAIT_MS)
        assert "word1999" in shown(turn)
        longest.append(max([0, *page.evaluate("tasks")]))
        if longest[-1] <= LONG_TASK_MS:
            break
    print(f"longest task: {[round(ms) for ms in longest]} ms")  # noqa: T201
    assert min(longest) <= LONG_TASK_MS


def test_memory_stays_flat_over_fifty_turns(page: Page, extractive: str) -> None:
    trouble = Trouble(page, extractive)
    page.goto(f"{extractive}/")
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")
    turns = page.locator("article.turn")
    expect_status(ask(page, QUESTION), "completed")
    expect_status(ask(page, QUESTION), "completed")
    page.get_by_test_id("new-thread").click()
    expect(turns).to_have_count(0)
    before = measure(client)
    at = {}
    for number in range(1, TURNS + 1):
        expect_status(ask(page, QUESTION), "completed")
        if number in (TURNS // 2, TURNS):
            at[number] = measure(client)
    page.get_by_test_id("new-thread").click()
    expect(turns).to_have_count(0)
    # React keeps what it drew last until it has drawn something else in its place.
    expect_status(ask(page, QUESTION), "completed")
    page.get_by_test_id("new-thread").click()
    expect(turns).to_have_count(0)
    after = measure(client)
    print(f"heap, nodes, listeners: before {before}, {at}, after {after}")  # noqa: T201
    grown = (at[TURNS][0] - at[TURNS // 2][0]) / (TURNS // 2)
    assert grown < 200_000, "bytes a turn that is shown"
    assert after[0] - before[0] < 3_000_000
    assert after[1] - before[1] < 500
    assert after[2] - before[2] < 100
    assert trouble.seen == []


def measure(client: CDPSession) -> tuple[int, int, int]:
    """Bytes of the heap, DOM nodes and listeners, after what nobody needs is gone."""
    for _ in range(2):
        client.send("HeapProfiler.collectGarbage")
    metrics = {entry["name"]: int(entry["value"]) for entry in client.send("Performance.getMetrics")["metrics"]}
    return metrics["JSHeapUsedSize"], metrics["Nodes"], metrics["JSEventListeners"]


def test_grammars_and_formulas_are_fetched_only_when_they_are_needed(page: Page, extractive: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(Path(request.url).name))
    page.goto(f"{extractive}/")
    expect_status(ask(page, QUESTION), "completed")
    assert not [name for name in asked if name.startswith(("grammars", "typesetting", "KaTeX"))]
