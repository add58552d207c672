"""How ingest grows with what there is: cost of a chunk, memory, disk, and searches before, during and after.

Usage: python -m bench.growth SETS [--steps N …] [--plot FILE]

Files of public texts are taken in by the ingest command until there are so many chunks as each step says. Vectors are
those of `bench.retrieval`, so what is counted is everything but the embedding. All along another process asks five
questions a second, and notes how long after each publication its searches see it. The last row is of some more chunks,
embedded by MiniLM.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count, cycle, islice
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from typer.testing import CliRunner

from bench.plot import plot
from bench.quality.sets import lines
from bench.retrieval import ASKED, CORPORA, embedded_as_words, word_vector
from citestream.cli import app
from citestream.evaluate.questions import read_rows
from citestream.process import step_back
from graph.library import Library
from graph.limits import DEFAULT_COLLECTION
from graph.retrieval.embeddings import Embedders, MiniLM
from graph.retrieval.hybrid import Retriever
from graph.retrieval.query import history_query
from graph.retrieval.view import Views
from graph.settings import Settings

STEPS = (1_000, 3_000, 10_000, 30_000, 100_000)
PASSAGES = 20
"""Texts in a file."""
RATE = 5.0
EMBEDDED = 2_000
"""Chunks of the last row."""
REST_S = 20.0
"""How long is asked while nothing is written."""
LOOK_S = 0.02
"""How often the reader looks for what has been published."""


def main() -> None:
    """Take in step by step, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read(arguments.sets, arguments.read)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = grow(arguments.sets, Path(folder), arguments.steps)
    costs = ("chunks", "ms CPU a chunk", "ms a chunk", "peak MB", "KB on disk a chunk")
    names = (*costs, "p95 before", "during", "after", "seen after s, p95", "most", "again s")
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for row in rows:
        print(f"| {row[0]:,.0f} | {' | '.join(f'{value:.2f}' for value in row[1:])} |")
    if arguments.plot:
        series = {
            "CPU of a new chunk": [(row[0], row[1]) for row in rows[:-1]],
            "a search, while nothing is written (p95)": [(row[0], row[7]) for row in rows[:-1]],
        }
        plot(arguments.plot, "Ingest and search by the size of the collection", "chunks", "ms", series)


def grow(sets: Path, folder: Path, steps: Sequence[int]) -> list[tuple[float, ...]]:
    """A row of the table for each step, and the last one."""
    data_dir, files = folder / "data", files_of(sets, folder / "files")
    rows: list[tuple[float, ...]] = []
    ingest(data_dir, [next(files)])  # the reader wants something to read
    with reading(sets, data_dir, folder / "asked.jsonl") as asked:
        step_back()  # as the command does, and the reader does not
        for step in steps:
            with patch.object(MiniLM, "embed", word_vectors):
                rows.append(take_in(data_dir, folder / "files", files, step, asked))
        rows.append(take_in(data_dir, folder / "files", files, chunks_in(data_dir) + EMBEDDED, asked))
    return rows


