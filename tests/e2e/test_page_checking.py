"""The page, point 2: check. Verdicts of markers, quotes on hover and focus, sources beside the answer, PDF pages."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import LAMP, QUESTION, Trouble, ask, expect_status, shown, wait_until
from tests.e2e.conftest import COMMAND, START_S, Serve, answered_by, environment, serving, write_documents
from tests.upstream import Upstream

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]

VERDICTS = (
    "The lamp burns paraffin and must be trimmed every four hours [1]. "
    "The lamp must be trimmed with care every four hours, as it burns paraffin [1]. "
    "The keeper plays the trumpet on Sundays in winter [1]."
)


@pytest.fixture(scope="module")
def mixed(serve: Serve, upstream: Upstream) -> Iterator[str]:
    """Answers with a sentence of each verdict."""
    with serve(**answered_by(upstream, f"text:{VERDICTS}")) as address:
        yield address


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a PDF of two pages."""
    folder = tmp_path_factory.mktemp("manual")
    write_documents(folder / "documents", {"foxes.md": "# Foxes\n\nThe fox sleeps in a den.\n"})
    (folder / "documents" / "valve.pdf").write_bytes(
        make_pdf(["Contents", "The valve opens at seven bar of pressure."])
    )
    env = environment(folder / "data")
    ingested = subprocess.run(
        [COMMAND, "ingest", "documents"], cwd=folder, env=env, capture_output=True, text=True, timeout=START_S
    )
    assert ingested.returncode == 0, ingested.stderr
    with serving(COMMAND, cwd=folder, env=env) as address:
        yield address


