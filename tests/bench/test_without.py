"""What a line of the benchmark says is off, is off."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from bench.streaming.without import FEATURES, PASSAGES, without_hybrid
from graph import verification
from graph.library import Library
from graph.nodes import cite_and_generate, finalize
from graph.retrieval import hybrid
from graph.retrieval.embeddings import Embedders, MiniLM
from graph.retrieval.hybrid import Found, Retriever
from graph.retrieval.lexical import LexicalIndex
from graph.retrieval.query import history_query
from graph.retrieval.writer import open_writer
from graph.settings import Settings
from tests.graph.conftest import version

TEXTS = {
    "den.txt": "The fox sleeps in a den.",
    "vixen.txt": "Where does a vixen rest at night? Below the ground.",
    "owl.txt": "Owls hunt at night and rest by day.",
    "law.txt": "The contract ends after two years.",
    "fox.txt": "fox fox fox",
}
QUESTION = "Where is the fox at night?"


@pytest.fixture
def retriever(tmp_path: Path) -> Iterator[Retriever]:
    settings = Settings.load(data_dir=tmp_path)
    with open_writer(settings) as writer:
        writer.begin("default", chunker="test/1")
        for name, text in TEXTS.items():
            writer.put(version(name, text))
        writer.publish()
    library = Library.open(tmp_path)
    opened = Retriever(settings, library, Embedders(settings))
    yield opened
    opened.close()
    library.close()


@pytest.fixture(autouse=True)
def whole() -> Iterator[None]:
    """Put back what a test took out."""
    yield
    patch.stopall()


def ask(retriever: Retriever) -> Found:
    return retriever.search(history_query(QUESTION, []), ["default"], k=PASSAGES, where={}, room_tokens=400)


def test_without_hybrid_search_the_nearest_by_meaning_come_as_they_are(retriever: Retriever) -> None:
    assert ask(retriever).sufficiency.confidence < 1
    without_hybrid()
    found = ask(retriever)
    question, *texts = MiniLM().embed([QUESTION, *TEXTS.values()])
    similarity = {name: float(text @ question) for name, text in zip(TEXTS, texts, strict=True)}
    nearest = sorted(TEXTS, key=lambda name: -similarity[name])[:PASSAGES]
    assert [passage["source"] for passage in found.passages] == nearest
    assert [passage["score"] for passage in found.passages] == [round(similarity[name], 4) for name in nearest]
    assert found.sufficiency.confidence == 1


@pytest.mark.parametrize("feature", FEATURES)
def test_each_feature_takes_something_out(feature: str) -> None:
    def parts() -> list[object]:
        ranking = [getattr(hybrid, name) for name in ("POOL", "rank", "judge", "widen")]
        others = [verification.verify, cite_and_generate.CitationParser, finalize.suggest, LexicalIndex.search]
        return ranking + others

    before = parts()
    FEATURES[feature]()
    changed = sum(one is not other for one, other in zip(before, parts(), strict=True))
    assert changed == {"hybrid": 5}.get(feature, 1)
