"""How the cost of streaming grows with the streams that are open at once, and with the turns before a question.

Usage: python -m bench.streaming.growing [--rounds N] [--plot FILE]

Prints two tables, medians of the rounds. Streams come at 10 tokens a second; turns before are sent with the question.
"""

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.plot import plot
from bench.streaming.__main__ import CHUNKS, START, Bench, Levels, Target

STREAMS = (1, 10, 50, 100, 200, 400)
TURNS = (0, 1, 5, 20, 80)
TOKENS = 100
PAUSE_S = 0.1
RAMP_S = 8
SENTENCE = "The reader of section {} keeps the token while the stream changes. "
Rows = Mapping[str, Sequence[dict[str, Any]]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=CHUNKS)
    parser.add_argument("--cores", nargs=2, default=("0", "1"), help="of the server; of model and load")
    parser.add_argument("--plot", type=Path, help="where the picture of the first table goes")
    arguments = parser.parse_args(namespace=argparse.Namespace(workers=False, llamaindex=None, targets=["citestream"]))

    streams = {str(number): at_once(number) for number in STREAMS}
    found = measured(arguments, streams, lambda target: {"citestream": target}, lambda row: row["level"])
    table(
        ("open streams", "CPU ms per 1,000 tokens", "delay of a token, p50 ms", "p95 ms", "KB a stream"),
        found,
        (_cpu, _of("token_delay_ms", 0), _of("token_delay_ms", 1), lambda row: row["rss_kb_per_stream"]),
    )
    if arguments.plot:
        lines = {
            "CPU of 1,000 tokens": [(int(name), middle(rows, _cpu)) for name, rows in found.items()],
            "delay of a token (p95)": [
                (int(name), middle(rows, _of("token_delay_ms", 1))) for name, rows in found.items()
            ],
        }
        plot(arguments.plot, "Streams of 10 tokens a second, one process on one core", "open streams", "ms", lines)

    turns = {"turns": ({"tokens": 1, "pause_s": 0}, ["--at-once", "1", "--total", "30"])}
    found = measured(arguments, turns, after_turns, lambda row: row["target"])
    table(
        ("turns before", "CPU of a turn, ms", "first token, p50 ms", "p95 ms"),
        found,
        (lambda row: row["cpu_ms_per_stream"], _of("first_token_ms", 0), _of("first_token_ms", 1)),
    )


def at_once(number: int) -> tuple[dict[str, Any], list[str]]:
    """The level of so many streams, which begin within RAMP_S."""
    count = str(number)
    load = ["--at-once", count, "--total", count, "--ramp-s", str(RAMP_S)]
    return {"tokens": TOKENS, "pause_s": PAUSE_S}, load


def after_turns(target: Target) -> dict[str, Target]:
    """A server for each number of turns before the question."""
    made = {}
    for number in TURNS:
        history = [turn for place in range(number) for turn in _turn(place)]
        body = json.dumps({"question": "QUESTION", "history": history})
        made[str(number)] = replace(target, body=body, rewrites=number > 0)
    return made


def _turn(place: int) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": f"What does the reader of section {place} keep?"},
        {"role": "assistant", "content": SENTENCE.format(place) * 4},
    ]


def measured(
    arguments: argparse.Namespace,
    levels: Levels,
    targets: Callable[[Target], dict[str, Target]],
    name_of: Callable[[dict[str, Any]], str],
) -> Rows:
    """The rows of each name, in the order of their first."""
    bench = Bench(arguments, levels)
    (ours,) = bench.targets.values()
    bench.targets = targets(replace(ours, levels=tuple(levels)))
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in bench.run(list(levels), arguments.rounds):
        if row["level"] != START:
            found[name_of(row)].append(row)
    return found


def table(titles: Sequence[str], found: Rows, columns: Iterable[Callable[[dict[str, Any]], float]]) -> None:
    """Print a row a name."""
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    columns = list(columns)
    for name, rows in found.items():
        print(f"| {name} | {' | '.join(f'{middle(rows, column):,.1f}' for column in columns)} |")
    print()


def middle(rows: Iterable[dict[str, Any]], column: Callable[[dict[str, Any]], float]) -> float:
    """The median of a column."""
    return statistics.median(column(row) for row in rows)


def _of(name: str, place: int) -> Callable[[dict[str, Any]], float]:
    return lambda row: float(row[name][place])


def _cpu(row: dict[str, Any]) -> float:
    return float(row["cpu_ms_per_1000_tokens"])


if __name__ == "__main__":
    main()
