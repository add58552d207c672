"""The page and its files."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from server.routes.page import NOT_BUILT, build_page_routes


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>citestream</title>")
    (tmp_path / "assets" / "index-abc.js").write_text("export {};")
    return tmp_path


def get(static: Path, path: str) -> tuple[int, str, dict[str, str]]:
    with TestClient(Starlette(routes=build_page_routes(static))) as client:
        response = client.get(path)
    return response.status_code, response.text, dict(response.headers)


def test_the_page_is_served_with_a_strict_policy(built: Path) -> None:
    status, text, headers = get(built, "/")

    assert (status, "citestream" in text) == (200, True)
    assert headers["content-security-policy"] == (
        "default-src 'none'; connect-src 'self'; font-src 'self'; img-src 'self'; script-src 'self'; style-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"


def test_links_to_conversations_and_documents_lead_to_the_page(built: Path) -> None:
    for path in ("/t/177a4052a45c45e4a2c5807beafeb6fe", "/documents"):
        status, text, headers = get(built, path)
        assert (status, text) == get(built, "/")[:2]
        assert "default-src 'none'" in headers["content-security-policy"]
    assert get(built, "/t/a/b")[0] == 404


def test_assets_may_be_kept_for_ever(built: Path) -> None:
    status, text, headers = get(built, "/assets/index-abc.js")

    assert (status, text) == (200, "export {};")
    assert "immutable" in headers["cache-control"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_a_page_that_was_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    status, text, headers = get(tmp_path, "/")

    assert (status, text) == (200, NOT_BUILT)
    assert "make setup" in text
    assert headers["content-type"].startswith("text/plain")


def test_files_outside_the_assets_are_not_served(built: Path) -> None:
    for path in ("/assets/../index.html", "/assets/%2e%2e/index.html", "/index.html", "/assets/nope.js"):
        assert get(built, path)[0] == 404
