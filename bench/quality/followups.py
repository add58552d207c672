"""Is the right passage found for a question that leans on what was said before? By what of the talk is searched for.

CANARD's histories have answers, MTRAG's have none; both come with the question as a person rewrote it.
Usage: python -m bench.quality.followups SETS [--data FOLDER] [--only NAME …] [--chunk TOKENS]
"""

import argparse
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio

from bench.quality.sets import lines
from citestream.evaluate.asking import Answered, Ranked
from citestream.evaluate.indexing import index_rows
from citestream.evaluate.measures import judge
from citestream.evaluate.questions import Question, read_rows
from graph.resources import open_resources
from graph.retrieval.hybrid import Retriever
from graph.retrieval.query import history_query
from graph.retrieval.ranking import HYBRID, WITHOUT_ANSWERS
from graph.settings import Settings
from graph.state.evidence import SearchQuery
from ingest.chunking import MAX_TOKENS

MEASURES = ("R@5", "nDCG@5")
TOP_K = 10
"""Passages asked for; several of one row count once."""
WITH_ANSWERS = ("canard",)
WITHOUT = ("mtrag_clapnq", "mtrag_cloud", "mtrag_fiqa")
LOOSE, USUAL = "graph.retrieval.ranking.WITHOUT_ANSWERS", "graph.retrieval.ranking.HYBRID"
Ask = Callable[[dict[str, Any]], SearchQuery]
Way = tuple[str, Ask, dict[str, Any]]
"""What the table calls it, the search for a row of a set, and what is changed meanwhile."""


async def main() -> None:
    """Index each set's passages, ask in several ways, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--data", type=Path, help="keep the indexes in this folder, and use those that are there")
    parser.add_argument("--only", nargs="+", default=[*WITH_ANSWERS, *WITHOUT], help="names of sets")
    parser.add_argument("--chunk", type=int, default=MAX_TOKENS, help="most tokens of a chunk")
    arguments = parser.parse_args()
    only, chunk = set(arguments.only), arguments.chunk
    with tempfile.TemporaryDirectory() if arguments.data is None else nullcontext(arguments.data) as folder:
        settings = Settings.load(data_dir=Path(folder))
        for name in sorted(only):
            if not (Path(folder) / f"{name}.done").exists():
                with patch.multiple("ingest.chunking", MAX_TOKENS=chunk, LEAD_TOKENS=chunk // 2):
                    index_rows(settings, name, read_rows(arguments.sets / f"corpora/{name}.parquet"))
                (Path(folder) / f"{name}.done").touch()
        print(f"| sets | searched for | {' | '.join(MEASURES)} | questions |\n|---|---|---|---|---|")
        async with open_resources(settings) as resources:
            for names, ways in ((WITH_ANSWERS, WAYS), (WITHOUT, [*WAYS, *WAYS_WITHOUT])):
                asked = {name: list(lines(arguments.sets / f"open/{name}.jsonl")) for name in names if name in only}
                for what, ask, changed in ways if asked else ():
                    with ExitStack() as stack:
                        for name, value in changed.items():
                            stack.enter_context(patch(name, value))
                        found = measure(resources.retriever, asked, ask)
                    print(f"| {', '.join(asked)} | {what} | {found} |", flush=True)


def alone(row: dict[str, Any]) -> SearchQuery:
    """The question as if it were the first one."""
    return history_query(row["question"], [])


def with_questions(row: dict[str, Any]) -> SearchQuery:
    """The question and the questions before it."""
    return history_query(row["question"], said(row, "user"))


def with_words(row: dict[str, Any]) -> SearchQuery:
    """The question and all that was said before it, by either side."""
    return history_query(row["question"], [message["text"] for message in row.get("history", [])])


def with_talk(row: dict[str, Any]) -> SearchQuery:
    """What the graph searches for: the questions before it, and what their answers were about."""
    return history_query(row["question"], said(row, "user"), said(row, "assistant"))


def rewritten(row: dict[str, Any]) -> SearchQuery:
    """The question as a person rewrote it."""
    return history_query(row.get("rewrite") or row["question"], [])


WAYS: list[Way] = [
    ("the question alone", alone, {}),
    ("and the questions before it, as if it were a first one", with_questions, {LOOSE: HYBRID}),
    ("and the words of the answers", with_words, {LOOSE: HYBRID}),
    ("and the talk", with_talk, {}),
    ("a person's rewrite", rewritten, {}),
]
WAYS_WITHOUT: list[Way] = [
    *((f"and the talk, vectors count {d}", with_talk, {LOOSE: replace(WITHOUT_ANSWERS, dense=d)}) for d in (1.5, 5.0)),
    ("and the talk, neither sentence nor pairs", with_talk, {LOOSE: replace(WITHOUT_ANSWERS, sentence=0.0, pairs=0.0)}),
    ("and the talk, copies take places of their own", with_talk, {"graph.retrieval.passages.SAME": 2.0}),
    *((f"a person's rewrite, vectors count {d}", rewritten, {USUAL: replace(HYBRID, dense=d)}) for d in (1.6, 3.0)),
]
"""More of them for histories without answers, where the meaning tells what the talk is about."""


def said(row: dict[str, Any], role: str) -> list[str]:
    """What one side said before the question, oldest first."""
    return [message["text"] for message in row.get("history", []) if message["role"] == role]


def measure(retriever: Retriever, asked: dict[str, list[dict[str, Any]]], ask: Ask) -> str:
    """Ask the questions of all sets; cells of recall, nDCG and the number of questions."""
    values = []
    for name, questions in asked.items():
        for row in questions:
            passages = retriever.search(ask(row), [name], k=TOP_K, where={}).passages
            ranked = [
                Ranked(found["id"], found["source"], found["score"], found["start"], found["end"], found["text"])
                for found in passages
            ]
            values.append(judge(Question(row["qid"], row["question"], documents=tuple(row["gold"])), Answered(ranked)))
    n = len(values)
    return " | ".join([*(f"{sum(value[name] for value in values) / n:.3f}" for name in MEASURES), str(n)])


if __name__ == "__main__":
    anyio.run(main)
