"""What the long forms of these tests measured, in a file from which `tests.acceptance.report` makes a table."""

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ACCEPTANCE = os.environ.get("CITESTREAM_ACCEPTANCE") == "1"
"""Whether the long forms run."""
FILE = Path(os.environ.get("CITESTREAM_ACCEPTANCE_FILE", ROOT / "build" / "acceptance.json"))
NOT_RUN = "not run"


def many(short: int, long: int) -> int:
    """How often: in `make test`, and in `make acceptance`."""
    return long if ACCEPTANCE else short


def bar(seconds: float) -> float:
    """A limit of time as it is promised; threefold where other tests keep the machine busy."""
    return seconds if ACCEPTANCE else 3 * seconds


@dataclass
class Measured:
    """What one test found out; it fills in `count` and `numbers`."""

    fault: str
    """Its row in the table."""
    count: int = 0
    numbers: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def note(self, **numbers: Any) -> None:
        """Numbers for the table, with their units in their names."""
        self.numbers |= {
            name: round(value, 3) if isinstance(value, float) else value for name, value in numbers.items()
        }

    def row(self, result: str) -> dict[str, Any]:
        return {
            "fault": self.fault,
            "result": result,
            "count": self.count,
            "numbers": self.numbers,
            "duration_s": round(time.monotonic() - self.began, 1),
            "commit": commit(),
            "date": datetime.now(UTC).date().isoformat(),
            "cores": os.cpu_count(),
        }


def fault_of(item: pytest.Item) -> str:
    """The row of a test: the first line of its docstring, else its name in words; and its parameters."""
    function = getattr(item, "function", None)
    doc = getattr(function, "__doc__", None)
    name = item.name.partition("[")[0].removeprefix("test_").replace("_", " ")
    text = doc.strip().splitlines()[0].rstrip(".") if doc else f"Clients: {name}"
    callspec = getattr(item, "callspec", None)
    return f"{text} [{callspec.id}]" if callspec is not None else text


def write(node_id: str, row: dict[str, Any]) -> None:
    rows = read()
    rows[node_id] = row
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(rows, indent=1), "utf-8")


def read() -> dict[str, dict[str, Any]]:
    """All rows by node id, in the order of the tests."""
    rows: dict[str, dict[str, Any]] = json.loads(FILE.read_text("utf-8")) if FILE.is_file() else {}
    return rows


@cache
def commit() -> str:
    """The commit that is measured; with a + when files differ from it."""
    try:
        git = ["git", "-C", str(ROOT)]
        name = subprocess.check_output([*git, "rev-parse", "--short", "HEAD"], text=True).strip()
        changed = subprocess.check_output([*git, "status", "--porcelain", "--untracked-files=no"], text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name}+" if changed else name
