"""Readers while another process writes the index."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from graph.errors import IndexUnusable
from graph.library import Library
from graph.retrieval import index as dense_index
from graph.retrieval.embeddings import Embedders
from graph.retrieval.hybrid import Retriever
from graph.retrieval.lexical import LexicalIndex
from graph.retrieval.presence import is_held_before
from graph.retrieval.query import history_query
from graph.retrieval.view import POLL_S, SEEN_WITHIN_S, Views, rest_s
from graph.settings import Settings
from tests.acceptance.recorder import Measured, many

ROOT = Path(__file__).parents[2]
SECTIONS = ("Opening", "Middle", "Ending")
WRITER = """
import sys, time
from pathlib import Path
from graph.library import Chunk
from graph.retrieval.writer import open_writer
from graph.settings import Settings
from tests.graph.test_live_index import revision_of
first, last, until = int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
with open_writer(Settings.load(data_dir=sys.argv[1])) as writer:
    writer.begin("default", chunker="test/1")
    number = first
    while number < last or (last < 0 and not until.exists()):
        writer.put(revision_of(number))
        writer.publish()
        number += 1
print(number - 1)
"""


def revision_of(number: int):
    """The zebra's report in revision `number`: three sections, one chunk each, that all say the number."""
    from graph.library import Chunk, NewVersion

    texts = [f"{name} of the zebra report, revision {number}. Zebras have stripes." for name in SECTIONS]
    starts = [sum(len(text) + 1 for text in texts[:index]) for index in range(len(texts))]
    chunks = [
        Chunk(start, start + len(text), heading=name) for start, text, name in zip(starts, texts, SECTIONS, strict=True)
    ]
    return NewVersion(
        source="zebra.txt", path="/zebra.txt", format="text", title="zebra", lang="en", sha256=f"{number:064}",
        size_bytes=1, mtime_ns=1, loader="test/1", text=" ".join(texts), chunks=chunks,
    )  # fmt: skip


def write(data_dir: Path, first: int, last: int) -> subprocess.Popen[str]:
    """A process that publishes the revisions; with `last` -1 until the file `enough` is there."""
    command = [sys.executable, "-c", WRITER, str(data_dir), str(first), str(last), str(data_dir / "enough")]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def open_retriever(settings: Settings) -> Retriever:
    return Retriever(settings, Library.open(settings.data_dir), Embedders(settings))


def test_no_search_sees_two_versions_of_a_document_or_none(tmp_path: Path, measured: Measured) -> None:
    """Searches while another process replaces the document they find, again and again."""
    settings = Settings.load(data_dir=tmp_path / "data")
    assert write(settings.data_dir, 0, 1).communicate(timeout=60) == ("0\n", None)
    retriever = open_retriever(settings)
    retriever.warm()
    polls = many(400, 10_000)
    seen: list[str] = []
    writer = write(settings.data_dir, 1, -1)
    try:
        for number in range(polls):
            # Every third search knows words alone, every third meaning alone.
            question = ("zebra report revision", "斑马 zebra", "animals with lines on their fur")[number % 3]
            found = retriever.search(history_query(question, []), ["default"], k=5, where={})
            revisions = {passage["text"].partition("revision ")[2].partition(".")[0] for passage in found.passages}
            sections = [passage["heading"] for passage in found.passages]
            assert sorted(sections) == sorted(SECTIONS), found
            assert len(revisions) == 1, found
            seen += revisions
    finally:
        (settings.data_dir / "enough").touch()
        last, _ = writer.communicate(timeout=60)
    assert [int(number) for number in seen] == sorted(int(number) for number in seen)
    began = time.monotonic()
    while last.strip() not in str(retriever.search(history_query("zebra revision", []), ["default"], k=5, where={})):
        assert time.monotonic() - began < 2
    measured.count = polls
    measured.note(versions_published=int(last), versions_seen=len(set(seen)), seen_after_s=time.monotonic() - began)
    retriever.close()


@pytest.mark.parametrize("failure", [IndexUnusable("damaged"), RuntimeError("Chroma's own")])
def test_a_view_that_cannot_be_opened_keeps_nothing_open(
    index: Settings, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """A running server tries again and again: each time a client of Chroma stayed, with its files and threads."""

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(LexicalIndex, "warm", fail)
    before = set(dense_index._SPELLINGS)
    views = Views(index, Library.open(index.data_dir), Embedders(index))
    with pytest.raises(type(failure)):
        views.latest()
    views.close()
    assert before == dense_index._SPELLINGS
    assert not is_held_before(index.data_dir, Library.open(index.data_dir).generation() + 1)


@pytest.mark.parametrize("took_s", [0.01, 0.1, 0.3, 0.5, 0.66, 1.0, 5.0])
def test_views_rest_as_long_as_what_is_published_may_wait(took_s: float) -> None:
    rest = rest_s(took_s)
    assert rest >= took_s  # a writer waits while a view opens
    if 3 * took_s <= SEEN_WITHIN_S:
        assert took_s + rest + took_s <= SEEN_WITHIN_S
    if took_s <= 0.2:
        assert rest >= POLL_S
        assert took_s / (took_s + rest) <= 0.2 + 1e-9  # of a core
