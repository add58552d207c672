"""How long a search takes in a large collection, and each part of it, on one core.

Usage: python -m bench.retrieval SETS [--chunks N] [--questions N]

The texts are those of public sets, over again until there are enough chunks. To index them in minutes, their vectors
are sums of random vectors, one for each word; a question gets its real embedding, for the time that it takes, and is
searched with such a sum.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zlib import crc32

import anyio
import numpy as np
from numpy.typing import NDArray

from bench.quality.sets import lines
from citestream.evaluate.indexing import index_rows
from citestream.evaluate.questions import read_rows
from graph.library import Library
from graph.limits import DEFAULT_COLLECTION
from graph.resources import open_resources
from graph.retrieval.embeddings import MiniLM
from graph.retrieval.hybrid import Retriever
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex
from graph.retrieval.query import history_query
from graph.settings import Settings
from graph.terms import words

CORPORA = ("mtrag_cloud", "mtrag_clapnq", "mtrag_fiqa", "squad2", "xquad_en", "canard")
ASKED = ("mtrag_cloud", "mtrag_clapnq", "mtrag_fiqa", "squad2")
DIMENSIONS = 384
BATCH = 2000
"""Rows that are indexed at once."""
FILTERS: dict[str, dict[str, list[str]]] = {"no filter": {}, "format: text": {"format": ["text"]}}

embed = MiniLM.embed


async def main() -> None:
    """Index, ask, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--chunks", type=int, default=100_000, help="at least so many")
    parser.add_argument("--questions", type=int, default=400)
    arguments = parser.parse_args()
    rows = [row for name in CORPORA for row in read_rows(arguments.sets / f"corpora/{name}.parquet")]
    asked = [row["question"] for name in ASKED for row in lines(arguments.sets / f"open/{name}.jsonl")]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        settings = Settings.load(data_dir=Path(folder))
        with patch.object(MiniLM, "embed", lambda _, texts: np.asarray([word_vector(text) for text in texts])):
            chunks = turns = 0
            while chunks < arguments.chunks:
                begin = turns * BATCH % len(rows)
                batch = [replace(row, id=f"{row.id}-{turns}") for row in rows[begin : begin + BATCH]]
                chunks += index_rows(settings, DEFAULT_COLLECTION, batch)
                turns += 1
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        stack.enter_context(patch.object(MiniLM, "embed", embedded_as_words))
        async with open_resources(settings) as resources:
            resources.retriever.warm()
            print(f"{chunks} chunks, {arguments.questions} questions\n")
            print("| search | part | p50 ms | p95 ms |\n|---|---|---|---|")
            for name, where in FILTERS.items():
                for part, taken in measure(resources.retriever, asked[:: len(asked) // arguments.questions], where):
                    p95 = statistics.quantiles(taken, n=20)[-1]
                    print(f"| {name} | {part} | {statistics.median(taken):.1f} | {p95:.1f} |", flush=True)


def measure(retriever: Retriever, asked: list[str], where: dict[str, list[str]]) -> Iterator[tuple[str, list[float]]]:
    """Milliseconds of each question, in all and by part."""
    taken: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        for part, owner, name in (
            ("embed the question", MiniLM, "embed"),
            ("vectors (Chroma)", DenseIndex, "search"),
            ("words (tantivy)", LexicalIndex, "search"),
            ("chunks (library)", Library, "live_chunks"),
            ("surroundings (library)", Library, "sections"),
        ):
            stack.enter_context(timed(owner, name, taken[part]))
        with timed(Retriever, "search", taken["all"]):
            for question in asked:
                retriever.search(history_query(question, []), [DEFAULT_COLLECTION], k=5, where=where)
    yield "all", taken.pop("all")
    yield from taken.items()


@contextmanager
def timed(owner: type, name: str, into: list[float]) -> Iterator[None]:
    """Note the milliseconds of every call of a method."""
    method: Callable[..., Any] = getattr(owner, name)

    def call(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return method(*arguments, **named)
        finally:
            into.append(1000 * (time.perf_counter() - began))

    with patch.object(owner, name, call):
        yield


def embedded_as_words(model: MiniLM, texts: list[str]) -> NDArray[np.float32]:
    """What the texts are searched with, after the time that their embedding takes."""
    embed(model, texts)
    return np.asarray([word_vector(text) for text in texts])


def word_vector(text: str) -> NDArray[np.float32]:
    """The sum of the random vectors of a text's words, of length 1."""
    total = np.sum([random_vector(word) for word in words(text)] or [random_vector("")], axis=0)
    return np.asarray(total / np.linalg.norm(total), np.float32)


@lru_cache(200_000)
def random_vector(word: str) -> NDArray[np.float32]:
    """Always the same one for a word."""
    return np.random.default_rng(crc32(word.encode())).standard_normal(DIMENSIONS).astype(np.float32)


if __name__ == "__main__":
    anyio.run(main)
