"""The table and the plots of docs/performance.md, out of the lines of JSON."""

import json
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

LEVELS = {
    "start": "seconds until it answers",
    "one": "1 stream, 1 token: first token, ms",
    "fixed": "5 streams, 1 token: CPU of a turn, ms",
    "full20": "20 streams as fast as they go: CPU ms per 1,000 tokens",
    "paced10": "10 streams × 50 tokens/s: CPU ms per 1,000 tokens",
    "paced100": "100 streams × 50 tokens/s: tokens/s",
    "paced400": "400 streams × 50 tokens/s: tokens/s",
    "leave400": "400 readers leave: closed at the model, after ms, tokens after",
    "open400": "400 open streams: KB a stream (MB at rest)",
}
COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#54a24b", "#b279a2")
WHOLE = "citestream"
PARTS = ("fixed", "full20", "paced10")
"""Levels that tell what a part costs."""
PLOTS = {"cpu-full": "full20", "cpu-paced": "paced10"}
"""Picture -> the level whose CPU it shows."""
Results = Mapping[tuple[str, str], Sequence[dict[str, Any]]]


def write_report(lines: Path, docs: Path, minutes: int) -> None:
    """Replace what was measured in docs/performance.md, and its plots."""
    rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    results: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        results[row["level"], row["target"]].append(row)
    page = docs / "performance.md"
    loads = [row["load_average"] for row in rows]
    rounds = len({row["round"] for row in rows})
    about = (
        f"{rounds} round{'s' * (rounds > 1)}, {rows[0]['chunks']:,} chunks, commit `{rows[0]['commit']}`, "
        f"{minutes} minutes; load average of the machine {min(loads):.1f} to {max(loads):.1f}. Medians.\n\n"
    )
    drawn = {name: level for name, level in PLOTS.items() if any(of == level for of, _ in results)}
    pictures = "".join(f"![{LEVELS[level]}](images/{name}.svg)\n" for name, level in drawn.items())
    text = re.sub(
        r"(<!-- measured -->\n).*(<!-- end -->)",
        lambda found: found[1] + about + table(results) + "\n" + parts(results) + "\n" + pictures + "\n" + found[2],
        page.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    page.write_text(text, encoding="utf-8")
    for name, level in drawn.items():
        (docs / "images" / f"{name}.svg").write_text(bars(results, level, _cpu), encoding="utf-8")


def table(results: Results) -> str:
    """Markdown: a row a level, a column a target that was measured at all of them."""
    names = [name for name in _targets(results) if ("one", name) in results]
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for level, title in LEVELS.items():
        cells = [_cell(level, results.get((level, name), [])) for name in names]
        if any(cells):
            lines.append(f"| {title} | {' | '.join(cells)} |")
        if level.startswith("paced") and any(cells):
            delays = [_delays(results.get((level, name), [])) for name in names]
            lines.append(f"| its delay of a token, p50 / p95, ms | {' | '.join(delays)} |")
    return "\n".join(lines) + "\n"


def parts(results: Results) -> str:
    """Markdown: a row for the service and for each of its parts left out, a column a level that tells its cost."""
    lines = [f"| | {' | '.join(LEVELS[level] for level in PARTS)} |", "|---" * (len(PARTS) + 1) + "|"]
    for name in _targets(results):
        if name == WHOLE or name.startswith("…"):
            cells = [_cell(level, results.get((level, name), [])) for level in PARTS]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def bars(results: Results, level: str, measure: Callable[[Sequence[dict[str, Any]]], float]) -> str:
    """A bar a target, as SVG."""
    values = {name: measure(found) for (of, name), found in results.items() if of == level and ("one", name) in results}
    longest = max(values.values(), default=1) or 1
    height = 34 * len(values) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" font-family="sans-serif" font-size="14">',
        f'<rect width="720" height="{height}" fill="#fff"/>',
        f'<text x="8" y="20" font-weight="bold">{escape(LEVELS[level])}</text>',
    ]
    for place, (name, value) in enumerate(values.items()):
        y, width = 34 + 34 * place, 400 * value / longest
        parts.append(f'<text x="8" y="{y + 18}">{escape(name)}</text>')
        parts.append(f'<rect x="220" y="{y}" width="{width:.1f}" height="24" fill="{COLOURS[place % len(COLOURS)]}"/>')
        parts.append(f'<text x="{226 + width:.1f}" y="{y + 18}">{value:g}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _targets(results: Results) -> list[str]:
    return list(dict.fromkeys(target for _, target in results))


def _cpu(found: Sequence[dict[str, Any]]) -> float:
    return round(float(statistics.median(row["cpu_ms_per_1000_tokens"] for row in found)), 1)


def _cell(level: str, found: Sequence[dict[str, Any]]) -> str:
    if not found:
        return ""

    def middle(of: Callable[[dict[str, Any]], float | None]) -> str:
        values = [value for row in found if (value := of(row)) is not None]
        return f"{statistics.median(values):g}" if values else "never"

    failed = sum(row.get("failed", 0) for row in found)
    note = f" ({failed} failed)" if failed else ""
    match level:
        case "start":
            return middle(lambda row: row["ready_s"])
        case "one":
            return middle(lambda row: row["first_token_ms"][0]) + note
        case "fixed":
            return middle(lambda row: row["cpu_ms_per_stream"]) + note
        case "paced100" | "paced400":
            return middle(lambda row: row["tokens_per_s"]) + note
        case "leave400":
            closed, left = sum(row["closed"] for row in found), sum(row["left"] for row in found)
            waits = middle(lambda row: row["close_ms"][0])
            return f"{closed} of {left}, {waits}, {middle(lambda row: row['tokens_after'])}{note}"
        case "open400":
            return f"{middle(lambda row: row['rss_kb_per_stream'])} ({middle(lambda row: row['rss_mb'])}){note}"
        case _:
            return f"{_cpu(found):g}{note}"


def _delays(found: Sequence[dict[str, Any]]) -> str:
    pairs = [row["token_delay_ms"] for row in found if row["token_delay_ms"][0] is not None]
    return " / ".join(f"{statistics.median(pair[i] for pair in pairs):g}" for i in (0, 1)) if pairs else ""
