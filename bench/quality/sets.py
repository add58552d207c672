"""Public question sets, read from the folder that the command names, and what a ranking is worth."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file."""
    from pyarrow import parquet  # noqa: PLC0415  # a package for developers

    found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return found


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The chance that a positive one has a higher value than a negative one; ties count half."""
    pairs = [(value, 1) for value in positive] + [(value, 0) for value in negative]
    pairs.sort()
    ranks = 0.0
    begin = 0
    while begin < len(pairs):
        end = begin
        while end < len(pairs) and pairs[end][0] == pairs[begin][0]:
            end += 1
        ranks += (begin + 1 + end) / 2 * sum(label for _, label in pairs[begin:end])
        begin = end
    n = len(positive)
    return (ranks - n * (n + 1) / 2) / (n * len(negative))
