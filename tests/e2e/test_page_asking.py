"""The page, point 1: ask and watch. Steps, words, Markdown, stop, answer anew, edit, follow-ups, copy."""

import re
from collections.abc import Callable, Iterator

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import (
    LAMP,
    QUESTION,
    SLOW,
    Trouble,
    answer_once,
    ask,
    expect_status,
    shown,
    thread_of,
    wait_until,
)
from tests.e2e.conftest import Serve, answered_by
from tests.upstream import Upstream

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]

RICH = r"""## The lamp

The lamp burns **paraffin** and must be trimmed every four hours [1]. It is fed with \(x_1\) litres, $5 a litre.

| part | cloth |
|---|---|
| lens | soft |

```python
def trim(lamp: str) -> int:
    return len(lamp)  # four hours
```

\[
h = \frac{24}{n}
\]

- [guide](https://example.org/guide)
"""

DONE = {
    "status": "completed", "message_id": "m", "answer": "Yes.", "cited": [], "grounding": "none",
    "usage": {"input_tokens": 0, "output_tokens": 0}, "timings": {"ttft_ms": 1, "total_ms": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def rich(serve: Serve, upstream: Upstream) -> Iterator[str]:
    with serve(**answered_by(upstream, f"text:{RICH}")) as address:
        yield address


@pytest.fixture(scope="module")
def forgetful(serve: Serve, upstream: Upstream) -> Iterator[str]:
    """A server whose prompts hold no earlier turns."""
    with serve(**answered_by(upstream, "say"), history_budget_tokens=0) as address:
        yield address


def test_point_1_ask_and_watch(looked: Page, slow: str, upstream: Upstream) -> None:
    """A journey: ask, watch the steps and the words, stop, answer anew, edit, copy."""
    page = looked
    trouble = Trouble(page, slow)
    page.goto(f"{slow}/")
    turn = ask(page, QUESTION)
    wait_until(page, lambda: "word3" in shown(turn))
    steps = turn.get_by_test_id("steps").locator(".step")
    assert steps.evaluate_all("steps => steps.map(({ dataset }) => dataset.state)") == [
        "end",
        "end",
        "start",
        "waiting",
    ]
    page.get_by_test_id("stop").click()
    expect_status(turn, "stopped")
    kept = shown(turn)
    assert SLOW[1].startswith(kept)
    assert "word3" in kept

    turn.get_by_test_id("regenerate").click()
    turns = page.locator("article.turn")
    wait_until(page, lambda: turns.count() == 1 and "word2" in shown(turns.first) and shown(turns.first) != kept)
    expect_status(turns.first, "completed")
    assert shown(turns.first) == SLOW[1].strip()

    turns.first.hover()
    turns.first.get_by_test_id("edit").click()
    page.get_by_test_id("edit-question").fill(LAMP)
    page.get_by_test_id("edit-question").press("Enter")
    expect(turns.first.locator(".question")).to_have_text(LAMP)
    wait_until(page, lambda: "word1" in shown(turns.first))
    page.get_by_test_id("stop").click()
    expect_status(turns.first, "stopped")
    turns.first.get_by_test_id("copy").click()
    wait_until(page, lambda: page.evaluate("navigator.clipboard.readText()").strip().startswith("word0 word1"))

    [stored] = httpx2.get(f"{slow}/v1/threads/{thread_of(page)}").json()["turns"]
    assert (stored["question"], stored["status"]) == (LAMP, "stopped")
    assert trouble.seen == []


def test_an_answer_shows_tables_code_and_formulas(page: Page, rich: str) -> None:
    trouble = Trouble(page, rich)
    page.goto(f"{rich}/")
    turn = ask(page, LAMP)
    expect_status(turn, "completed")
    answer = turn.get_by_test_id("answer")
    expect(answer.locator("table td")).to_have_text(["lens", "soft"])
    expect(answer.locator("figure.code .hljs-keyword").first).to_have_text("def")
    expect(answer.locator(".katex")).to_have_count(2)
    expect(answer.locator(".formula.display .katex-display")).to_have_count(1)
    expect(answer).to_contain_text("$5 a litre")
    link = answer.get_by_role("link")
    expect(link).to_have_text("guide (example.org)")
    assert [link.get_attribute(name) for name in ("href", "target", "rel")] == [
        "https://example.org/guide", "_blank", "noopener noreferrer nofollow",
    ]  # fmt: skip
    assert trouble.seen == []


def test_code_and_answers_are_copied_with_what_they_need(page: Page, rich: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{rich}/")
    turn = ask(page, LAMP)
    expect_status(turn, "completed")
    turn.locator("figure.code").get_by_test_id("copy").click()
    wait_until(page, lambda: page.evaluate("navigator.clipboard.readText()").startswith("def trim"))
    assert page.evaluate("navigator.clipboard.readText()").endswith("# four hours")

    turn.locator(".actions").get_by_test_id("copy").click()
    wait_until(page, lambda: "Sources" in page.evaluate("navigator.clipboard.readText()"))
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(RICH.strip())
    assert re.search(r"- \[1\] \*\*.*lighthouse.md\n\n   > The lamp burns paraffin .* — ", copied)


def test_copying_works_where_the_browser_has_no_clipboard_to_write(page: Page, extractive: str) -> None:
    """On plain http from another machine there is none."""
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto(f"{extractive}/")
    turn = ask(page, QUESTION)
    expect_status(turn, "completed")
    turn.get_by_test_id("copy").click()
    expect(turn.get_by_test_id("copy")).to_contain_text("Copied")
    page.get_by_test_id("question").focus()
    page.keyboard.press("Control+V")
    assert "The fox sleeps in a den." in page.get_by_test_id("question").input_value()


def test_steps_say_what_they_did(page: Page, forgetful: str) -> None:
    page.goto(f"{forgetful}/")
    expect_status(ask(page, QUESTION), "completed")
    turn = ask(page, "And what else of it?")
    expect_status(turn, "completed")
    steps = turn.get_by_test_id("steps")
    steps.locator("summary").first.click()
    expect(steps.locator("[data-node=condense]")).to_contain_text("1 earlier turn left out")
    expect(steps.locator("[data-node=retrieve]")).to_contain_text("passages found")
    expect(steps.locator("[data-node=cite_and_generate]")).to_contain_text("citations")


def test_a_stored_turn_tells_its_steps_as_well(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    expect_status(ask(page, QUESTION), "completed")
    page.reload()
    steps = page.locator("article.turn").get_by_test_id("steps")
    steps.locator("summary").click()
    expect(steps.locator(".step")).to_have_count(4)
    expect(steps.locator("[data-node=retrieve]")).to_contain_text("found")


def test_a_follow_up_that_is_suggested_is_asked_by_a_click(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    suggest = ("suggest", {"questions": [LAMP]})
    answer_once(page, ("source", {"sources": []}), ("message", {"delta": "Yes."}), suggest, ("done", DONE))
    expect_status(ask(page, QUESTION), "completed")
    page.get_by_test_id("suggestions").get_by_role("button").click()
    expect(page.locator("article.turn").nth(1).locator(".question")).to_have_text(LAMP)


def test_an_edited_question_keeps_what_was_there_when_it_fails(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    first = ask(page, QUESTION)
    expect_status(first, "completed")
    before = shown(first)
    expect_status(ask(page, LAMP), "completed")
    answer_once(page, ("failed", {"code": "model_unavailable", "message": "No model.", "retryable": True}))
    first.hover()
    first.get_by_test_id("edit").click()
    page.get_by_test_id("edit-question").fill("Where do badgers live?")
    page.get_by_test_id("edit-question").press("Enter")
    turns = page.locator("article.turn")
    expect(turns.locator(".question")).to_have_text([QUESTION, LAMP, "Where do badgers live?"])
    assert shown(turns.nth(0)) == before
    expect(turns.nth(2).get_by_test_id("error")).to_have_attribute("data-code", "model_unavailable")


def test_the_reader_is_not_pulled_along_after_scrolling_up(page: Page, slow: str) -> None:
    page.set_viewport_size({"width": 500, "height": 400})
    page.goto(f"{slow}/")
    turn = ask(page, QUESTION)
    wait_until(page, lambda: page.locator(".main").evaluate("main => main.scrollTop") > 60)
    page.locator(".main").evaluate("main => { main.scrollTop = 0 }")
    length = len(shown(turn))
    wait_until(page, lambda: len(shown(turn)) > length + 100)
    assert page.locator(".main").evaluate("main => main.scrollTop") == 0
    expect_status(turn, "completed")


def test_words_that_came_do_not_move(page: Page, slow: str) -> None:
    """While the answer grows, what was written stays where it is in the page."""
    page.goto(f"{slow}/")
    turn = ask(page, QUESTION)
    wait_until(page, lambda: "word1 " in shown(turn))
    top = "() => document.querySelector('[data-testid=answer]').getBoundingClientRect().top"
    tops = set()
    for _ in range(20):
        tops.add(round(page.evaluate(top)))
        page.wait_for_timeout(100)
    assert len(tops) == 1
    page.get_by_test_id("stop").click()
    expect_status(turn, "stopped")
    assert {round(page.evaluate(top))} == tops


def test_a_double_answer_anew_is_one_run(page: Page, slow: str, calls: Callable[[], int]) -> None:
    page.goto(f"{slow}/")
    turn = ask(page, QUESTION)
    expect_status(turn, "completed")
    turn.get_by_test_id("regenerate").dblclick()
    expect_status(page.locator("article.turn"), "completed")
    assert calls() == 2


def test_what_a_reasoning_model_thinks_stands_beside_the_steps(page: Page, serve: Serve, upstream: Upstream) -> None:
    with serve(**answered_by(upstream, "think")) as address:
        page.goto(f"{address}/")
        turn = ask(page, QUESTION)
        expect_status(turn, "completed")
        assert "Let me see." not in shown(turn)
        turn.get_by_test_id("steps").locator("summary").first.click()
        turn.locator(".thoughts summary").click()
        expect(turn.locator(".thoughts p")).to_have_text("Let me see.")


def test_a_question_that_is_too_long_says_so_and_is_kept(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    box = page.get_by_test_id("question")
    box.fill("?" * 8001)
    expect(page.locator(".ask").get_by_role("alert")).to_contain_text("8,000 characters at most")
    expect(page.get_by_test_id("send")).to_be_disabled()
    box.press("Enter")
    assert len(box.input_value()) == 8001
    box.fill("  \n ")
    expect(page.get_by_test_id("send")).to_be_disabled()


def test_a_word_that_is_being_composed_is_not_sent(page: Page, extractive: str) -> None:
    """Enter ends a word of an input method, as Chinese is written with one."""
    page.goto(f"{extractive}/")
    box = page.get_by_test_id("question")
    box.fill("猫每天睡多久？")
    box.evaluate(
        "box => box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true }))"
    )
    page.wait_for_timeout(300)
    expect(page.locator("article.turn")).to_have_count(0)
    assert box.input_value() == "猫每天睡多久？"
