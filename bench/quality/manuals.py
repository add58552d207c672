"""Do the passages have what a talk about manuals asks for? By what is changed in ranking and in making passages.

Usage: citestream ingest MANUALS --data-dir DATA; python -m bench.quality.manuals tests/e2e/corpus_questions.json DATA
"""

import argparse
import json
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio

from citestream.evaluate.asking import Choice, InProcess
from citestream.evaluate.questions import Said
from graph.limits import DEFAULT_COLLECTION
from graph.resources import Resources, open_resources
from graph.retrieval.query import is_follow_up
from graph.retrieval.ranking import HYBRID, WITHOUT_ANSWERS, WORDS_ALONE, Weights
from graph.settings import Settings
from graph.state.evidence import SearchQuery
from graph.terms import is_cjk

RANKING, PASSAGES = "graph.retrieval.ranking", "graph.retrieval.passages"


def weights_of_loose_talk(query: SearchQuery) -> Weights:
    """As if no answer were known to any follow-up."""
    return WITHOUT_ANSWERS if is_follow_up(query) else HYBRID


CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "copies take places of their own": {f"{PASSAGES}.SAME": 2.0},
    "the last passages have no surroundings": {f"{PASSAGES}.LAST_ROOM_TOKENS": 0},
    "8 ranks beyond the last join": {f"{PASSAGES}.HITS_BEYOND_K": 8},
    "no topics": {f"{RANKING}.TOPIC": 0.0},
    **{f"vectors count {dense}": {f"{RANKING}.HYBRID": replace(HYBRID, dense=dense)} for dense in (0.3, 1.1, 1.6, 2.2)},
    "vectors count 3 in follow-ups": {f"{RANKING}._weights": weights_of_loose_talk},
    "Chinese without `around`": {f"{RANKING}.WORDS_ALONE": replace(WORDS_ALONE, around=0.0)},
}


@dataclass
class Count:
    """Turns in all, and those with a right passage among the first three, among five, and a right document."""

    turns: int = 0
    three: int = 0
    five: int = 0
    document: int = 0


async def main() -> None:
    """Ask every conversation with every change, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("questions", type=Path)
    parser.add_argument("data", type=Path, help="the data folder that the manuals were ingested into")
    arguments = parser.parse_args()
    conversations = json.loads(arguments.questions.read_text(encoding="utf-8"))
    settings = Settings.load(data_dir=arguments.data)
    print("| changed | language | turns | passage in 3 | in 5 | document in 5 |\n|---|---|---|---|---|---|")
    for changed, values in CHANGES.items():
        with ExitStack() as stack:
            for name, value in values.items():
                stack.enter_context(patch(name, value))
            async with open_resources(settings) as resources:
                counts = await ask_all(resources, conversations)
        for lang, count in counts.items():
            cells = (changed, lang, count.turns, count.three, count.five, count.document)
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


async def ask_all(resources: Resources, conversations: list[dict[str, Any]]) -> dict[str, Count]:
    """Ask as a client without a thread does, which sends the questions and answers so far."""
    asker = InProcess(resources)
    counts: dict[str, Count] = {}
    for conversation in conversations:
        talk: list[Said] = []
        for turn in conversation["turns"]:
            answered = await asker.ask(talk, turn["question"], Choice((DEFAULT_COLLECTION,)))
            talk += [Said("user", turn["question"]), Said("assistant", answered.answer)]
            phrases = [flat(phrase) for phrase in turn["evidence"]]
            right = [any(phrase in flat(passage.text) for phrase in phrases) for passage in answered.ranked]
            count = counts.setdefault("zh" if is_cjk(turn["question"]) else "en", Count())
            count.turns += 1
            count.three += any(right[:3])
            count.five += any(right)
            count.document += any(passage.source.endswith(tuple(turn["documents"])) for passage in answered.ranked)
    return counts


def flat(text: str) -> str:
    """The text with single spaces, in lower case."""
    return " ".join(text.split()).lower()


if __name__ == "__main__":
    anyio.run(main)
