"""The page, point 6: for everybody. Any width, light and dark, keyboard, screen readers, languages, right to left."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import (
    DESKTOP,
    LAMP,
    PHONE,
    QUESTION,
    WAIT_MS,
    Trouble,
    answer_once,
    ask,
    expect_status,
    shown,
    wait_until,
)

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
ARABIC = "تنام القطة ست عشرة ساعة [1]."


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, locale="en-US") as context:
        context.set_default_timeout(WAIT_MS)
        yield context.new_page()


def serious(page: Page) -> list[str]:
    """What axe-core holds against what is on the page now, and whom it hits."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate("rules => axe.run(rules).then(result => result.violations)", RULES)
    return [
        f"{violation['id']}: {[node['html'][:120] for node in violation['nodes']][:3]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]


def test_point_6_for_everybody(looked: Page, extractive: str) -> None:
    """A journey by keyboard alone: ask, go through the citations, read one, come back, find the keys; with axe."""
    page = looked
    trouble = Trouble(page, extractive)
    page.goto(f"{extractive}/")
    expect(page.get_by_test_id("question")).to_be_focused()
    assert serious(page) == []
    page.keyboard.type(LAMP)
    page.keyboard.press("Enter")
    turn = page.locator("article.turn")
    expect_status(turn, "completed")
    markers = turn.get_by_test_id("marker")
    wait_until(page, lambda: markers.count() >= 2)
    assert serious(page) == []

    markers.first.focus()
    expect(page.get_by_test_id("quote-card")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(markers.nth(1)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(markers.nth(0)).to_be_focused()
    assert serious(page) == []
    page.keyboard.press("Enter")
    panel = page.get_by_test_id("source-panel")
    expect(panel).to_be_focused()
    expect(panel.get_by_test_id("quote")).to_be_visible()
    assert serious(page) == []
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(markers.first).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Esc")
    assert serious(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_test_id("question")).to_be_focused()
    assert page.get_by_test_id("question").input_value() == ""
    page.get_by_test_id("documents-link").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("document").first).to_be_visible()
    assert serious(page) == []
    assert trouble.seen == []


def test_escape_stops_the_answer(page: Page, slow: str) -> None:
    page.goto(f"{slow}/")
    turn = ask(page, QUESTION)
    wait_until(page, lambda: "word3 " in shown(turn))
    page.keyboard.press("Escape")
    expect_status(turn, "stopped")


def test_a_screen_reader_hears_steps_and_sentences_and_no_tokens(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    expect_status(ask(page, LAMP), "completed")
    log = page.get_by_test_id("announcer")
    assert log.get_attribute("aria-live") == "polite"
    heard = log.locator("p").all_inner_texts()
    assert heard[:3] == ["Understanding the question", "Searching the documents", "Writing the answer"]
    assert "The lamp burns paraffin and must be trimmed every four hours." in heard
    assert heard[-1] == "Every sentence is backed by a source"
    assert len(heard) == len(set(heard))
    page.reload()
    expect(page.locator("article.turn")).to_have_count(1)
    expect(log.locator("p")).to_have_count(0)


def test_a_phone_has_everything_without_scrolling_sideways(phone: Page, extractive: str) -> None:
    trouble = Trouble(phone, extractive)
    phone.goto(f"{extractive}/")
    turn = ask(phone, LAMP)
    expect_status(turn, "completed")
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert serious(phone) == []
    turn.get_by_test_id("marker").first.tap()
    panel = phone.get_by_test_id("source-panel")
    expect(panel.get_by_test_id("quote")).to_be_in_viewport()
    expect(turn.get_by_test_id("marker").first).to_be_in_viewport()
    assert serious(phone) == []
    phone.get_by_test_id("close-panel").tap()
    phone.get_by_test_id("menu").tap()
    expect(phone.get_by_role("dialog").get_by_test_id("thread").first).to_be_visible()
    assert serious(phone) == []
    phone.get_by_test_id("documents-link").tap()
    expect(phone.get_by_test_id("bring")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert serious(phone) == []
    assert trouble.seen == []


@pytest.mark.parametrize("width", [320, 600, 960, 1216, 2560])
def test_nothing_is_cut_off_at_any_width(width: int, page: Page, extractive: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{extractive}/")
    turn = ask(page, LAMP)
    expect_status(turn, "completed")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".main").evaluate("main => main.scrollWidth <= main.clientWidth")
    turn.get_by_test_id("marker").first.click()
    expect(page.get_by_test_id("source-panel").get_by_test_id("quote")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_theme_that_was_chosen_stays(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_test_id("theme").select_option("dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_the_interface_is_in_the_browsers_language(looked: Page, extractive: str) -> None:
    looked.goto(f"{extractive}/")
    lang = looked.evaluate("document.documentElement.lang")
    expect(looked.get_by_test_id("send")).to_have_text({"en": "Ask", "zh-CN": "提问"}[lang])
    chinese = re.compile("[一-鿿]")
    told = [looked.locator(".sidebar").inner_text(), looked.locator(".main").inner_text()]
    assert all(bool(chinese.search(text)) is (lang == "zh-CN") or "猫" in text for text in told)


def test_text_from_right_to_left_stands_where_it_belongs(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    done = {
        "status": "completed", "message_id": "m", "answer": ARABIC, "cited": [], "grounding": "none",
        "usage": {"input_tokens": 0, "output_tokens": 0}, "timings": {"ttft_ms": 1, "total_ms": 1},
    }  # fmt: skip
    answer_once(page, ("message", {"delta": f"{ARABIC}\n\nAn English sentence."}), ("done", done))
    question = "كم تنام القطة؟"
    turn = ask(page, question)
    expect_status(turn, "completed")
    direction = "element => getComputedStyle(element).direction"
    assert turn.locator(".question").evaluate(direction) == "rtl"
    assert turn.locator(".block").first.evaluate(direction) == "rtl"
    assert page.locator(".sidebar").evaluate(direction) == "ltr"
    page.get_by_test_id("question").fill(question)
    assert page.get_by_test_id("question").evaluate(direction) == "rtl"


def test_wide_text_and_code_scroll_in_themselves(page: Page, extractive: str) -> None:
    page.set_viewport_size({**DESKTOP, "width": 480})
    page.goto(f"{extractive}/")
    wide = "x" * 300
    answer = f"{wide}\n\n```sh\n{wide}\n```\n\n| {wide} | b |\n|---|---|\n| 1 | 2 |\n\n$$\n{'x+' * 150}x\n$$\n"
    done = {
        "status": "completed", "message_id": "m", "answer": answer, "cited": [], "grounding": "none",
        "usage": {"input_tokens": 0, "output_tokens": 0}, "timings": {"ttft_ms": 1, "total_ms": 1},
    }  # fmt: skip
    answer_once(page, ("message", {"delta": answer}), ("done", done))
    turn = ask(page, wide)
    expect_status(turn, "completed")
    expect(turn.locator(".katex-display")).to_be_visible()
    assert page.locator(".main").evaluate("main => main.scrollWidth <= main.clientWidth")