def take_in(data_dir: Path, folder: Path, files: Iterator[Path], step: int, asked: "Reader") -> tuple[float, ...]:
    """Take in until there are so many chunks; the row."""
    before = rest(asked)
    began, cpu, had = time.monotonic(), cpu_s(), chunks_in(data_dir)
    while (held := chunks_in(data_dir)) < step:
        wanted = max(1, (step - held) // PASSAGES // 4)
        ingest(data_dir, list(islice(files, wanted)))
    wall, spent, new = time.monotonic() - began, cpu_s() - cpu, chunks_in(data_dir) - had
    during, seen = asked.p95("ms", began), asked.p95("seen_after_s", began)
    after = rest(asked)
    most = max(asked.values("seen_after_s", began))  # the last publication's too
    again = time.monotonic()
    ingest(data_dir, [folder])
    again = time.monotonic() - again
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = sum(path.stat().st_size for path in data_dir.rglob("*") if path.is_file())
    held = chunks_in(data_dir)
    costs = (held, 1000 * spent / new, 1000 * wall / new, peak, size / held / 1024)
    row = (*costs, before, during, after, seen, most, again)
    print(row, file=sys.stderr, flush=True)
    return row


def files_of(sets: Path, folder: Path) -> Iterator[Path]:
    """Files of Markdown, each with some texts; over again under other names when the texts are used up."""
    folder.mkdir()
    texts = [row for name in CORPORA for row in read_rows(sets / f"corpora/{name}.parquet")]
    endless = cycle(texts)
    for number in count():
        file = folder / f"{number:06}.md"
        parts = [f"## {row.title or row.id} {number}\n\n{row.text}" for row in islice(endless, PASSAGES)]
        file.write_text(f"# Collected texts {number}\n\n" + "\n\n".join(parts), encoding="utf-8")
        yield file


def ingest(data_dir: Path, paths: Sequence[Path]) -> None:
    """Run the command."""
    done = CliRunner().invoke(app, ["ingest", *map(str, paths), "--data-dir", str(data_dir)])
    assert done.exit_code == 0, done.output


def chunks_in(data_dir: Path) -> int:
    """Live ones."""
    library = Library.open(data_dir)
    try:
        return sum(held.chunks for held in library.collections())
    finally:
        library.close()


def cpu_s() -> float:
    """Of this process and the parsers that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def word_vectors(_: MiniLM, texts: list[str]) -> NDArray[np.float32]:
    """In place of MiniLM's."""
    return np.asarray([word_vector(text) for text in texts])


class Reader:
    """What another process noted: a line of JSON for each search and for each publication."""

    def __init__(self, notes: Path) -> None:
        self._notes = notes

    def values(self, name: str, began: float) -> list[float]:
        """Those of that name, noted since then."""
        notes = [json.loads(line) for line in self._notes.read_text().splitlines()]
        return [note[name] for note in notes if name in note and note["at"] >= began]

    def p95(self, name: str, began: float) -> float:
        """Their 95th percentile."""
        values = self.values(name, began)
        return statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else float("nan")


@contextmanager
def reading(sets: Path, data_dir: Path, notes: Path) -> Iterator[Reader]:
    """Another process that asks."""
    command = [sys.executable, "-m", "bench.growth", str(sets), "--read", str(data_dir)]
    with notes.open("wb") as out, subprocess.Popen(command, stdout=out) as reader:
        try:
            yield Reader(notes)
        finally:
            reader.terminate()


def rest(asked: Reader) -> float:
    """The p95 of questions while nothing happens."""
    time.sleep(3)  # until the last view is in place
    began = time.monotonic()
    time.sleep(REST_S)
    return asked.p95("ms", began)


def read(sets: Path, data_dir: Path) -> None:
    """Ask five questions a second, as a server would search for them, until this process is ended."""
    questions = cycle([row["question"] for name in ASKED for row in lines(sets / f"open/{name}.jsonl")])
    settings = Settings.load(data_dir=data_dir)
    with patch.object(MiniLM, "embed", embedded_as_words), suppress(KeyboardInterrupt):
        library = Library.open(data_dir)
        retriever = Retriever(settings, library, Embedders(settings))
        retriever.warm()
        threading.Thread(target=follow, args=(library, retriever._views), daemon=True).start()
        for question in questions:
            began = time.monotonic()
            found = retriever.search(history_query(question, []), [DEFAULT_COLLECTION], k=5, where={})
            assert found.passages, question
            note(at=began, ms=1000 * (time.monotonic() - began))
            time.sleep(max(0.0, began + 1 / RATE - time.monotonic()))


def follow(library: Library, views: Views) -> None:
    """Note for each publication how long after it searches saw it."""
    newest, unseen = library.generation(), dict[int, float]()
    while True:
        time.sleep(LOOK_S)
        now, generation = time.monotonic(), library.generation()
        if generation != newest:
            newest = generation
            unseen[newest] = now
        for seen in [number for number in unseen if number <= views.latest().generation]:
            at = unseen.pop(seen)
            note(at=at, seen_after_s=now - at)


def note(**values: float) -> None:
    """Write a line, whole even if another thread writes too."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
