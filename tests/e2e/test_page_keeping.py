"""The page, point 3: keep. Conversations in the side bar, links, reloads, drops, and two tabs on one thread."""

import re
from collections.abc import Callable

import httpx2
import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.e2e.browser import (
    LAMP,
    QUESTION,
    SLOW,
    Proxy,
    ask,
    expect_status,
    shown,
    thread_of,
    wait_until,
)

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]

TURNS = "article.turn"


def test_point_3_keep(looked: Page, slow: str, calls: Callable[[], int]) -> None:
    """A journey: ask, reload in mid-answer, go offline and come back, find, rename, follow a link, delete."""
    page = looked
    page.goto(f"{slow}/")
    turn = ask(page, QUESTION)
    wait_until(page, lambda: "word5 " in shown(turn))
    thread = thread_of(page)
    assert page.url == f"{slow}/t/{thread}"
    page.reload()
    turn = page.locator(TURNS)
    wait_until(page, lambda: "word15 " in shown(turn))
    page.context.set_offline(True)
    expect(turn.locator(".status.dropped")).to_be_visible()
    page.wait_for_timeout(1500)
    page.context.set_offline(False)
    expect_status(turn, "completed")
    assert shown(turn) == SLOW[1].strip()
    assert calls() == 1

    line = page.locator(f"[data-testid=thread][data-thread='{thread}']")
    expect(line.locator("a")).to_have_text(QUESTION)
    line.hover()
    line.get_by_test_id("rename").click()
    page.get_by_test_id("new-title").fill(f"Fuchs 狐狸 {thread[:6]}")
    page.get_by_test_id("new-title").press("Enter")
    expect(line.locator("a")).to_have_text(f"Fuchs 狐狸 {thread[:6]}")
    page.get_by_test_id("search-threads").fill(f"狐狸 {thread[:6]}")
    expect(page.get_by_test_id("thread")).to_have_count(1)
    page.get_by_test_id("new-thread").click()
    expect(page.locator(TURNS)).to_have_count(0)
    line.locator("a").click()
    expect(page.locator(TURNS)).to_have_count(1)
    assert page.url == f"{slow}/t/{thread}"
    line.hover()
    line.get_by_test_id("delete").click()
    page.get_by_test_id("confirm").click()
    expect(line).to_have_count(0)
    expect(page.locator(TURNS)).to_have_count(0)
    assert page.url == f"{slow}/"
    assert httpx2.get(f"{slow}/v1/threads/{thread}").status_code == 404
    assert calls() == 1


def test_a_question_is_one_run_through_a_reload_before_its_first_event(
    page: Page, slow: str, calls: Callable[[], int]
) -> None:
    """Nothing in the address names the thread as yet; the question was lost."""
    page.goto(f"{slow}/")
    asked: list[Request] = []
    held: list[Route] = []

    def hold(route: Route) -> None:
        asked.append(route.request)
        if len(asked) == 1:
            held.append(route)
        else:
            route.continue_()

    page.route("**/v1/chat/stream", hold)
    page.get_by_test_id("question").fill(QUESTION)
    page.get_by_test_id("question").press("Enter")
    wait_until(page, lambda: held)
    page.reload()
    turn = page.locator(TURNS)
    expect_status(turn, "completed")
    assert shown(turn) == SLOW[1].strip()
    runs = {request.post_data_json["run_id"] for request in asked}
    assert (len(asked), len(runs), calls()) == (2, 1, 1)


def test_a_question_whose_answer_is_lost_on_its_way_is_one_run(page: Page, slow: str, calls: Callable[[], int]) -> None:
    """The server had it, and the connection broke before the first event: it is asked again under the same id."""
    page.goto(f"{slow}/")
    bodies: list[dict[str, str]] = []

    def lose(route: Route) -> None:
        bodies.append(route.request.post_data_json)
        if len(bodies) == 1:
            with httpx2.stream("POST", f"{slow}/v1/chat/stream", json=bodies[0]) as response:
                next(response.iter_lines())
            route.abort()
        else:
            route.continue_()

    page.route("**/v1/chat/stream", lose)
    turn = ask(page, QUESTION)
    expect_status(turn, "completed")
    assert shown(turn) == SLOW[1].strip()
    assert bodies == [bodies[0]] * 2
    assert calls() == 1


def test_going_on_before_the_page_listens_shows_what_the_address_says(page: Page, slow: str) -> None:
    page.add_init_script("""
        const add = window.addEventListener;
        window.addEventListener = function (type, ...rest) {
            if (type === "popstate") history.replaceState(null, "", "/documents");
            return add.call(window, type, ...rest);
        };
    """)
    page.goto(f"{slow}/")
    expect(page.get_by_test_id("documents")).to_be_visible()


def test_a_question_is_one_run_through_back_and_forward(page: Page, slow: str, calls: Callable[[], int]) -> None:
    page.goto(f"{slow}/documents")
    page.goto(f"{slow}/")
    turn = ask(page, QUESTION)
    wait_until(page, lambda: "word5 " in shown(turn))
    page.go_back()
    expect(page.locator(TURNS)).to_have_count(0)
    page.go_back()
    expect(page.get_by_test_id("documents")).to_be_visible()
    page.go_forward()
    page.go_forward()
    turn = page.locator(TURNS)
    expect_status(turn, "completed")
    assert shown(turn) == SLOW[1].strip()
    assert calls() == 1


def test_answering_anew_survives_a_reload(page: Page, slow: str, calls: Callable[[], int]) -> None:
    """The old answer stays until the new one is there, and is gone then."""
    page.goto(f"{slow}/")
    expect_status(ask(page, QUESTION), "completed")
    page.get_by_test_id("regenerate").click()
    turns = page.locator(TURNS)
    wait_until(
        page, lambda: turns.count() == 1 and "word5 " in shown(turns.first) and "word119" not in shown(turns.first)
    )
    page.reload()
    expect(turns).to_have_count(2)
    expect(turns).to_have_count(1)
    expect_status(turns.first, "completed")
    assert shown(turns.first) == SLOW[1].strip()
    assert calls() == 2


