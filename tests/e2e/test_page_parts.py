"""The page's parts: its types are right, and its own tests pass in Node."""

from pathlib import Path

import pytest

from hatch_build import run_npm

WEB = Path(__file__).parents[2] / "web"


@pytest.mark.timeout(300)
def test_the_parts_of_the_page_are_right() -> None:
    if not (WEB / "node_modules" / "vitest").is_dir():  # the page was there before, built from the same sources
        run_npm(WEB, "ci")
    run_npm(WEB, "run", "check")
