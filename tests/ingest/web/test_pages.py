"""Pages and sitemaps by `citestream ingest`, as a user meets them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from graph.library import Library, path_of
from tests.ingest.conftest import pdf_of
from tests.ingest.web.site import HTML, Page, Site, page, redirect, sitemap


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def told(result: Result, site: Site) -> dict[str, str]:
    """What became of each page: its status, and the reason where there is one."""
    return {
        line["path"].removeprefix(site.address): ":".join(filter(None, (line["status"], line.get("reason"))))
        for line in lines(result)[:-1]
    }


def indexed(tmp_path: Path, site: Site) -> dict[str, str]:
    library = Library.open(tmp_path / "data")
    try:
        return {
            document.source.removeprefix(site.address): library.text(document.id) for document in library.documents()
        }
    finally:
        library.close()


@pytest.fixture
def docs(site: Site) -> Site:
    """A site with two pages and a sitemap of them."""
    site.pages |= {
        "/docs/a": page("Apples are red.", ETag='"a1"'),
        "/docs/b.html": page("Bananas are yellow.", ETag='"b1"'),
    }
    site.pages["/docs/sitemap.xml"] = sitemap(f"{site.address}/docs/a", f"{site.address}/docs/b.html#top")
    return site


def test_the_web_is_not_asked_without_the_flag(run, docs):
    refused = run("ingest", f"{docs.address}/docs/a")
    assert refused.exit_code == 2
    assert "--allow-web" in refused.stderr
    assert docs.asked == []
    assert run("ingest", "--allow-web", "ftp://127.0.0.1/x").exit_code == 2
    assert run("ingest", "--allow-web", "--watch", f"{docs.address}/").exit_code == 2
    assert run("ingest", "--allow-web", "--source", "x", f"{docs.address}/").exit_code == 2
    assert run("ingest", "nowhere").exit_code == 2
    assert docs.asked == []


def test_this_machine_is_not_asked_without_the_setting(run, docs, monkeypatch):
    monkeypatch.delenv("CITESTREAM_WEB_PRIVATE_HOSTS")
    refused = run("ingest", "--allow-web", "--json", f"{docs.address}/docs/a")
    assert refused.exit_code == 4
    assert told(refused, docs) == {"/docs/a": "failed:private-address"}
    assert docs.asked == []
    monkeypatch.setenv("CITESTREAM_WEB_PRIVATE_HOSTS", "10.0.0.300")
    wrong = run("ingest", "--allow-web", f"{docs.address}/docs/a")
    assert wrong.exit_code == 2
    assert "CITESTREAM_WEB_PRIVATE_HOSTS" in wrong.stderr


def test_a_sitemap_is_taken_and_a_second_run_asks_only_whether_pages_have_changed(run, docs, tmp_path):
    first = run("ingest", "--allow-web", "--json", f"{docs.address}/docs/sitemap.xml")
    assert first.exit_code == 0, first.output
    assert told(first, docs) == {"/docs/a": "added", "/docs/b.html": "added"}
    assert "Apples are red." in indexed(tmp_path, docs)["/docs/a"]
    assert docs.paths() == ["/docs/sitemap.xml", "/docs/a", "/docs/b.html"]

    docs.pages["/docs/a"] = page("Apples are green.", ETag='"a2"')
    second = run("ingest", "--allow-web", "--json", f"{docs.address}/docs/sitemap.xml")
    assert told(second, docs) == {"/docs/a": "changed", "/docs/b.html": "unchanged"}
    conditions = {asked.path: asked.headers.get("if-none-match") for asked in docs.asked}
    assert conditions == {"/robots.txt": None, "/docs/sitemap.xml": None, "/docs/a": '"a1"', "/docs/b.html": '"b1"'}
    assert "Apples are green." in indexed(tmp_path, docs)["/docs/a"]


def test_pages_without_validators_are_compared_by_content(run, docs):
    docs.pages["/docs/a"] = page("Apples are red.")
    run("ingest", "--allow-web", f"{docs.address}/docs/a")
    again = run("ingest", "--allow-web", "--json", f"{docs.address}/docs/a")
    assert told(again, docs) == {"/docs/a": "unchanged"}


def test_a_page_that_was_removed_or_replaced_here_is_fetched_in_full(run, docs, tmp_path):
    """What a server said about a version holds only while the index has just that version."""
    address = f"{docs.address}/docs/a"
    run("ingest", "--allow-web", address)
    run("index", "rm", address, "--yes")
    assert told(run("ingest", "--allow-web", "--json", address), docs) == {"/docs/a": "added"}
    assert told(run("ingest", "--allow-web", "--json", address, "-c", "other"), docs) == {"/docs/a": "added"}
    assert told(run("ingest", "--allow-web", "--json", address, "-c", "other"), docs) == {"/docs/a": "unchanged"}
    assert docs.asked[-1].headers["if-none-match"] == '"a1"'


def test_a_loader_of_a_new_version_reads_pages_anew(run, docs, monkeypatch):
    run("ingest", "--allow-web", f"{docs.address}/docs/a")
    monkeypatch.setattr("ingest.sync.LOADER_VERSION", "next")
    again = run("ingest", "--allow-web", "--json", f"{docs.address}/docs/a")
    assert told(again, docs) == {"/docs/a": "changed"}


def test_a_dry_run_writes_nothing(run, docs, tmp_path):
    result = run("ingest", "--allow-web", "--json", "--dry-run", f"{docs.address}/docs/sitemap.xml")
    assert told(result, docs) == {"/docs/a": "added", "/docs/b.html": "added"}
    assert not (tmp_path / "data").exists()


def test_files_and_pages_go_together(run, docs, tmp_path):
    (tmp_path / "c.md").write_text("Cherries are sweet.")
    result = run("ingest", "--allow-web", "--json", "c.md", f"{docs.address}/docs/a")
    assert told(result, docs) == {"c.md": "added", "/docs/a": "added"}
    # What is gone from a folder is no matter of pages, and the other way round.
    (tmp_path / "folder").mkdir()
    assert told(run("ingest", "folder", "--prune", "--json"), docs) == {}
    assert set(indexed(tmp_path, docs)) == {"c.md", "/docs/a"}


def test_the_source_is_the_final_address_in_its_one_form(run, docs, tmp_path):
    docs.pages |= {"/old": redirect("/docs/../docs/a#part", 301), "/q?x=1": page("Plums are blue.")}
    result = run(
        "ingest", "--allow-web", "--json", f"{docs.address}/old", f"{docs.address}/docs/a", f"HTTP{docs.address[4:]}/q?x=1"
    )
    assert told(result, docs) == {"/docs/a": "added", "/q?x=1": "added"}
    library = Library.open(tmp_path / "data")
    for document in library.documents():
        assert library.path_of(document.id) == document.source
    library.close()
    assert run("index", "rm", f"{docs.address}/docs/a", "--yes").exit_code == 0


# What goes wrong


def test_each_page_that_fails_is_listed_and_the_rest_goes_on(run, docs, tmp_path):
    docs.pages |= {
        "/docs/broken": Page(b"%PDF-1.4 cut off", headers={"Content-Type": "application/pdf"}),
        "/docs/empty": Page(b"", headers={"Content-Type": HTML}),
        "/docs/picture": Page(b"\x89PNG", headers={"Content-Type": "image/png"}),
        "/docs/inside": redirect("http://169.254.169.254/"),
        "/docs/away": redirect("http://other.example/"),
        "/docs/error": Page(b"secret trace", 500),
        "/docs/bin": Page(bytes(range(256)) * 9, headers={"Content-Type": "text/plain"}),
        "/robots.txt": Page(b"User-agent: *\nDisallow: /docs/private"),
    }
    names = "a broken empty picture inside away error bin private gone".split()
    docs.pages["/docs/sitemap.xml"] = sitemap(
        *(f"{docs.address}/docs/{name}" for name in names), "https://other.example/x", "file:///etc/passwd",
        f"http://user:pw@127.0.0.1:{docs.port}/docs/a",
    )  # fmt: skip
    result = run("ingest", "--allow-web", "--json", f"{docs.address}/docs/sitemap.xml")
    assert result.exit_code == 3
    assert told(result, docs) == {
        "/docs/a": "added",
        "/docs/broken": "failed:malformed",
        "/docs/empty": "skipped:empty",
        "/docs/picture": "skipped:unsupported",
        "/docs/inside": "skipped:elsewhere",
        "/docs/away": "skipped:elsewhere",
        "/docs/error": "failed:http-status",
        "/docs/bin": "failed:binary",
        "/docs/private": "skipped:robots",
        "/docs/gone": "failed:gone",
        "https://other.example/x": "skipped:elsewhere",
        "file:///etc/passwd": "failed:address",
        f"http://…@127.0.0.1:{docs.port}/docs/a": "failed:address",
    }
    assert "secret" not in result.output
    assert "pw" not in result.output
    assert set(indexed(tmp_path, docs)) == {"/docs/a"}


def test_a_sitemap_that_is_no_good_is_one_failure(run, docs, monkeypatch):
    bomb = '<!DOCTYPE urlset [<!ENTITY a "b">]><urlset><url><loc>&a;</loc></url></urlset>'
    docs.pages["/bomb.xml"] = Page(bomb.encode(), headers={"Content-Type": "text/xml"})
    docs.pages["/cut.xml"] = Page(b"<urlset><url>", headers={"Content-Type": "text/xml"})
    result = run("ingest", "--allow-web", "--json", f"{docs.address}/bomb.xml", f"{docs.address}/cut.xml")
    assert result.exit_code == 4
    assert told(result, docs) == {"/bomb.xml": "failed:malformed", "/cut.xml": "failed:malformed"}


def test_of_a_sitemap_with_too_many_pages_none_is_taken(run, docs, monkeypatch):
    monkeypatch.setenv("CITESTREAM_WEB_MAX_PAGES", "50000")
    docs.pages["/big.xml"] = sitemap(*(f"{docs.address}/{number}" for number in range(50_001)))
    docs.pages["/index.xml"] = Page(
        b"".join((b"<sitemapindex>", b"<sitemap><loc>%s/half.xml?%d</loc></sitemap>" * 2 % (
            docs.address.encode(), 1, docs.address.encode(), 2), b"</sitemapindex>")),
        headers={"Content-Type": "application/xml"},
    )  # fmt: skip
    half = sitemap(*(f"{docs.address}/{number}" for number in range(30_000)))
    docs.pages |= {"/half.xml?1": half, "/half.xml?2": half}
    result = run("ingest", "--allow-web", "--json", f"{docs.address}/big.xml", f"{docs.address}/index.xml")
    assert told(result, docs) == {"/big.xml": "failed:too-many", "/index.xml": "failed:too-many"}
    assert docs.paths() == ["/big.xml", "/index.xml", "/half.xml?1", "/half.xml?2"]


def test_sitemaps_of_sitemaps_and_compressed_ones(run, docs):
    urlset = sitemap(f"{docs.address}/docs/b.html").body
    assert isinstance(urlset, bytes)
    parts = "".join(
        f"<sitemap><loc>{address}</loc></sitemap>"
        for address in (
            f"{docs.address}/docs/sitemap.xml",
            f"{docs.address}/packed.xml.gz",
            f"{docs.address}/index.xml",
            f"{docs.address}/missing.xml",
            f"{docs.address}/page",
            "http://other.example/sitemap.xml",
        )
    )
    docs.pages |= {
        "/index.xml": Page(f"<sitemapindex>{parts}</sitemapindex>".encode(), headers={"Content-Type": "text/xml"}),
        "/page": page("This is no sitemap."),
        "/packed.xml.gz": Page(gzip.compress(urlset), headers={"Content-Type": "application/x-gzip"}),
    }
    result = run("ingest", "--allow-web", "--json", f"{docs.address}/index.xml")
    assert told(result, docs) == {
        "/index.xml": "failed:malformed",
        "/missing.xml": "failed:gone",
        "/page": "failed:malformed",
        "/docs/a": "added",
        "/docs/b.html": "added",
        "http://other.example/sitemap.xml": "skipped:elsewhere",
    }


def test_a_gzip_file_that_is_no_sitemap_is_not_read(run, docs):
    docs.pages["/a.gz"] = Page(gzip.compress(b"text"), headers={"Content-Type": "application/gzip"})
    docs.pages["/b.gz"] = Page(b"\x1f\x8bnonsense", headers={"Content-Type": "application/gzip"})
    result = run("ingest", "--allow-web", "--json", f"{docs.address}/a.gz", f"{docs.address}/b.gz")
    assert told(result, docs) == {"/a.gz": "skipped:unsupported", "/b.gz": "failed:malformed"}


# What is gone


def test_a_page_that_is_gone_is_removed_with_prune_and_only_then(run, docs, tmp_path):
    run("ingest", "--allow-web", f"{docs.address}/docs/sitemap.xml")
    docs.pages["/docs/a"] = Page(b"", 410)
    told_gone = run("ingest", "--allow-web", f"{docs.address}/docs/sitemap.xml")
    assert told_gone.exit_code == 3
    assert "--prune removes it; the version indexed before stays" in told_gone.stderr
    assert set(indexed(tmp_path, docs)) == {"/docs/a", "/docs/b.html"}
    pruned = run("ingest", "--allow-web", "--json", "--prune", f"{docs.address}/docs/sitemap.xml")
    assert pruned.exit_code == 0
    assert told(pruned, docs) == {"/docs/a": "removed", "/docs/b.html": "unchanged"}
    assert set(indexed(tmp_path, docs)) == {"/docs/b.html"}


def test_nothing_but_the_servers_word_removes_a_page(run, docs, tmp_path):
    run("ingest", "--allow-web", f"{docs.address}/docs/sitemap.xml")
    pages = dict(docs.pages)
    for failing in (Page(b"", 500), Page(b"", 403), Page(b"", 200, {"Content-Type": "image/png"}), redirect("/x")):
        docs.pages |= {"/docs/a": failing, "/x": Page(b"", 503, {"Retry-After": "0"})}
        result = run("ingest", "--allow-web", "--json", "--prune", f"{docs.address}/docs/sitemap.xml")
        assert "removed" not in told(result, docs).values()
    docs.pages = {"/robots.txt": Page(b"User-agent: *\nDisallow: /"), **pages}
    run("ingest", "--allow-web", "--prune", f"{docs.address}/docs/sitemap.xml", f"{docs.address}/docs/a")
    docs.pages = {"/docs/sitemap.xml": Page(b"", 404)}
    run("ingest", "--allow-web", "--prune", f"{docs.address}/docs/sitemap.xml")
    docs.stop()
    down = run("ingest", "--allow-web", "--json", "--prune", f"{docs.address}/docs/sitemap.xml", f"{docs.address}/docs/a")
    assert told(down, docs) == {"/docs/sitemap.xml": "failed:unreachable", "/docs/a": "failed:unreachable"}
    assert set(indexed(tmp_path, docs)) == {"/docs/a", "/docs/b.html"}


@pytest.mark.parametrize("target", [b"", b"%PDF-1.7 broken"])
def test_a_page_that_moved_to_where_nothing_can_be_read_stays(run, docs, tmp_path, target):
    run("ingest", "--allow-web", f"{docs.address}/docs/a")
    docs.pages["/docs/a"] = redirect("/docs/new", 301)
    docs.pages["/docs/new"] = Page(target, headers={"Content-Type": "application/pdf" if target else HTML})
    for trial in (["--dry-run"], []):
        result = run("ingest", "--allow-web", "--json", "--prune", *trial, f"{docs.address}/docs/a")
        assert told(result, docs)["/docs/a"] == "unchanged"
    assert "Apples" in indexed(tmp_path, docs)["/docs/a"]


def test_a_damaged_memory_costs_one_full_fetch(run, docs, tmp_path):
    run("ingest", "--allow-web", f"{docs.address}/docs/a")
    (tmp_path / "data" / "web.db").write_bytes(b"no database" * 100)
    again = run("ingest", "--allow-web", "--json", f"{docs.address}/docs/a")
    assert told(again, docs) == {"/docs/a": "unchanged"}
    assert again.exit_code == 0


def test_what_a_sitemap_lists_no_longer_is_asked_for_before_it_is_removed(run, docs, tmp_path):
    docs.pages |= {"/elsewhere": page("Plums are blue."), "/docs/c": page("Cherries are sweet.")}
    run("ingest", "--allow-web", *(f"{docs.address}{path}" for path in ("/docs/a", "/docs/b.html", "/docs/c", "/elsewhere")))
    docs.pages["/docs/sitemap.xml"] = sitemap(f"{docs.address}/docs/a")
    docs.pages.pop("/docs/b.html")
    docs.pages.pop("/elsewhere")
    result = run("ingest", "--allow-web", "--json", "--prune", f"{docs.address}/docs/sitemap.xml")
    assert told(result, docs) == {"/docs/a": "unchanged", "/docs/b.html": "removed", "/docs/c": "unchanged"}
    assert set(indexed(tmp_path, docs)) == {"/docs/a", "/docs/c", "/elsewhere"}


def test_a_page_that_moved_for_good_is_not_there_twice(run, docs, tmp_path):
    run("ingest", "--allow-web", f"{docs.address}/docs/a")
    docs.pages |= {"/docs/new": docs.pages["/docs/a"], "/docs/a": redirect("/docs/new", 308)}
    result = run("ingest", "--allow-web", "--json", "--prune", f"{docs.address}/docs/a")
    assert told(result, docs) == {"/docs/new": "added", "/docs/a": "removed"}
    assert set(indexed(tmp_path, docs)) == {"/docs/new"}


def test_many_removals_have_to_be_confirmed(run, docs, tmp_path):
    addresses = [f"{docs.address}/docs/{number}" for number in range(8)]
    docs.pages |= {f"/docs/{number}": page(f"This is page {number}.") for number in range(8)}
    docs.pages["/docs/sitemap.xml"] = sitemap(*addresses)
    run("ingest", "--allow-web", f"{docs.address}/docs/sitemap.xml")
    for number in range(8):
        docs.pages.pop(f"/docs/{number}")
    refused = run("ingest", "--allow-web", "--prune", f"{docs.address}/docs/sitemap.xml")
    assert refused.exit_code == 2
    assert len(indexed(tmp_path, docs)) == 8
    assert run("ingest", "--allow-web", "--prune", "--yes", f"{docs.address}/docs/sitemap.xml").exit_code == 0
    assert indexed(tmp_path, docs) == {}


# Formats


def test_a_pdf_from_the_web_keeps_its_pages(run, docs, tmp_path):
    pdf = pdf_of([["Apples are red and grow on trees."]], title="Apples")
    docs.pages["/file?id=7"] = Page(pdf, headers={"Content-Type": "application/pdf"})
    assert run("ingest", "--allow-web", f"{docs.address}/file?id=7").exit_code == 0
    library = Library.open(tmp_path / "data")
    (document,) = library.documents()
    library.close()
    assert (document.format, document.title) == ("pdf", "Apples")
    assert path_of(tmp_path / "data", document.sha256).read_bytes() == pdf


def test_nothing_is_remembered_of_pages_that_are_no_longer_here(run, docs, tmp_path):
    from ingest.web.memory import Memory

    run("ingest", "--allow-web", f"{docs.address}/docs/a")
    run("index", "rm", f"{docs.address}/docs/a", "--yes")
    run("ingest", "--allow-web", f"{docs.address}/docs/b.html")
    assert set(Memory(tmp_path / "data").recall("default")) == {f"{docs.address}/docs/b.html"}