def make_pdf(pages: list[str]) -> bytes:
    """A PDF with a line of text on each page, two thirds down."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for text in pages:
        content = f"BT /F1 14 Tf 90 260 Td ({text}) Tj ET"
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
        font = "<< /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {len(objects)} 0 R "
            f"/Resources << /Font {font} >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    return out + f"{end}trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n".encode()


def test_point_2_check(looked: Page, mixed: str) -> None:
    """A journey: see the verdicts, look at quotes, open the source, walk through the citations, read the list."""
    page = looked
    trouble = Trouble(page, mixed)
    page.goto(f"{mixed}/")
    turn = ask(page, LAMP)
    expect_status(turn, "completed")
    markers = turn.get_by_test_id("marker")
    verdicts = markers.evaluate_all("markers => markers.map(({ dataset }) => dataset.verdict)")
    assert verdicts == ["exact", "supported", "unsupported"]
    # Not by colour alone: each has a shape of its own, and words.
    shapes = markers.evaluate_all("markers => markers.map(marker => marker.querySelector('path').getAttribute('d'))")
    labels = markers.evaluate_all("markers => markers.map(marker => marker.getAttribute('aria-label'))")
    assert len(set(shapes)) == len(set(labels)) == 3
    expect(turn.locator(".unsupported-text")).to_contain_text("The keeper plays the trumpet")

    card = page.get_by_test_id("quote-card")
    markers.nth(0).hover()
    expect(card.locator("blockquote")).to_have_text("The lamp burns paraffin and must be trimmed every four hours.")
    page.mouse.move(5, 400)
    expect(card).to_have_count(0)
    markers.nth(2).focus()
    expect(card.locator(".check")).to_have_class("check unsupported")
    expect(card.locator(".quote-note")).to_be_visible()
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)

    markers.nth(0).click()
    panel = page.get_by_test_id("source-panel")
    expect(panel.get_by_test_id("quote")).to_be_in_viewport()
    expect(panel.get_by_test_id("quote")).to_have_text("The lamp burns paraffin and must be trimmed every four hours.")
    expect(panel).to_contain_text("documents/lighthouse.md")
    assert "never with" in panel.locator(".passage").inner_text()
    read = turn.locator(".read-text")
    expect(read).to_have_text("The lamp burns paraffin and must be trimmed every four hours")
    expect(markers.nth(0)).to_have_attribute("aria-current", "true")
    panel.get_by_test_id("next-citation").click()
    expect(panel.locator(".panel-title .check")).to_have_class("check supported")
    expect(read).to_have_text("The lamp must be trimmed with care every four hours, as it burns paraffin")
    expect(markers.nth(1)).to_have_attribute("aria-current", "true")
    page.keyboard.press("ArrowRight")
    expect(panel.locator(".panel-title .check")).to_have_class("check unsupported")
    expect(panel.locator(".unsupported-note")).to_be_visible()
    panel.get_by_test_id("back-to-sources").click()
    sources = panel.get_by_test_id("source")
    indexes = [int(index or 0) for index in sources.evaluate_all("all => all.map(({ dataset }) => dataset.index)")]
    assert indexes[0] == 1
    assert indexes == sorted(indexes)
    assert "0." in sources.first.locator(".source-score").inner_text()
    assert trouble.seen == []


def test_the_page_of_a_pdf_is_shown_with_the_quote_in_sight(page: Page, manual: str) -> None:
    trouble = Trouble(page, manual)
    page.set_viewport_size({"width": 1280, "height": 500})
    page.goto(f"{manual}/")
    turn = ask(page, "At which pressure does the valve open?")
    expect_status(turn, "completed")
    turn.get_by_test_id("marker").first.click()
    panel = page.get_by_test_id("source-panel")
    picture = panel.get_by_test_id("page-image").locator("img")
    wait_until(page, lambda: picture.evaluate("picture => picture.complete && picture.naturalWidth > 0"))
    assert "start=" in (picture.get_attribute("src") or "")
    expect(panel).to_contain_text("page 2")
    # The quote stands at 69 % of the page's height.
    place = picture.evaluate("picture => picture.getBoundingClientRect().top + .69 * picture.clientHeight")
    frame = panel.locator(".panel-scroll").bounding_box()
    assert frame is not None
    assert frame["y"] < place < frame["y"] + frame["height"]
    panel.get_by_test_id("as-text").click()
    expect(panel.get_by_test_id("quote")).to_have_text("The valve opens at seven bar of pressure.")
    assert trouble.seen == []


def test_a_page_that_cannot_be_drawn_gives_way_to_its_text(page: Page, manual: str) -> None:
    page.route("**/page.png*", lambda route: route.fulfill(status=500))
    page.goto(f"{manual}/")
    turn = ask(page, "At which pressure does the valve open?")
    expect_status(turn, "completed")
    turn.get_by_test_id("marker").first.click()
    panel = page.get_by_test_id("source-panel")
    expect(panel).to_contain_text("The page cannot be shown")
    expect(panel.get_by_test_id("quote")).to_have_text("The valve opens at seven bar of pressure.")


def test_a_marker_appears_with_its_verdict_while_the_answer_grows(page: Page, serve: Serve, upstream: Upstream) -> None:
    with serve(**answered_by(upstream, "essay:96:0.05")) as address:
        page.goto(f"{address}/")
        turn = ask(page, QUESTION)
        wait_until(page, lambda: turn.get_by_test_id("marker").count() >= 3)
        first = turn.get_by_test_id("marker").first
        expect(first).to_have_attribute("data-verdict", "unsupported")
        expect(turn.get_by_test_id("status")).to_have_attribute("data-status", "running")
        before = shown(turn)
        wait_until(page, lambda: len(shown(turn)) > len(before))
        expect_status(turn, "completed")


def test_the_passages_can_be_read_before_the_first_word_is_written(
    page: Page, serve: Serve, upstream: Upstream
) -> None:
    with serve(**answered_by(upstream, "late:6")) as address:
        page.goto(f"{address}/")
        turn = ask(page, QUESTION)
        turn.locator("[data-node=retrieve] .link").click()
        expect(page.get_by_test_id("source-list").get_by_test_id("source").first).to_contain_text(
            "The fox sleeps in a den"
        )
        assert shown(turn) == ""
        expect_status(turn, "completed")


def test_a_source_that_is_gone_says_so(page: Page, extractive: str) -> None:
    error = {"error": {"code": "source_not_found", "message": "gone"}}
    page.route("**/v1/sources/*", lambda route: route.fulfill(status=404, json=error))
    page.goto(f"{extractive}/")
    turn = ask(page, QUESTION)
    expect_status(turn, "completed")
    turn.get_by_test_id("marker").first.click()
    expect(page.get_by_test_id("source-panel")).to_contain_text("its document was erased")


def test_a_source_that_could_not_be_loaded_is_tried_again(page: Page, extractive: str) -> None:
    page.goto(f"{extractive}/")
    turn = ask(page, QUESTION)
    expect_status(turn, "completed")
    page.route("**/v1/sources/*", lambda route: route.abort(), times=1)
    turn.get_by_test_id("marker").first.click()
    panel = page.get_by_test_id("source-panel")
    expect(panel.get_by_role("alert")).to_contain_text("cannot be reached")
    panel.get_by_role("button", name="Try again").click()
    expect(panel.get_by_test_id("quote")).to_have_text("The fox sleeps in a den.")


def test_the_quote_card_can_be_read_with_the_pointer(page: Page, extractive: str) -> None:
    """Content on hover has to stay while the pointer moves into it (WCAG 1.4.13)."""
    page.goto(f"{extractive}/")
    turn = ask(page, QUESTION)
    expect_status(turn, "completed")
    turn.get_by_test_id("marker").first.hover()
    card = page.get_by_test_id("quote-card")
    card.hover()
    page.wait_for_timeout(600)
    expect(card).to_be_visible()
    described = turn.get_by_test_id("marker").first.get_attribute("aria-describedby")
    assert described == card.get_attribute("id")


def test_the_documents_of_the_tests_are_what_they_seem(tmp_path: Path) -> None:
    """A PDF that only its maker can read would test nothing."""
    import pypdfium2

    path = tmp_path / "made.pdf"
    path.write_bytes(make_pdf(["One", "Two"]))
    document = pypdfium2.PdfDocument(path)
    assert [page.get_textpage().get_text_bounded().strip() for page in document] == ["One", "Two"]
    document.close()
