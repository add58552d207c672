"""Whoever leaves stops the spending: real sockets, the real graph, a model's server that counts its connections."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from graph.library import Chunk, NewVersion
from graph.retrieval.writer import open_writer
from graph.settings import Settings
from server.app import open_state
from tests.server.conftest import LiveServer
from tests.upstream import Upstream, run_upstream

TEXT = "The quick fox jumps over the lazy dog. The fox sleeps in a den."
READERS = 40


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with run_upstream() as running:
        yield running


@pytest.fixture
def server(tmp_path: Path, upstream: Upstream) -> Iterator[LiveServer]:
    settings = Settings(
        data_dir=tmp_path,
        model="openai:slow:400:0.1",
        openai_base_url=upstream.base_url,
        disconnect_grace_s=0,
        _env_file=None,
    )
    with open_writer(settings) as writer:
        writer.begin("default", chunker="test/1")
        chunks = [Chunk(0, len(TEXT))]
        writer.put(NewVersion("a.txt", "/a.txt", "text", "A", "en", "0" * 64, 1, 1, "test/1", TEXT, chunks))
        writer.publish()
    with LiveServer(open_state(settings)) as running:
        yield running


def ask(server: LiveServer, path: str) -> socket.socket:
    body = json.dumps({"question": "Where does the fox sleep?"}).encode()
    address = urlsplit(server.address)
    connection = socket.create_connection((address.hostname, address.port), timeout=20)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


@pytest.mark.parametrize("path", ["/v1/chat/stream", "/v1/chat"])
def test_closing_the_connection_closes_the_model_s_stream(server: LiveServer, upstream: Upstream, path: str) -> None:
    # sse-starlette keeps one task a process from its first stream on.
    server.http.post("/v1/chat/stream", json={"question": "What is the capital of France?"})
    tasks = server.tasks()
    readers = [ask(server, path) for _ in range(READERS)]
    server.wait_until(lambda: upstream.opened == READERS and upstream.words_sent > 3 * READERS, 20)
    for reader in readers:
        reader.close()
    closed_at = time.monotonic()
    server.wait_until(lambda: upstream.open == 0, 1)
    assert (upstream.closed_early, upstream.finished) == (READERS, 0)
    server.wait_until(lambda: server.tasks() <= tasks, 2)
    assert time.monotonic() - closed_at < 3
    turns = [t for thread in _threads(server) for t in thread["turns"] if t["status"] == "stopped"]
    assert len(turns) == READERS
    # On a busy machine a reader may be gone before its first word.
    answers = [turn["answer"] for turn in turns if turn["answer"]]
    assert len(answers) > READERS / 2
    assert all(answer.startswith("word0") for answer in answers)


def _threads(server: LiveServer) -> list[dict[str, list[dict[str, str]]]]:
    items = server.http.get("/v1/threads", params={"limit": 100}).json()["items"]
    return [server.http.get(f"/v1/threads/{item['id']}").json() for item in items]
