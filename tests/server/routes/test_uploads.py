"""Documents that come over HTTP, and go."""

import json
from typing import Any

import httpx2
import pytest

from graph.library import Library
from graph.retrieval.writer import open_writer
from graph.settings import Settings
from server.uploads import UploadEvent
from tests.server.conftest import LiveServer


def upload(server: LiveServer, name: str, content: bytes, **headers: str) -> httpx2.Response:
    return server.http.post(
        "/v1/documents",
        files={"file": (name, content)},
        data={"collection": "mine"},
        headers={"accept": "application/x-ndjson", **headers},
        timeout=60,
    )


def events(answer: httpx2.Response) -> list[tuple[str, dict[str, Any]]]:
    assert answer.status_code == 200, answer.text
    lines = [json.loads(line) for line in answer.text.splitlines()]
    for line in lines:
        assert UploadEvent.model_validate(line).model_dump(mode="json") == line
    return [(line["event"], line["data"]) for line in lines]


@pytest.mark.timeout(300)
def test_a_document_is_taken_in_replaced_and_erased(server: LiveServer, library: Library) -> None:
    (_, progress), (name, data) = events(upload(server, "手册 1.md", b"# Zebras\n\nZebras have stripes."))
    assert progress == {"path": "手册 1.md", "status": "added", "chunks": 1}
    document = data["document"]
    assert name == "done"
    assert (document["source"], document["title"], document["collection"]) == ("手册 1.md", "Zebras", "mine")
    assert server.http.get(f"/v1/documents/{document['id']}").json() == document

    (_, progress), (_, data) = events(upload(server, "手册 1.md", b"# Zebras\n\nZebras have many stripes."))
    assert progress["status"] == "changed"
    assert data["document"]["id"] == document["id"]
    assert "many" in library.text(document["id"])

    assert server.http.delete(f"/v1/documents/{document['id']}", timeout=60).status_code == 204
    gone = server.http.delete(f"/v1/documents/{document['id']}", timeout=60)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "document_not_found")
    assert [path for path in (library.data_dir / "uploads").rglob("*") if path.is_file()] == []


def test_a_file_that_cannot_be_read_is_told_with_the_reason(server: LiveServer) -> None:
    *_, (name, data) = events(upload(server, "broken.pdf", b"%PDF-1.4 cut off"))
    assert name == "failed"
    assert data == {
        "code": "document_unreadable", "message": "broken.pdf cannot be read: malformed.", "retryable": False,
    }  # fmt: skip


@pytest.mark.parametrize("name", [".hidden.md", "..", "a/../..", "x" * 201 + ".md"])
def test_names_that_cannot_be_kept_are_refused(server: LiveServer, name: str) -> None:
    answer = upload(server, name, b"text")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


def test_a_path_in_a_name_is_left_out(server: LiveServer, library: Library) -> None:
    upload(server, "../../../escaped.png", b"no document")
    (kept,) = [path for path in (library.data_dir / "uploads").rglob("*") if path.is_file()]
    assert kept.name == "escaped.png"


def test_pages_of_other_sites_cannot_change_documents(server: LiveServer, library: Library) -> None:
    for origin in ("https://evil.example", "null"):
        assert upload(server, "a.md", b"text", origin=origin).status_code == 422
    document = library.documents()[0].id
    assert server.http.delete(f"/v1/documents/{document}", headers={"origin": "http://evil"}).status_code == 422
    assert library.document(document)


def test_too_large_a_body_is_refused(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.body_limit.MAX_UPLOAD_BYTES", 500_000)
    assert upload(server, "a.png", b"x" * 400_000).status_code == 200
    answer = upload(server, "a.png", b"x" * 600_000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_a_document_is_not_erased_while_another_process_writes(
    server: LiveServer, library: Library, settings: Settings
) -> None:
    document = library.documents()[0].id
    with open_writer(settings):
        answer = server.http.delete(f"/v1/documents/{document}", timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "index_locked")
    assert library.document(document)
