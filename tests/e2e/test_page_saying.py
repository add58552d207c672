"""The page, point 5: say. Thumbs with a comment, why there is no answer, errors in plain words with a retry."""

import re
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, expect

from server.errors import STATUS
from tests.e2e.browser import LAMP, QUESTION, Trouble, answer_once, ask, expect_status, shown, thread_of, wait_until
from tests.e2e.conftest import Serve, answered_by
from tests.upstream import Upstream

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]

WORDS = Path(__file__).parents[2] / "web" / "src" / "words"
SAYING_WHICH = {"invalid_request", "document_unreadable"}
"""Codes whose own words name the field or the file; in English nothing has to be added."""
NONSENSE = "Who won the football world cup in 2038?"


def feedback(address: str, page: Page) -> list[object]:
    turns = httpx2.get(f"{address}/v1/threads/{thread_of(page)}").json()["turns"]
    return [turn.get("feedback") for turn in turns]


def test_point_5_say(looked: Page, extractive: str) -> None:
    """A journey: a thumb with a comment that a reload shows, taken back; an abstention; an error with its retry."""
    page = looked
    trouble = Trouble(page, extractive)
    page.goto(f"{extractive}/")
    turn = ask(page, LAMP)
    expect_status(turn, "completed")
    turn.get_by_test_id("thumb-down").click()
    page.get_by_test_id("comment").fill("太短 too short")
    page.get_by_test_id("send-comment").click()
    expect(turn.locator(".comment-shown")).to_contain_text("太短 too short")
    assert feedback(extractive, page) == [{"score": -1, "comment": "太短 too short"}]
    page.reload()
    turn = page.locator("article.turn")
    expect(turn.get_by_test_id("thumb-down")).to_have_attribute("aria-pressed", "true")
    expect(turn.locator(".comment-shown")).to_contain_text("太短 too short")
    turn.get_by_test_id("thumb-up").click()
    wait_until(page, lambda: feedback(extractive, page) == [{"score": 1, "comment": None}])
    turn.get_by_test_id("thumb-up").click()
    wait_until(page, lambda: feedback(extractive, page) == [None])

    turn = ask(page, NONSENSE)
    expect_status(turn, "abstained")
    reason = turn.locator(".no-answer")
    expect(reason.locator("li")).not_to_have_count(0)
    reason.get_by_role("button").first.click()
    expect(page.get_by_test_id("source-list")).to_be_visible()
    page.get_by_test_id("close-panel").click()
    assert trouble.seen == []

    error = {"error": {"code": "too_many_runs", "message": "busy"}}
    page.route("**/v1/chat/stream", lambda route: route.fulfill(status=503, json=error), times=1)
    turns = page.locator("article.turn")
    page.get_by_test_id("question").fill(QUESTION)
    page.get_by_test_id("question").press("Enter")
    refused = turns.nth(2).get_by_test_id("error")
    expect(refused).to_have_attribute("data-code", "too_many_runs")
    refused.get_by_role("button").click()
    expect_status(turns.nth(2), "completed")
    assert "The fox sleeps in a den." in shown(turns.nth(2))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_code_of_the_service_has_plain_words(language: str) -> None:
    """The service's own words are English, and for those who call it; a reader gets his own."""
    table = (WORDS / f"{language}.ts").read_text(encoding="utf-8")
    codes = set(re.findall(r"^    (\w+):", table[table.index("  errors: {") :], re.MULTILINE))
    assert set(STATUS) - SAYING_WHICH - codes == set()
    assert language == "en" or codes >= SAYING_WHICH


def test_an_error_is_told_in_the_readers_words(looked: Page, extractive: str) -> None:
    looked.goto(f"{extractive}/")
    answer_once(looked, ("failed", {"code": "model_timeout", "message": "service words", "retryable": True}))
    told = ask(looked, QUESTION).get_by_test_id("error").locator("p")
    expect(told).not_to_contain_text("service words")
    words = {"en": "The language model did not answer in time.", "zh-CN": "语言模型没有及时回答。"}
    expect(told).to_contain_text(words[looked.evaluate("document.documentElement.lang")])


def test_a_greeting_is_no_failure_to_answer(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    turn = ask(page, "hello")
    expect_status(turn, "abstained")
    expect(turn.locator(".no-answer")).to_have_count(0)
    page.reload()
    expect(page.locator("article.turn").locator(".no-answer")).to_have_count(0)


def test_a_thumb_that_could_not_be_kept_says_so(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    turn = ask(page, LAMP)
    expect_status(turn, "completed")
    page.route("**/feedback", lambda route: route.abort(), times=1)
    turn.get_by_test_id("thumb-up").click()
    expect(turn.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(turn.get_by_test_id("thumb-up")).to_have_attribute("aria-pressed", "false")
    turn.get_by_test_id("thumb-up").click()
    expect(turn.get_by_test_id("thumb-up")).to_have_attribute("aria-pressed", "true")


def test_no_server_at_all_says_so_and_asks_again(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    page.route("**/v1/chat/stream", lambda route: route.abort())
    turn = ask(page, QUESTION)
    error = turn.get_by_test_id("error")
    expect(error).to_have_attribute("data-code", "connection_lost", timeout=30_000)
    page.unroute("**/v1/chat/stream")
    error.get_by_role("button").click()
    expect_status(page.locator("article.turn"), "completed")


def test_a_run_that_failed_is_asked_again_in_its_place(page: Page, serve: Serve, upstream: Upstream) -> None:
    """The model's server fails three times, which is one run, and answers then."""
    with serve(**answered_by(upstream, "flaky:500:3")) as address:
        page.goto(f"{address}/")
        turn = ask(page, QUESTION)
        error = turn.get_by_test_id("error")
        expect(error).to_have_attribute("data-code", "model_unavailable")
        error.get_by_role("button").click()
        expect_status(page.locator("article.turn"), "completed")
        turns = httpx2.get(f"{address}/v1/threads/{thread_of(page)}").json()["turns"]
        assert [turn["status"] for turn in turns] == ["completed"]
        page.reload()
        expect(page.locator("article.turn")).to_have_count(1)


def test_an_answer_that_broke_off_says_so_and_is_kept(page: Page, serve: Serve, upstream: Upstream) -> None:
    with serve(**answered_by(upstream, "drop:4")) as address:
        page.goto(f"{address}/")
        turn = ask(page, QUESTION)
        expect_status(turn, "incomplete")
        expect(turn.get_by_test_id("status")).to_contain_text("broke off")
        assert shown(turn) == "The fox sleeps in"
        page.reload()
        expect_status(page.locator("article.turn"), "incomplete")
