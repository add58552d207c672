"""Ingest: what it costs beside the embedder, against the ways of the tutorials, in one run with the same vectors.

Usage: python -m bench.ingest FOLDER [--langchain PYTHON] [--llamaindex PYTHON] [--rounds N] [--copies N] [--minilm]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.ingesting.common import files_of

HERE = Path(__file__).parent
MEASURES = ("wall_s", "cpu_s", "rss_mb", "chunks", "disk_mb")


def main() -> None:
    """Run each contestant in turn, as often as there are rounds, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--langchain", help="a Python that has what bench/ingesting/langchain_.py needs")
    parser.add_argument("--llamaindex", help="a Python that has what bench/ingesting/llamaindex_.py needs")
    parser.add_argument("--chars", type=int, default=360, help="LangChain's chunk size, for as many chunks")
    parser.add_argument("--tokens", type=int, default=250, help="LlamaIndex' chunk size, for as many chunks")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--copies", type=int, default=1, help="take in so many copies of the folder, each a little other"
    )
    parser.add_argument("--minilm", action="store_true", help="also with the real embedder, which takes minutes")
    arguments = parser.parse_args()
    contestants: dict[str, list[str]] = {"citestream": [sys.executable, "-m", "bench.ingesting.citestream_"]}
    if arguments.langchain:
        contestants["LangChain"] = [arguments.langchain, str(HERE / "ingesting/langchain_.py")]
    if arguments.llamaindex:
        contestants["LlamaIndex"] = [arguments.llamaindex, str(HERE / "ingesting/llamaindex_.py")]
    sizes = {"LangChain": [str(arguments.chars)], "LlamaIndex": [str(arguments.tokens)]}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in contestants}
    with tempfile.TemporaryDirectory() as files:
        folder = arguments.folder if arguments.copies == 1 else copied(arguments.folder, Path(files), arguments.copies)
        for _ in range(arguments.rounds):
            for name, command in contestants.items():
                with tempfile.TemporaryDirectory() as data:
                    found[name].append(measured([*command, str(folder), f"{data}/data", *sizes.get(name, [])]))
    print(f"| | {' | '.join(MEASURES)} | again: wall_s | cpu_s |\n|{'---|' * (len(MEASURES) + 3)}")
    for name, results in found.items():
        first = [median(results, "first", measure) for measure in MEASURES]
        again = [median(results, "again", measure) for measure in ("wall_s", "cpu_s")]
        print(f"| {name} | {' | '.join(f'{value:,.2f}' for value in (*first, *again))} |")
    ours = found["citestream"]
    for name, results in found.items():
        if name != "citestream":
            ratios = {m: median(ours, "first", m) / median(results, "first", m) for m in MEASURES}
            print(f"citestream / {name}: " + ", ".join(f"{m} {ratio:.2f}" for m, ratio in ratios.items()))
    if arguments.minilm:
        with tempfile.TemporaryDirectory() as data:
            real = measured([*contestants["citestream"], str(arguments.folder), f"{data}/data", "minilm"])["first"]
        rate, share = real["chunks"] / real["wall_s"], real["embedding_s"] / real["wall_s"]
        print(f"with MiniLM: {rate:.1f} chunks a second, {share:.0%} of the time in the embedder")


def copied(folder: Path, target: Path, copies: int) -> Path:
    """Files of text out of a folder, `copies` times, each copy with a last line of its own."""
    for number in range(copies):
        for file in files_of(folder):
            copy = target / str(number) / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            end = b"" if file.suffix == ".pdf" else f"\n\nCopy {number}.\n".encode()
            copy.write_bytes(file.read_bytes() + end)
    return target


def measured(command: list[str]) -> dict[str, Any]:
    """What a contestant says about itself."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise SystemExit(done.stderr[-3000:])
    return dict(json.loads(lines[-1].removeprefix("RESULT ")))


def median(results: list[dict[str, Any]], run: str, measure: str) -> float:
    """Over the rounds; nan where a contestant has no such run."""
    values = [result[run][measure] for result in results if run in result]
    return statistics.median(values) if values else float("nan")


if __name__ == "__main__":
    main()
