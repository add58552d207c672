"""The same index in a Chroma server, which other programs may read as well."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import numpy as np
import pytest

from graph.errors import IndexUnusable
from graph.resources import open_resources
from graph.retrieval.index import _SERVERS, DenseIndex
from graph.retrieval.query import history_query
from graph.retrieval.writer import open_writer
from graph.settings import Settings
from tests.graph.conftest import CATS, FOX, SQLITE, version


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of `chroma run`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    folder = tmp_path_factory.mktemp("chroma-server")
    chroma = Path(sys.executable).with_name("chroma")
    command = [str(chroma), "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while not is_up(f"http://127.0.0.1:{port}"):
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def is_up(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/api/v2/heartbeat").status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.mark.parametrize("texts", [True, False])
async def test_documents_are_written_found_replaced_and_erased_in_a_server(
    tmp_path: Path, address: str, texts: bool
) -> None:
    settings = Settings(data_dir=tmp_path / "data", chroma_url=address, chroma_texts=texts)
    with open_writer(settings) as writer:
        writer.begin("default", chunker="test/1")
        for source, text in (("foxes.txt", FOX), ("sqlite.txt", SQLITE), ("cats.txt", CATS)):
            writer.put(version(source, text))
        writer.publish()
    assert not (tmp_path / "data" / "chroma").exists()
    async with open_resources(settings) as resources:
        await resources.warm()

        def ask(question: str) -> list[str]:
            found = resources.retriever.search(history_query(question, []), ["default"], k=2, where={})
            return [passage["text"] for passage in found.passages]

        assert ask("How do I archive my relational data store?")[0] == SQLITE
        with open_writer(settings) as writer:
            writer.begin("default", chunker="test/1")
            writer.put(version("sqlite.txt", "Files are relational archives.", revision=2))
            writer.remove(next(document.id for document in writer.library.documents() if document.source == "cats.txt"))
            writer.publish()
            found = writer.check(writer.library.collection("default"))
        deadline = time.monotonic() + 2
        while ask("How do I archive my relational data store?")[0] != "Files are relational archives.":
            assert time.monotonic() < deadline
            await anyio.sleep(0.05)
        before = resources.library.collection("default").index
        with open_writer(settings) as writer:
            list(
                writer.rebuild(
                    writer.library.collection("default"), chunker="test/1", cut=lambda version: version.chunks
                )
            )
        assert ask("How do I archive my relational data store?")[0] == "Files are relational archives."
        collection = resources.library.collection("default").index
    assert found.is_good
    assert before not in {stored.name for stored in _SERVERS[address].list_collections()}
    stored = _SERVERS[address].get_collection(collection, embedding_function=None).get()
    assert len(stored["ids"]) == 2
    assert any(stored["documents"] or []) == texts


def test_two_data_folders_do_not_meet_in_one_server(tmp_path: Path, address: str) -> None:
    for name, text in (("one", FOX), ("two", SQLITE)):
        settings = Settings(data_dir=tmp_path / name, chroma_url=address)
        with open_writer(settings) as writer:
            writer.begin("default", chunker="test/1")
            writer.put(version("a.txt", text))
            writer.publish()
            found = writer.check(writer.library.collection("default"))
        assert found.is_good
        assert not found.extra


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", chroma_url="http://127.0.0.1:9")
    with pytest.raises(IndexUnusable, match=r"127\.0\.0\.1:9 does not answer"), open_writer(settings):
        pytest.fail("opened")


def test_vectors_too_long_for_one_request_go_in_several(address: str, tmp_path: Path) -> None:
    """Chroma's server refuses a request that is too large, and a lot of a folder may be."""
    dense = DenseIndex(Settings(data_dir=tmp_path / "data", chroma_url=address))
    ids = [f"a.b.{number}-{number + 1}" for number in range(600)]
    vectors = np.random.default_rng(0).standard_normal((len(ids), 16_384)).astype(np.float32)
    dense.add("c-long", ids, ids, [{"title": "long"}] * len(ids), vectors)
    assert dense.missing("c-long", ids) == set()
    dense.drop("c-long")
