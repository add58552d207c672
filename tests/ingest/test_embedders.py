"""An embedding that fails half-way: nothing is half published, and another run completes the work."""

import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from graph.retrieval import chunk_writer, embeddings
from ingest import sync
from ingest.cli import ingest_command
from tests.graph.test_kills import state, state_of_readers, write_documents

app = typer.Typer()
app.command("ingest")(ingest_command)

Vectors = list[list[float]]
FAULTS: dict[str, Callable[[Vectors], Vectors]] = {
    "nan": lambda made: [[math.nan, *made[0][1:]], *made[1:]],
    "inf": lambda made: [*made[:-1], [*made[-1][:-1], math.inf]],
    "too large for 32 bits": lambda made: [[1e39] * 8, *made[1:]],
    "one short": lambda made: made[1:],
    "one more": lambda made: [*made, made[0]],
    "longer": lambda made: [[*vector, 1.0] for vector in made],
    "of several lengths": lambda made: [[*made[0], 1.0], *made[1:]],
    "none": lambda made: [],
    "no numbers": lambda made: [["x"] * 8 for _ in made],  # type: ignore[list-item]
    "raises": lambda made: [][0],
}


class Faulty:
    """An embedding of eight dimensions, with a fault in the calls of these numbers, counted from 1; 0 is in all."""

    def __init__(self, fault: str = "", *calls: int) -> None:
        self.fault, self.calls, self.called = fault, calls, 0

    def embed_documents(self, texts: list[str]) -> Vectors:
        self.called += 1
        made = [[float(1 + (hash(text) >> 8 * place) % 251) for place in range(8)] for text in texts]
        return FAULTS[self.fault](made) if {0, self.called} & set(self.calls) else made

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


Ingest = Callable[[Path, Faulty], Result]


@pytest.fixture(scope="module")
def ingest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    """Ingest ten documents with an embedding, into a data folder; calls of four texts, published eight at a time."""
    docs = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sync, "PUBLISH_CHUNKS", 8)
        patch.setattr(chunk_writer, "LOT_CHUNKS", 8)
        patch.setattr(chunk_writer, "EMBED_TEXTS", 4)

        def run(data_dir: Path, embedding: Faulty, revision: int = 2) -> Result:
            write_documents(docs, revision)
            patch.setattr(embeddings, "open_embeddings", lambda *_: embedding)
            return CliRunner().invoke(app, [str(docs), "--data-dir", str(data_dir)])

        yield run


@pytest.fixture(scope="module")
def clean(ingest: Ingest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a clean run of the second revision gives."""
    data_dir = tmp_path_factory.mktemp("clean")
    assert ingest(data_dir, Faulty()).exit_code == 0
    return state(data_dir)


@pytest.fixture(scope="module")
def first(ingest: Ingest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the first revision."""
    data_dir = tmp_path_factory.mktemp("first")
    assert ingest(data_dir, Faulty(), 1).exit_code == 0
    return data_dir


@pytest.fixture
def data_dir(first: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(first, tmp_path / "data")


@pytest.mark.parametrize(
    ("fault", "calls"), [*((fault, (5,)) for fault in FAULTS), ("raises", (0,)), ("longer", (0,)), ("nan", (0,))]
)
def test_an_embedding_that_fails_costs_nothing_that_was_live(data_dir, ingest, clean, fault, calls):
    before = state_of_readers(data_dir)
    result = ingest(data_dir, Faulty(fault, *calls))
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("citestream: the embedding 'minilm' ")
    assert "Check " in line
    live = state_of_readers(data_dir)
    assert {name.partition(".")[0] for name in live} == {name.partition(".")[0] for name in before}
    assert all(len({n.rpartition(".")[0] for n in live if n.startswith(d)}) == 1 for d in {n[:12] for n in live})
    assert (live == before) == (calls == (0,))
    assert ingest(data_dir, Faulty()).exit_code == 0
    assert state(data_dir) == clean


def test_a_server_that_runs_another_model_now_is_told_apart_from_a_full_disk(data_dir, ingest):
    """What Chroma said was once told as a disk that may be full."""
    result = ingest(data_dir, Faulty("longer", 0))
    assert result.exit_code == 1
    assert "gave vectors of 9 numbers where those of the collection have 8" in result.stderr
