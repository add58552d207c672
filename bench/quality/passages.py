"""Does the answer stand in the passages? By the dense share and by how many neighbours are joined, on whole articles.

Usage: python -m bench.quality.passages SETS [--questions N]
"""

import argparse
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio

from bench.quality.sets import index_texts, lines
from graph.resources import open_resources
from graph.retrieval.hybrid import Retriever
from graph.retrieval.query import history_query
from graph.retrieval.tokenizer import count_tokens
from graph.settings import Settings
from graph.state.evidence import Passage

NAMES = ("xquad_en", "squad2", "xquad_zh")
COMBINATIONS = ((0.3, 2), (0.4, 1), (0.4, 2), (0.4, 3), (0.5, 2), (0.6, 2))
"""Dense share, most chunks in a passage."""
K = 5
BUDGETS = (500, 1000)


async def main() -> None:
    """Ingest the articles, ask, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--questions", type=int, default=400)
    arguments = parser.parse_args()
    print("| set | dense share | chunks joined | first | any of 5 | within 500 tokens | within 1000 | tokens of 5 |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            texts = {row["id"]: row["text"] for row in lines(arguments.sets / f"articles/{name}.docs.jsonl")}
            index_texts(texts, Path(folder), name)
        async with open_resources(Settings.load(data_dir=Path(folder) / "data")) as resources:
            for name in NAMES:
                asked = list(lines(arguments.sets / f"articles/{name}.questions.jsonl"))
                random.Random(1).shuffle(asked)  # the same questions each time
                for share, chunks in COMBINATIONS:
                    measure(resources.retriever, name, asked[: arguments.questions], share, chunks)


def measure(retriever: Retriever, name: str, asked: list[dict[str, Any]], share: float, chunks: int) -> None:
    """Ask all questions with one combination and print its row."""
    first = found = 0
    within = dict.fromkeys(BUDGETS, 0)
    tokens = 0
    with (
        patch("graph.retrieval.hybrid.DENSE_WEIGHT", share),
        patch("graph.retrieval.passages.MAX_CHUNKS", chunks),
    ):
        for row in asked:
            query = history_query(row["question"], [])
            passages = retriever.search(query, [name], k=K, where={}).passages
            right = [holds(passage)(row) for passage in passages]
            first += right[:1] == [True]
            found += any(right)
            used = 0
            best: int | None = None
            for passage, is_right in zip(passages, right, strict=True):
                used += count_tokens(passage["text"])
                if is_right and best is None:
                    best = used
            tokens += used
            for budget in BUDGETS:
                within[budget] += best is not None and best <= budget
    n = len(asked)
    shares = [first / n, found / n, *(within[budget] / n for budget in BUDGETS)]
    cells = [name, share, chunks, *(f"{value:.3f}" for value in shares), round(tokens / n)]
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def holds(passage: Passage) -> Callable[[dict[str, Any]], bool]:
    """Whether the passage has the whole answer of a question."""
    document = passage["source"].rpartition("/")[2].removesuffix(".txt")
    return lambda row: document == row["doc"] and passage["start"] <= row["start"] and row["end"] <= passage["end"]


if __name__ == "__main__":
    anyio.run(main)
