"""The page, point 4: bring documents. An empty index, files that are dropped, their errors, collections, erasing."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import Trouble, ask, expect_status, shown, wait_until
from tests.e2e.conftest import COMMAND, environment, serving

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]

HARBOUR = b"# Harbour\n\nThe harbour light is switched on at 19:40 in March.\n"
TIDES = b"# Tides\n\nThe spring tide reaches the third step of the quay.\n"

INDEXING_S = 120
"""Each file is taken in by a process of its own, which starts slowly on a busy machine."""

Empty = Callable[[], AbstractContextManager[str]]

DROP = """
([name, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([text], name));
    for (const type of ["dragenter", "dragover", "drop"]) {
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
    }
}
"""
"""Drops a file on the page, as far as a page can tell."""


@pytest.fixture
def empty(tmp_path: Path) -> Empty:
    """A server with nothing indexed."""

    @contextmanager
    def serve() -> Iterator[str]:
        with serving(COMMAND, cwd=tmp_path, env=environment(tmp_path / "data")) as address:
            yield address

    return serve


def choose(page: Page, *files: tuple[str, bytes]) -> None:
    payload = [{"name": name, "mimeType": "text/plain", "buffer": content} for name, content in files]
    page.get_by_test_id("files").set_input_files(payload)  # type: ignore[arg-type]


def states(page: Page) -> list[str]:
    found: list[str] = page.get_by_test_id("upload").evaluate_all("all => all.map(({ dataset }) => dataset.state)")
    return found


def test_point_4_bring_documents(looked: Page, empty: Empty) -> None:
    """A journey: nothing is indexed, bring files into two collections, ask one of them, erase a document."""
    page = looked
    with empty() as address:
        trouble = Trouble(page, address)
        page.goto(f"{address}/")
        expect(page.get_by_test_id("empty-index").locator("code")).to_contain_text("citestream ingest")
        page.get_by_test_id("bring-documents").click()
        assert page.url == f"{address}/documents"
        choose(page, ("harbour.md", HARBOUR), ("broken.pdf", b"%PDF-1.4 no"), ("empty.txt", b""))
        wait_until(page, lambda: states(page) == ["done", "failed", "failed"], INDEXING_S)
        problems = page.get_by_test_id("upload").locator(".upload-problem")
        expect(problems).to_have_count(2)
        assert all(problems.all_inner_texts())

        page.get_by_test_id("into-collection").fill("tides 潮汐")
        page.evaluate(DROP, ["tides.md", TIDES.decode()])
        wait_until(page, lambda: states(page)[3:] == ["done"], INDEXING_S)
        collections = page.get_by_test_id("collection")
        expect(collections).to_have_count(2)
        names = collections.evaluate_all("all => all.map(({ dataset }) => dataset.name)")
        assert sorted(names) == ["default", "tides 潮汐"]
        expect(page.get_by_test_id("document").first.locator(".document-state")).to_be_visible()

        page.get_by_test_id("documents").locator(".back").click()
        question = "Which step does the spring tide reach?"
        expect_status(ask(page, question), "abstained")
        page.get_by_test_id("collections").click()
        menu = page.get_by_test_id("collections-menu")
        menu.get_by_label("tides").check()
        menu.get_by_label("default").uncheck()
        page.keyboard.press("Escape")
        turn = ask(page, question)
        expect_status(turn, "completed")
        assert "the third step of the quay" in shown(turn)

        page.get_by_test_id("documents-link").click()
        tides = page.locator("[data-testid=collection][data-name='tides 潮汐']")
        tides.get_by_test_id("delete-document").click()
        page.get_by_test_id("confirm").click()
        expect(tides).to_have_count(0, timeout=INDEXING_S * 1000)
        left = [item["source"] for item in httpx2.get(f"{address}/v1/documents").json()["items"]]
        assert left == ["harbour.md"]
        assert trouble.seen == []


def test_a_file_that_could_not_be_sent_is_sent_again_by_a_click(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/documents")
    page.route("**/v1/documents", lambda route: route.abort(), times=1)
    choose(page, ("never.md", b"# Never\n\nIndexed only at the second try.\n"))
    upload = page.get_by_test_id("upload")
    expect(upload.locator(".upload-problem")).to_contain_text("cannot be reached")
    page.route(
        "**/v1/documents",
        lambda route: route.fulfill(
            content_type="text/event-stream",
            body='event: progress\ndata: {"path": "never.md", "status": "added", "chunks": 1}\nid: u:1\n\n'
            'event: done\ndata: {"document": null}\nid: u:2\n\n',
        ),
        times=1,
    )
    upload.locator(".action").click()
    expect(upload).to_have_attribute("data-state", "done")


def test_a_large_file_shows_how_much_of_it_was_sent(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/documents")
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2_000_000}
    client.send("Network.emulateNetworkConditions", slow)
    page.route("**/v1/documents", lambda route: route.continue_())
    seen: set[str] = set()
    choose(page, ("large.bin.zip", b"PK" + bytes(6_000_000)))
    bar = page.get_by_test_id("upload").locator("progress")

    def ended() -> bool:
        seen.update(bar.evaluate_all("bars => bars.flatMap(bar => bar.getAttribute('value') ?? [])"))
        return states(page) in (["failed"], ["done"])

    wait_until(page, ended, INDEXING_S)
    assert states(page) == ["failed"]
    expect(page.get_by_test_id("upload").locator(".upload-problem")).to_contain_text("cannot be read")


def test_an_index_that_is_empty_by_now_says_what_to_do(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    error = {"error": {"code": "index_empty", "message": "nothing"}}
    page.route("**/v1/chat/stream", lambda route: route.fulfill(status=409, json=error), times=1)
    turn = ask(page, "Is there anything?")
    turn.get_by_test_id("error").get_by_role("button", name="Bring documents").click()
    expect(page.get_by_test_id("bring")).to_be_visible()


def test_documents_are_found_by_their_names(page: Page, extractive: str) -> None:
    item = {
        "collection": "default", "format": "markdown", "lang": "en", "sha256": "", "chunks": 3, "status": "live",
        "ingested_at": "2026-05-01T10:00:00Z",
    }  # fmt: skip
    items = [{**item, "id": str(n), "source": f"notes/{n}.md", "title": f"Note {n}"} for n in range(30)]
    page.route("**/v1/documents?*", lambda route: route.fulfill(json={"items": items, "next": None}))
    page.goto(f"{extractive}/documents")
    expect(page.get_by_test_id("document")).to_have_count(30)
    page.get_by_test_id("documents").get_by_role("searchbox").fill("notes/17")
    expect(page.get_by_test_id("document")).to_have_count(1)
    page.get_by_test_id("documents").get_by_role("searchbox").fill("nothing")
    expect(page.get_by_test_id("documents")).to_contain_text("No document has these words")
