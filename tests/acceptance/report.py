"""Write what the long forms measured into docs/reliability.md, between its two markers: `make acceptance`."""

import sys
from typing import Any

from tests.acceptance.recorder import NOT_RUN, ROOT, read

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
HEAD = """\
| what was done | times | result | measured | took | commit | date | cores |
|---|---|---|---|---|---|---|---|
"""


def table(rows: dict[str, dict[str, Any]]) -> str:
    """All rows, in the order of what they test."""
    ordered = sorted(rows.values(), key=lambda row: _order(row["fault"]))
    return HEAD + "".join(map(_line, ordered))


def insert(page: str, text: str) -> str:
    """`page` with `text` between the markers, which are added at its end where they are missing."""
    if BEGIN not in page or END not in page:
        page = f"{page.rstrip()}\n\n{BEGIN}\n{END}\n".lstrip()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}{END}{after}"


def _order(fault: str) -> tuple[str, int, str]:
    name = fault.partition(":")[0].partition(",")[0]
    digits = name[1:] if name[:1] in "LF" and name[1:].isdigit() else ""
    return (name[:1] if digits else "Z", int(digits or 0), fault)


def _line(row: dict[str, Any]) -> str:
    if row["result"] == NOT_RUN:
        return f"| {row['fault']} | – | {NOT_RUN} | – | – | – | – | – |\n"
    numbers = ", ".join(f"{_words(name)} {_number(value)}" for name, value in row["numbers"].items()) or "–"
    cells = [row["fault"], row["count"], row["result"], numbers, f"{row['duration_s']} s"]
    cells += [row["commit"], row["date"], row["cores"]]
    return "| " + " | ".join(map(str, cells)) + " |\n"


def _words(name: str) -> str:
    unit = {"_s": " (s)", "_ms": " (ms)", "_mb": " (MB)"}
    for ending, shown in unit.items():
        if name.endswith(ending):
            return name.removesuffix(ending).replace("_", " ") + shown
    return name.replace("_", " ")


def _number(value: Any) -> str:
    if isinstance(value, list):
        return "→".join(map(_number, [value[0], value[-1]]))
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else str(value)


if __name__ == "__main__":
    rows = read()
    old = PAGE.read_text("utf-8") if PAGE.is_file() else ""
    PAGE.write_text(insert(old, table(rows)), "utf-8")
    failed = [row["fault"] for row in rows.values() if row["result"] != "passed"]
    sys.stdout.write(f"{len(rows) - len(failed)} of {len(rows)} passed; the table is in {PAGE.relative_to(ROOT)}\n")
