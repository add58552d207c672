"""What the docs say is what the code says."""

import re
from pathlib import Path

import pytest

from server.errors import STATUS
from tests.docs.settings_page import ENV_EXAMPLE, SETTINGS_PAGE, env_example, settings_page
from tests.docs.wire_schema import WIRE_SCHEMA, wire_schema

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_settings_page_and_the_example_are_made_from_the_code() -> None:
    assert SETTINGS_PAGE.read_text(encoding="utf-8") == settings_page(), "run `make docs`"
    assert ENV_EXAMPLE.read_text(encoding="utf-8") == env_example(), "run `make docs`"


def test_the_types_of_the_page_are_made_from_those_of_the_server() -> None:
    assert WIRE_SCHEMA.read_text(encoding="utf-8") == wire_schema(), "run `make docs`"


def test_every_error_code_is_documented_with_its_status() -> None:
    page = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d{3}) \| (.+) \|$", page, re.MULTILINE))
    documented = {code: int(status) for status, codes in rows.items() for code in re.findall(r"`(\w+)`", codes)}
    assert documented == dict(STATUS)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
