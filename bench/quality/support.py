"""How well `support` tells claims that their source bears out from those it does not (BEGIN's human labels).

Usage: python -m bench.quality.support SETS
"""

import argparse
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bench.quality.sets import auroc, lines
from graph.state.evidence import Passage
from graph.terms import terms
from graph.verification import FOUND_FROM, verify


def main() -> None:
    """Print the shares that are flagged and the AUROC."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path)
    rows = list(lines(parser.parse_args().sets / "open/cite_begin.jsonl"))
    seen = Counter(term for row in rows for term in set(terms(row["source"])))

    def idf(found: Iterable[str]) -> dict[str, float]:
        return {term: math.log(1 + (len(rows) - seen[term] + 0.5) / (seen[term] + 0.5)) for term in found}

    support: dict[bool, list[float]] = {True: [], False: []}
    flagged: dict[bool, int] = {True: 0, False: 0}
    for row in rows:
        finding = verify(row["claim"], as_passage(row["source"]), idf)
        truth = bool(row["supported"])
        support[truth].append(finding.support)
        flagged[truth] += finding.verdict == "unsupported"
    print(f"{len(rows)} claims; flagged: {flagged[False] / len(support[False]):.3f} of the unsupported,", end=" ")
    print(
        f"{flagged[True] / len(support[True]):.3f} of the supported; AUROC {auroc(support[True], support[False]):.3f}"
    )
    found = {truth: sum(value >= FOUND_FROM for value in values) / len(values) for truth, values in support.items()}
    print(f"at least {FOUND_FROM}: {found[True]:.3f} of the supported, {found[False]:.3f} of the unsupported")


def as_passage(text: str) -> Passage:
    """A whole text as the passage that a claim cites."""
    return {
        "index": 1, "id": "d.v.0-1", "text": text, "score": 1.0, "document": "d", "source": "", "title": "",
        "start": 0, "end": len(text), "doc_sha256": "",
    }  # fmt: skip


if __name__ == "__main__":
    main()
