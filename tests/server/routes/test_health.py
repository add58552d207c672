"""Health: alive is not the same as ready."""

from pathlib import Path

from server.database import FILE_NAME
from tests.server.conftest import LiveServer


def test_a_running_server_is_alive_and_ready(server: LiveServer) -> None:
    assert server.http.get("/healthz").json() == {"status": "ok"}
    ready = server.http.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "model": "fake", "index_empty": False})


def test_a_server_without_its_database_is_alive_but_not_ready(server: LiveServer, tmp_path: Path) -> None:
    database = tmp_path / "data" / FILE_NAME
    server.run(server.state.threads.database.close())
    for file in database.parent.glob(f"{FILE_NAME}*"):
        file.unlink()
    database.mkdir()

    ready = server.http.get("/readyz")
    assert server.http.get("/healthz").status_code == 200
    assert (ready.status_code, ready.json()["status"]) == (503, "unready")
    assert ready.json()["reasons"] == ["the database of the conversations cannot be read"]


def test_a_question_that_cannot_be_stored_is_refused(server: LiveServer, tmp_path: Path) -> None:
    database = tmp_path / "data" / FILE_NAME
    server.run(server.state.threads.database.close())
    for file in database.parent.glob(f"{FILE_NAME}*"):
        file.unlink()
    database.mkdir()

    refused = server.ask()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "database_unavailable")
    assert refused.headers["retry-after"] == "5"
