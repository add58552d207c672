"""Beside: how long questions take while another process takes documents in, against while it does not, in one run.

Usage: python -m bench.beside FOLDER MORE [--slice-s N] [--rate N]

FOLDER is indexed first. Then this process searches, as a server does, a few times a second, while
`citestream ingest MORE` runs beside it with the built-in embedding. That command is stopped and let go on in turns
(SIGSTOP, SIGCONT), so that whatever else the machine does meets both alike.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from graph.library import Library
from graph.limits import DEFAULT_COLLECTION
from graph.retrieval.embeddings import Embedders
from graph.retrieval.hybrid import Retriever
from graph.retrieval.query import history_query
from graph.settings import Settings

QUESTIONS = 300
WORDS = 9
SEED = 3
SETTLE_S = 2.0
"""After the command was stopped, the view of what it published last may still be opened; that is not counted."""


def main() -> None:
    """Index, ask while documents are taken in and while they are not, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("more", type=Path)
    parser.add_argument("--slice-s", type=float, default=5, help="seconds until the command is stopped, or goes on")
    parser.add_argument("--rate", type=float, default=5, help="questions a second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.load(data_dir=Path(folder))
        ingest(settings, arguments.folder).wait()
        library = Library.open(settings.data_dir)
        asked = questions(library)
        before, generation = chunks(library), library.generation()
        retriever = Retriever(settings, library, Embedders(settings))
        retriever.warm()
        interval_s = 1 / arguments.rate
        ask(retriever, asked, interval_s, for_seconds(arguments.slice_s))
        beside = ingest(settings, arguments.more)
        taken: dict[str, list[float]] = {"stopped": [], "at work": []}
        while beside.poll() is None:
            taken["at work"] += ask(retriever, asked, interval_s, for_seconds(arguments.slice_s, beside))
            if beside.poll() is None:
                os.killpg(beside.pid, signal.SIGSTOP)
                ask(retriever, asked, interval_s, for_seconds(SETTLE_S))
                taken["stopped"] += ask(retriever, asked, interval_s, for_seconds(arguments.slice_s))
                os.killpg(beside.pid, signal.SIGCONT)
        added, published = chunks(library) - before, library.generation() - generation
        retriever.close()
        library.close()
    print(f"{before:,} chunks, {added:,} more, made visible {published} times\n")
    print("| the command | questions | p50 ms | p95 ms | most ms |\n|---|---|---|---|---|")
    for name, values in taken.items():
        told = f"{statistics.median(values):.1f} | {p95(values):.1f} | {max(values):.0f}"
        print(f"| {name} | {len(values)} | {told} |")
    print(f"\np95 at work to stopped: {p95(taken['at work']) / p95(taken['stopped']):.2f}")


def ingest(settings: Settings, folder: Path) -> subprocess.Popen[bytes]:
    """The command, at work."""
    command = [sys.executable, "-m", "citestream", "ingest", str(folder), "--data-dir", str(settings.data_dir)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def chunks(library: Library) -> int:
    """All that can be searched."""
    return sum(item.chunks for item in library.collections())


def questions(library: Library) -> list[str]:
    """The beginnings of chunks, chosen by chance but the same each time."""
    ids = sorted(library.live_ids(library.collection(DEFAULT_COLLECTION)))
    chosen = random.Random(SEED).sample(ids, min(QUESTIONS, len(ids)))
    return [" ".join(chunk.text.split()[:WORDS]) for chunk in library.live_chunks(chosen).values()]


def for_seconds(seconds: float, while_at_work: subprocess.Popen[bytes] | None = None) -> Callable[[], bool]:
    """Whether so many seconds are not over yet, nor the process."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() < until and (while_at_work is None or while_at_work.poll() is None)


def ask(retriever: Retriever, asked: Sequence[str], interval_s: float, goes_on: Callable[[], bool]) -> list[float]:
    """Milliseconds of each search. The next one begins when its time has come, or the one before has ended."""
    taken: list[float] = []
    due = time.monotonic()
    while goes_on():
        time.sleep(max(0.0, due - time.monotonic()))
        began = time.perf_counter()
        question = asked[len(taken) % len(asked)]
        retriever.search(history_query(question, []), [DEFAULT_COLLECTION], k=5, where={})
        taken.append(1000 * (time.perf_counter() - began))
        due = max(due + interval_s, time.monotonic())
    return taken


def p95(values: Sequence[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20)[-1]


if __name__ == "__main__":
    main()
