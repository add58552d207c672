"""What every test may use."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
FIRST = ("e2e/test_answers.py", "clients", "faults", "e2e")
"""Where the long tests are. Two processes share out files in this order, so that none is left with them at the end."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first; the others stay in their order."""

    def turn(item: pytest.Item) -> int:
        return next((n for n, place in enumerate(FIRST) if item.path.is_relative_to(HERE / place)), len(FIRST))

    items.sort(key=turn)
