"""Chunks a second of the built-in embedding, by texts in a batch and threads of the runtime.

Usage: python -m bench.embedding [--chunks N]. Each combination runs three times in turn; the median counts.
"""

import argparse
import statistics
import time
from pathlib import Path
from unittest.mock import patch

from graph.retrieval.embeddings import MiniLM
from ingest.chunking import chunk
from ingest.loaders import load

DOCS = Path(__file__).parent.parent / "docs"
BATCHES = (1, 4, 8, 16, 32)
THREADS = (1, 2)
ROUNDS = 3


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=120)
    wanted = parser.parse_args().chunks
    chunks = [text for path in sorted(DOCS.glob("*.md")) for text in chunk_texts(path)][:wanted]
    rates: dict[tuple[int, int], list[float]] = {(batch, threads): [] for batch in BATCHES for threads in THREADS}
    for _ in range(ROUNDS):
        for (batch, threads), seen in rates.items():
            with (
                patch("graph.retrieval.embeddings.BATCH", batch),
                patch("graph.retrieval.embeddings.MAX_THREADS", threads),
            ):
                model = MiniLM()
                model.embed(["warm"])
                began = time.perf_counter()
                model.embed(chunks)
                seen.append(len(chunks) / (time.perf_counter() - began))
    print("| texts in a batch | " + " | ".join(f"{threads} threads" for threads in THREADS) + " |")
    print("|---|" + "---|" * len(THREADS))
    for batch in BATCHES:
        cells = [f"{statistics.median(rates[batch, threads]):.0f}" for threads in THREADS]
        print(f"| {batch} | " + " | ".join(cells) + " |")


def chunk_texts(path: Path) -> list[str]:
    """The chunks of a file, as ingest cuts them."""
    loaded = load(path.read_bytes(), path.name)
    return [loaded.text[piece.start : piece.end] for piece in chunk(loaded)]


if __name__ == "__main__":
    main()
