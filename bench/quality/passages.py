"""Does the answer stand in the passages? By the weight of the vectors and the room of the passages, on whole articles.

Usage: python -m bench.quality.passages SETS [--questions N]
"""

import argparse
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio

from bench.quality.sets import index_texts, lines
from graph.resources import open_resources
from graph.retrieval.hybrid import Retriever
from graph.retrieval.query import history_query
from graph.retrieval.ranking import HYBRID
from graph.retrieval.tokenizer import count_tokens
from graph.settings import Settings
from graph.state.evidence import Passage

NAMES = ("xquad_en", "squad2", "xquad_zh")
COMBINATIONS = (
    (0.7, (280, 180, 140)),
    (0.0, (280, 180, 140)),
    (0.4, (280, 180, 140)),
    (1.1, (280, 180, 140)),
    (0.7, (128, 128, 128)),
    (0.7, (240, 240, 240)),
    (0.7, (400, 400, 400)),
)
"""Weight of the vectors, room in tokens of the first passages."""
K = 5
BUDGET = 500


async def main() -> None:
    """Ingest the articles, ask, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--questions", type=int, default=400)
    arguments = parser.parse_args()
    print("| set | weight of vectors | room | first | any of 3 | any of 5 | within 500 tokens | tokens of 3 |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            texts = {row["id"]: row["text"] for row in lines(arguments.sets / f"articles/{name}.docs.jsonl")}
            index_texts(texts, Path(folder), name)
        async with open_resources(Settings.load(data_dir=Path(folder) / "data")) as resources:
            for name in NAMES:
                asked = list(lines(arguments.sets / f"articles/{name}.questions.jsonl"))
                random.Random(1).shuffle(asked)  # the same questions each time
                for weight, room in COMBINATIONS:
                    measure(resources.retriever, name, asked[: arguments.questions], weight, room)


def measure(retriever: Retriever, name: str, asked: list[dict[str, Any]], weight: float, room: tuple[int, ...]) -> None:
    """Ask all questions with one combination and print its row."""
    first = three = five = within = 0
    tokens = 0
    with (
        patch("graph.retrieval.ranking.HYBRID", replace(HYBRID, dense=weight)),
        patch("graph.retrieval.passages.ROOM_TOKENS", room),
    ):
        for row in asked:
            passages = retriever.search(history_query(row["question"], []), [name], k=K, where={}).passages
            right = [holds(passage)(row) for passage in passages]
            used = list(accumulate(count_tokens(passage["text"]) for passage in passages))
            first += any(right[:1])
            three += any(right[:3])
            five += any(right)
            within += any(there and total <= BUDGET for there, total in zip(right, used, strict=True))
            tokens += used[:3][-1] if used else 0
    n = len(asked)
    shares = [f"{found / n:.3f}" for found in (first, three, five, within)]
    print("| " + " | ".join(map(str, [name, weight, room, *shares, round(tokens / n)])) + " |", flush=True)


def holds(passage: Passage) -> Callable[[dict[str, Any]], bool]:
    """Whether the passage has the whole answer of a question."""
    document = passage["source"].rpartition("/")[2].removesuffix(".txt")
    return lambda row: document == row["doc"] and passage["start"] <= row["start"] and row["end"] <= passage["end"]


if __name__ == "__main__":
    anyio.run(main)
