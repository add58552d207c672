"""A small, fast form of the measurements in docs/quality.md, so that a change that hurts the answers is seen.

Every twelfth question about XQuAD's articles, of each language. The sets are not part of the repository: the test runs
where they lie beside the checkout. The least shares allowed are what all the questions reach, less what 100 of them may
differ by (2.3 standard errors).
"""

import json
from contextlib import closing
from typing import Any

import pytest

from citestream.evaluate import Citestream
from tests.e2e.conftest import ROOT

ARTICLES = ROOT.parent / "shared" / "eval" / "articles"
EACH = 12


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "found", "contained"), [("xquad_en", 0.96, 0.90), ("xquad_zh", 0.94, 0.86)])
@pytest.mark.long
def test_the_answers_are_as_good_as_they_were(name: str, found: float, contained: float) -> None:
    if not ARTICLES.is_dir():
        pytest.skip("the public question sets do not lie beside the checkout")
    asked = rows(f"{name}.questions.jsonl")[::EACH]
    seen = {"passage": 0, "answer": 0}
    with closing(Citestream()) as citestream:
        citestream.ingest(rows(f"{name}.docs.jsonl"))
        for row in asked:
            answered = citestream.ask([], row["question"], 5)
            seen["passage"] += any(holds(passage, row) for passage in answered["ranked"][:3])
            seen["answer"] += row["answer"] in answered["answer"]
    assert len(asked) == 100
    assert seen["passage"] >= found * len(asked), seen
    assert seen["answer"] >= contained * len(asked), seen


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ARTICLES / name).read_text(encoding="utf-8").splitlines()]


def holds(passage: dict[str, Any], row: dict[str, Any]) -> bool:
    """Whether the passage has the whole answer at its place in the article."""
    return passage["doc"] == row["doc"] and passage["start"] <= row["start"] and row["end"] <= passage["end"]
