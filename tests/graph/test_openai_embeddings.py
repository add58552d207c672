"""An embedding behind an OpenAI-compatible server: index with it, search with it, be refused without it."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from graph.errors import IndexMismatch, IndexUnusable
from graph.resources import open_resources
from graph.retrieval.query import history_query
from graph.retrieval.writer import open_writer
from graph.settings import Settings
from tests.graph.conftest import FOX, SQLITE, version
from tests.upstream import Upstream, run_upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with run_upstream() as running:
        yield running


@pytest.fixture
def served(settings: Settings, upstream: Upstream) -> Settings:
    changed = {
        "embedding": "openai:hash-8",
        "openai_base_url": upstream.base_url,
        "openai_api_key": SecretStr("k"),
    }
    return settings.model_copy(update=changed)


async def test_documents_are_indexed_and_found_with_an_embedding_from_a_server(served: Settings) -> None:
    with open_writer(served) as writer:
        writer.begin("default", chunker="test/1")
        writer.put(version("foxes.txt", FOX))
        writer.put(version("sqlite.txt", SQLITE))
        writer.publish()
    async with open_resources(served) as resources:
        found = resources.retriever.search(history_query("Where does the fox sleep?", []), ["default"], k=1, where={})
        assert found.passages[0]["source"] == "foxes.txt"
    other = served.model_copy(update={"embedding": "minilm"})
    with open_writer(other) as writer, pytest.raises(IndexMismatch, match=r"'openai:hash-8'.*'minilm'"):
        writer.begin("default", chunker="test/1")


async def test_an_embedding_server_that_is_away_gives_a_clear_error(served: Settings, upstream: Upstream) -> None:
    with open_writer(served) as writer:
        writer.begin("default", chunker="test/1")
        writer.put(version("foxes.txt", FOX))
        writer.publish()
    away = served.model_copy(update={"openai_base_url": "http://127.0.0.1:9/v1"})
    async with open_resources(away) as resources:
        with pytest.raises(IndexUnusable, match="does not answer"):
            resources.retriever.search(history_query("fox", []), ["default"], k=1, where={})
