"""Does the answer stand in the passages? By the size of chunks, the weight of the vectors and the room of the passages.

On whole articles. Usage: python -m bench.quality.passages SETS [--questions N]
"""

import argparse
import random
import tempfile
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio

from bench.quality.sets import lines
from citestream.evaluate.indexing import index_rows
from citestream.evaluate.questions import Row
from graph.limits import DEFAULT_COLLECTION
from graph.resources import open_resources
from graph.retrieval.hybrid import Retriever
from graph.retrieval.passages import ROOM_TOKENS
from graph.retrieval.query import history_query
from graph.retrieval.ranking import HYBRID, WORDS_ALONE, Weights
from graph.retrieval.tokenizer import count_tokens
from graph.settings import Settings
from graph.state.evidence import Passage
from ingest.chunking import MAX_TOKENS

NAMES = ("xquad_en", "squad2", "xquad_zh")
ONE_CHUNK = (MAX_TOKENS,) * 3
"""Room for no more than a chunk: neighbours are not joined."""
PLAIN = {"sentence": 0.0, "pairs": 0.0, "document": 0.0}
COMBINATIONS: dict[int, list[tuple[dict[str, float], tuple[int, ...]]]] = {
    100: [({}, ROOM_TOKENS)],
    MAX_TOKENS: [
        ({}, ROOM_TOKENS),
        ({}, ONE_CHUNK),
        ({}, (240, 240, 240)),
        ({}, (400, 400, 400)),
        (PLAIN, ROOM_TOKENS),
        ({"dense": 0.3}, ROOM_TOKENS),
        ({"dense": 1.1}, ROOM_TOKENS),
        ({"around": 0.0}, ROOM_TOKENS),
    ],
    160: [({}, ROOM_TOKENS)],
    200: [({}, ROOM_TOKENS), ({}, (400, 400, 400))],
}
"""Most tokens of a chunk -> what is changed in the weights of the order, and room in tokens of the first passages."""
K = 5
BUDGET = 500


async def main() -> None:
    """Index the articles, ask, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--questions", type=int, default=2000, help="at most so many of each set")
    arguments = parser.parse_args()
    columns = ("set", "chunk", "vectors", "sentence, pairs, document, around", "room")
    measures = ("first", "of 3", "of 5", "in 500", "tokens of 3")
    print("| " + " | ".join((*columns, *measures)) + " |")
    print("|---" * 10 + "|")
    for name in NAMES:
        articles = lines(arguments.sets / f"articles/{name}.docs.jsonl")
        rows = [Row(row["id"], row["title"], row["text"]) for row in articles]
        asked = list(lines(arguments.sets / f"articles/{name}.questions.jsonl"))
        random.Random(1).shuffle(asked)  # the same questions each time
        for tokens, combinations in COMBINATIONS.items():
            with tempfile.TemporaryDirectory() as folder:
                settings = Settings.load(data_dir=Path(folder))
                with patch.multiple("ingest.chunking", MAX_TOKENS=tokens, LEAD_TOKENS=tokens // 2):
                    index_rows(settings, DEFAULT_COLLECTION, rows)
                async with open_resources(settings) as resources:
                    for change, room in combinations:
                        usual = WORDS_ALONE if name.endswith("zh") else HYBRID
                        weights = replace(usual, **change)
                        if change and not any(getattr(usual, part) for part in change):
                            continue  # what is changed counts for nothing in this set
                        found = measure(resources.retriever, asked[: arguments.questions], weights, room)
                        rest = f"{weights.sentence}, {weights.pairs}, {weights.document}, {weights.around}"
                        cells = [name, tokens, weights.dense, rest, ", ".join(map(str, room)), *found]
                        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def measure(retriever: Retriever, asked: list[dict[str, Any]], weights: Weights, room: tuple[int, ...]) -> list[str]:
    """Ask all questions with one combination: the cells of its row."""
    first = three = five = within = 0
    tokens = 0
    with (
        patch.multiple("graph.retrieval.ranking", HYBRID=weights, WORDS_ALONE=weights),
        patch("graph.retrieval.passages.ROOM_TOKENS", room),
    ):
        for row in asked:
            query = history_query(row["question"], [])
            passages = retriever.search(query, [DEFAULT_COLLECTION], k=K, where={}).passages
            right = [holds(passage, row) for passage in passages]
            used = list(accumulate(count_tokens(passage["text"]) for passage in passages))
            first += any(right[:1])
            three += any(right[:3])
            five += any(right)
            within += any(there and total <= BUDGET for there, total in zip(right, used, strict=True))
            tokens += used[:3][-1] if used else 0
    n = len(asked)
    return [*(f"{found / n:.3f}" for found in (first, three, five, within)), str(round(tokens / n))]


def holds(passage: Passage, row: dict[str, Any]) -> bool:
    """Whether the passage has the whole answer of a question."""
    return bool(passage["source"] == row["doc"] and passage["start"] <= row["start"] and row["end"] <= passage["end"])


if __name__ == "__main__":
    anyio.run(main)
