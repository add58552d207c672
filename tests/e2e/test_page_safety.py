"""The page, point 7: safe. Documents and models are hostile; nothing of theirs runs, and nobody is asked."""

import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import Trouble, ask, expect_status, wait_until
from tests.e2e.conftest import COMMAND, START_S, answered_by, environment, serving, write_documents
from tests.upstream import Upstream

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]

ATTACKS = """\
<script>window.hit = 1</script> <img src=x onerror="window.hit = 2"> <svg onload="window.hit = 3"></svg>
<iframe src="https://example.org/frame"></iframe> <a href="javascript:window.hit = 4">click</a>
<style>body { background: url(https://example.org/style) }</style> <link rel=stylesheet href=https://example.org/l.css>
![pixel](https://example.org/pixel.png) ![x](javascript:window.hit=5) <base href="https://example.org/">
[plain](https://example.org/go) [run](javascript:window.hit=6) [data](data:text/html,<script>window.hit=7</script>)
[own](/v1/threads) [proto](//example.org/proto) <form action=https://example.org/form><button>Send</button></form>
"""
PIRATE = f"""\
# The harbour <img src=x onerror="window.hit = 8">

The harbour master counts the ships at noon and writes the number into the blue book. {ATTACKS}

The harbour master also feeds the gulls. $\\href{{javascript:window.hit=9}}{{x}}$
$\\includegraphics{{https://example.org/tex.png}}$ $\\htmlData{{onclick=window.hit=10}}{{y}}$
"""
NAMES = ["harbour.md", "'><img src=x onerror=window.hit=11>.md"]
QUESTION = "When does the harbour master count the ships?"
MODEL = f"The harbour master counts the ships at noon [1]. {ATTACKS} [1]\n\n```html\n{ATTACKS}```\n\n{PIRATE}"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[list[str]]:
    """Two servers over hostile documents: one that quotes them, and one whose model is hostile as well."""
    folder = tmp_path_factory.mktemp("hostile")
    write_documents(folder / "documents", dict.fromkeys(NAMES, PIRATE))
    env = environment(folder / "data")
    ingested = subprocess.run(
        [COMMAND, "ingest", "documents"], cwd=folder, env=env, capture_output=True, text=True, timeout=START_S
    )
    assert ingested.returncode == 0, ingested.stderr
    model = environment(folder / "data", **answered_by(upstream, f"text:{MODEL}"))
    with serving(COMMAND, cwd=folder, env=env) as quoting, serving(COMMAND, cwd=folder, env=model) as writing:
        yield [quoting, writing]


@pytest.mark.parametrize("who", [0, 1], ids=["documents", "model"])
def test_point_7_safe(who: int, looked: Page, hostile: list[str]) -> None:
    """A journey through all that shows foreign text: 0 scripts run, 0 foreign requests, 0 complaints of the browser."""
    page = looked
    address = hostile[who]
    trouble = Trouble(page, address)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"{address}/")
    turn = ask(page, QUESTION)
    expect_status(turn, "completed")
    marker = turn.get_by_test_id("marker").first
    marker.hover()
    expect(page.get_by_test_id("quote-card")).to_be_visible()
    marker.click()
    panel = page.get_by_test_id("source-panel")
    expect(panel.locator(".passage")).to_be_visible()
    panel.get_by_test_id("back-to-sources").click()
    expect(panel.get_by_test_id("source").first).to_be_visible()
    page.get_by_test_id("close-panel").click()
    content = turn.get_by_test_id("answer")
    assert content.locator("img, script, iframe, svg:not(.icon), style, link, form, base, object, embed").count() == 0
    links = content.locator("a").evaluate_all(
        "links => links.map(({ protocol, rel, target }) => [protocol, rel, target])"
    )
    assert all(link == ["https:", "noopener noreferrer nofollow", "_blank"] for link in links), links
    assert bool(links) is (who == 1)
    for link in content.locator("a").all():
        assert "example.org" in link.inner_text()
    page.reload()
    expect(page.locator("article.turn")).to_have_count(1)
    page.get_by_test_id("documents-link").click()
    expect(page.get_by_test_id("document")).to_have_count(2)
    page.wait_for_timeout(300)
    assert page.evaluate("window.hit") is None
    assert (dialogs, trouble.seen) == ([], [])


def test_a_hostile_title_is_only_text(page: Page, extractive: str) -> None:
    trouble = Trouble(page, extractive)
    page.goto(f"{extractive}/")
    title = "<img src=x onerror=window.hit=1>"
    expect_status(ask(page, title), "abstained")
    wait_until(page, lambda: page.get_by_test_id("thread").first.inner_text() == title)
    assert page.title() == f"{title} · citestream"
    assert page.evaluate("window.hit") is None
    assert trouble.seen == []


def test_the_browser_refuses_to_write_html_on_this_page(page: Page, extractive: str) -> None:
    """Trusted Types without a policy: what nobody does by mistake, nobody can do at all."""
    page.goto(f"{extractive}/")
    refused = page.evaluate(
        """() => {
            try { document.body.innerHTML = "<p>x</p>"; return null } catch (error) { return error.name }
        }"""
    )
    assert refused == "TypeError"
    inline = page.evaluate(
        """() => {
            const script = document.createElement("script");
            try { script.text = "window.hit = 1" } catch { }
            document.body.append(script);
            return window.hit ?? null;
        }"""
    )
    assert inline is None


def test_another_site_cannot_frame_the_page_or_be_told_of_it(page: Page, extractive: str) -> None:
    response = page.goto(f"{extractive}/")
    assert response is not None
    policy = response.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
