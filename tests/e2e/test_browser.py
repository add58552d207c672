"""Chromium against a running server: the browser's own EventSource, and the page through drops, reloads and mishaps."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.browser import (
    LAMP,
    QUESTION,
    SLOW,
    Proxy,
    Trouble,
    answer_once,
    ask,
    expect_status,
    shown,
    thread_of,
    wait_until,
)
from tests.e2e.conftest import COMMAND, START_S, environment, serving
from tests.ingest.web.site import Site, redirect
from tests.ingest.web.site import page as web_page
from tests.upstream import Upstream

pytestmark = pytest.mark.timeout(300)

QUIET_S = 8
"""A browser's EventSource asks again after 1 s; by then it would have done so several times."""

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
    steps = turn.get_by_test_id("steps").locator(".step")
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
    expect(turn.get_by_test_id("error")).to_have_attribute("data-code", "server_restart")
    expect(turn.get_by_test_id("steps").locator(".step")).to_have_attribute("data-state", "unfinished")


def test_another_source_never_shows_the_passage_of_the_one_before(page: Page, extractive: str) -> None:
    """Until it was loaded, its quotes were looked for in the passage before, and told as missing there."""
    page.goto(f"{extractive}/")
    turn = ask(page, LAMP)
    expect_status(turn, "completed")
    panel = page.get_by_test_id("source-panel")
    turn.get_by_test_id("all-sources").click()
    sources = panel.get_by_test_id("source")
    sources.nth(0).click()
    expect(panel).to_contain_text("The lamp burns paraffin")

    held: list[Route] = []
    page.route("**/v1/sources/*", lambda route: held.append(route))
    panel.get_by_test_id("back-to-sources").click()
    sources.nth(1).click()
    wait_until(page, lambda: held)
    expect(panel).to_contain_text("Loading")
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
