"""What every test may use, the order of the tests, and the record of what the long ones measured."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import recorder
from tests.acceptance.recorder import ACCEPTANCE, Measured

HERE = Path(__file__).parent
FIRST = ("e2e/test_answers.py", "clients", "faults", "e2e")
"""Where the long tests are. Two processes share out files in this order, so that none is left with them at the end."""
OUTCOME = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Iterator[Measured]:
    """Where a test puts its count and its numbers."""
    found = Measured(recorder.fault_of(request.node))
    yield found
    if ACCEPTANCE:
        recorder.write(request.node.nodeid, found.row(request.node.stash.get(OUTCOME, "failed")))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.when == "call":
        item.stash[OUTCOME] = report.outcome
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first; the others stay in their order.

    Where measurements are recorded, note every test before any of them is deselected, so that the table shows what was
    not run.
    """

    def turn(item: pytest.Item) -> int:
        return next((n for n, place in enumerate(FIRST) if item.path.is_relative_to(HERE / place)), len(FIRST))

    items.sort(key=turn)
    if ACCEPTANCE:
        known = recorder.read()
        for item in items:
            if "measured" in getattr(item, "fixturenames", ()) and item.nodeid not in known:
                recorder.write(item.nodeid, {"fault": recorder.fault_of(item), "result": recorder.NOT_RUN})