def test_an_answer_goes_on_while_something_else_is_looked_at(page: Page, slow: str, calls: Callable[[], int]) -> None:
    page.goto(f"{slow}/")
    turn = ask(page, QUESTION)
    wait_until(page, lambda: "word5 " in shown(turn))
    page.get_by_test_id("documents-link").click()
    expect(page.get_by_test_id("documents")).to_be_visible()
    page.get_by_test_id("documents").locator(".back").click()
    expect_status(page.locator(TURNS), "completed")
    assert shown(page.locator(TURNS)) == SLOW[1].strip()
    assert calls() == 1


def test_two_tabs_on_one_thread_agree(page: Page, slow: str, calls: Callable[[], int]) -> None:
    page.goto(f"{slow}/")
    expect_status(ask(page, QUESTION), "completed")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(TURNS)).to_have_count(1)
    here = ask(page, LAMP)
    there = other.locator(TURNS).nth(1)
    wait_until(other, lambda: "word9 " in shown(there))
    expect_status(there, "completed")
    expect_status(here, "completed")
    assert shown(there) == shown(here) == SLOW[1].strip()
    assert calls() == 3  # the first answer, the rewrite of the follow-up, and its answer

    here.get_by_test_id("regenerate").click()
    other.bring_to_front()
    wait_until(other, lambda: "word9 " in shown(there) and "word119" not in shown(there))
    other.get_by_test_id("stop").click()
    expect_status(page.locator(TURNS).nth(1), "stopped")
    expect_status(there, "stopped")
    assert shown(there) == shown(page.locator(TURNS).nth(1))

    line = page.locator(f"[data-testid=thread][data-thread='{thread_of(page)}']")
    line.hover()
    line.get_by_test_id("delete").click()
    page.get_by_test_id("confirm").click()
    expect(other.locator(TURNS)).to_have_count(0)
    other.close()


def test_what_happened_elsewhere_is_there_when_the_tab_is_looked_at_again(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    expect_status(ask(page, QUESTION), "completed")
    body = {"question": LAMP, "thread_id": thread_of(page)}
    assert httpx2.post(f"{extractive}/v1/chat", json=body, timeout=30).status_code == 200
    page.wait_for_timeout(3100)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(TURNS)).to_have_count(2)
    expect(page.locator(TURNS).nth(1).locator(".question")).to_have_text(LAMP)


def test_a_server_that_was_away_is_found_again_by_itself(page: Page, proxy: Proxy, calls: Callable[[], int]) -> None:
    page.goto(f"{proxy.address}/")
    turn = ask(page, QUESTION)
    wait_until(page, lambda: "word5 " in shown(turn))
    page.route("**/v1/runs/*/events", lambda route: route.abort(), times=3)
    assert proxy.cut() >= 1
    expect(turn.locator(".status.dropped")).to_be_visible()
    expect_status(turn, "completed")
    assert shown(turn) == SLOW[1].strip()
    assert calls() == 1


def test_a_link_to_a_conversation_that_is_gone_says_so(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/t/nothing-is-here")
    expect(page.get_by_test_id("error")).to_contain_text("does not exist, or was deleted")
    expect(page.get_by_test_id("send")).to_be_disabled()
    page.get_by_test_id("new-thread").click()
    expect_status(ask(page, QUESTION), "completed")


def test_a_link_of_the_first_page_leads_to_its_conversation(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    expect_status(ask(page, QUESTION), "completed")
    page.goto(f"{extractive}/?thread={thread_of(page)}")
    expect(page.locator(TURNS)).to_have_count(1)


def test_a_conversation_that_could_not_be_loaded_is_tried_again(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    expect_status(ask(page, QUESTION), "completed")
    page.route("**/v1/threads/*", lambda route: route.abort(), times=1)
    page.reload()
    page.get_by_test_id("error").get_by_role("button").click()
    expect(page.locator(TURNS)).to_have_count(1)


def test_older_conversations_are_loaded_for_a_search_and_on_demand(page: Page, extractive: str) -> None:
    item = {"created_at": "2020-01-02T00:00:00Z", "updated_at": "2020-01-02T00:00:00Z"}

    def list_threads(route: Route) -> None:
        cursor = re.search(r"cursor=(\w+)", route.request.url)
        number = int(cursor[1]) if cursor else 0
        items = [{**item, "id": f"t{number}-{n}", "title": f"Talk {number}.{n}"} for n in range(50)]
        route.fulfill(json={"items": items, "next": str(number + 1) if number < 3 else None})

    page.route(re.compile(r"/v1/threads\?"), list_threads)
    page.goto(f"{extractive}/")
    threads = page.get_by_test_id("thread")
    expect(threads).to_have_count(50)
    page.get_by_test_id("threads").locator(".action").click()
    expect(threads).to_have_count(100)
    page.get_by_test_id("search-threads").fill("talk 3.49")
    expect(threads.locator("a")).to_have_text(["Talk 3.49"])


def test_a_title_that_could_not_be_changed_says_so(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    expect_status(ask(page, QUESTION), "completed")
    line = page.locator(f"[data-testid=thread][data-thread='{thread_of(page)}']")
    line.hover()
    line.get_by_test_id("rename").click()
    page.route("**/v1/threads/*", lambda route: route.abort())
    page.get_by_test_id("new-title").fill("Another")
    page.get_by_test_id("new-title").press("Enter")
    expect(page.get_by_test_id("threads").get_by_role("alert")).to_contain_text("cannot be reached")
