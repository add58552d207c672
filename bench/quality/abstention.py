"""How well the confidence tells questions whose passage is indexed from questions whose passage is not.

Half of the passages of a set are left out of the index. Usage: python -m bench.quality.abstention SETS
"""

import argparse
import hashlib
import tempfile
from pathlib import Path

import anyio

from bench.quality.sets import auroc, lines
from citestream.evaluate.indexing import index_rows
from citestream.evaluate.questions import read_rows
from graph.limits import DEFAULT_COLLECTION
from graph.resources import open_resources
from graph.retrieval.query import history_query
from graph.settings import Settings

NAMES = ("xquad_en", "xquad_zh", "cmrc", "drcd")


async def main() -> None:
    """Print a row for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path)
    sets = parser.parse_args().sets
    print("| set | answerable questions that are answered | unanswerable ones turned away | AUROC |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            kept = {row.id: row for row in read_rows(sets / f"corpora/{name}.parquet") if not is_left_out(row.id)}
            settings = Settings.load(data_dir=Path(folder) / name)
            index_rows(settings, DEFAULT_COLLECTION, list(kept.values()))
            asked = [row for row in lines(sets / f"open/{name}.jsonl") if row["answerable"]]
            confidences: dict[bool, list[float]] = {True: [], False: []}
            enough: dict[bool, int] = {True: 0, False: 0}
            async with open_resources(settings) as resources:
                for row in asked:
                    query = history_query(row["question"], [])
                    found = resources.retriever.search(query, [DEFAULT_COLLECTION], k=5, where={}).sufficiency
                    there = any(gold in kept for gold in row["gold"])
                    confidences[there].append(found.confidence)
                    enough[there] += found.enough
            answered = enough[True] / len(confidences[True])
            turned_away = 1 - enough[False] / len(confidences[False])
            area = auroc(confidences[True], confidences[False])
            print(f"| {name} | {answered:.3f} | {turned_away:.3f} | {area:.3f} |", flush=True)


def is_left_out(name: str) -> bool:
    """Whether a passage is not indexed: by its id, so that it is the same half each time."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 == 0


if __name__ == "__main__":
    anyio.run(main)
