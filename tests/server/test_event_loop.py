"""Nothing that a request does holds the event loop: no call in it waits for a file, a socket, a lock or SQLite."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from pydantic import SecretStr
from typer.testing import CliRunner

from citestream.cli import app
from graph.settings import Settings
from server.app import open_state
from tests.server.conftest import LiveServer
from tests.upstream import run_upstream

QUESTION = "Where does the fox sleep?"
TEXT = "# Foxes\n\nThe fox sleeps in a den. It was seen in 1999 near the river.\n"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indexed")
    (folder / "foxes.md").write_text(TEXT)
    done = CliRunner().invoke(app, ["ingest", str(folder / "foxes.md"), "--data-dir", str(folder / "data")])
    assert done.exit_code == 0, done.output
    return folder / "data"


@pytest.fixture(params=["extractive", "fast", "library"])
def running(request: pytest.FixtureRequest, data_dir: Path, tmp_path: Path) -> Iterator[LiveServer]:
    """A server that has answered once, so that what a process does once is done."""
    settings = Settings(data_dir=tmp_path / "data")
    shutil.copytree(data_dir, settings.data_dir)
    with run_upstream() as upstream:
        if request.param != "extractive":
            model = {
                "model": "openai:say",
                "openai_base_url": upstream.base_url,
                "openai_api_key": SecretStr("k"),
                "openai_client": request.param,
            }
            settings = settings.model_copy(update=model)
        with LiveServer(open_state(settings)) as server:
            use_all(server)
            yield server


def use_all(server: LiveServer) -> None:
    """Ask, ask on, look things up, and forget them."""
    asked = server.ask(QUESTION)
    thread = json.loads(
        next(line for line in asked.text.splitlines() if line.startswith("data: ")).removeprefix("data: ")
    )
    again = server.ask("When was it seen?", thread_id=thread["thread_id"])
    assert [response.text.count("event: done") for response in (asked, again)] == [1, 1], again.text
    plain = server.http.post("/v1/chat", json={"question": QUESTION}).json()
    assert plain["status"] == "completed"
    addresses = [
        "/",
        "/v1/threads",
        f"/v1/threads/{thread['thread_id']}",
        f"/v1/runs/{thread['run_id']}",
        f"/v1/sources/{plain['sources'][0]['id']}",
        "/v1/documents",
        "/v1/collections",
        "/readyz",
        "/metrics",
    ]
    assert {address: server.http.get(address).status_code for address in addresses} == dict.fromkeys(addresses, 200)
    assert server.http.delete(f"/v1/threads/{thread['thread_id']}").status_code == 204


def test_no_request_makes_a_call_that_blocks(running: LiveServer) -> None:
    with blockbuster_ctx():
        use_all(running)
