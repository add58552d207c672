"""What is indexed: collections, documents, and sources in their documents."""

from graph.library import Library
from tests.server.conftest import TEXT, LiveServer, add_document


def test_collections_are_listed_with_what_is_in_them(server: LiveServer, library: Library) -> None:
    add_document(library, "dogs.md", "Dogs bark.", collection="Hunde 犬")

    assert server.http.get("/v1/collections").json() == {
        "items": [
            {"name": "Hunde 犬", "documents": 1, "chunks": 1, "embedding": "minilm"},
            {"name": "default", "documents": 1, "chunks": 1, "embedding": "minilm"},
        ],
        "next": None,
    }


def test_documents_are_listed_page_by_page(server: LiveServer, library: Library) -> None:
    for n in range(4):
        add_document(library, f"more-{n}.md", f"Text {n}.")
    first = server.http.get("/v1/documents", params={"limit": 3}).json()
    second = server.http.get("/v1/documents", params={"limit": 3, "cursor": first["next"]}).json()

    found = [document["id"] for document in first["items"] + second["items"]]
    assert (len(first["items"]), len(second["items"]), second["next"]) == (3, 2, None)
    assert found == sorted(set(found))


def test_documents_of_one_collection_are_listed_alone(server: LiveServer, library: Library) -> None:
    add_document(library, "dogs.md", "Dogs bark.", collection="other")
    listed = server.http.get("/v1/documents", params={"collection": "other"}).json()
    unknown = server.http.get("/v1/documents", params={"collection": "nope"})

    assert [document["source"] for document in listed["items"]] == ["dogs.md"]
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "collection_not_found")


def test_a_document_has_the_fields_of_the_contract(server: LiveServer, library: Library) -> None:
    document = library.documents()[0]
    body = server.http.get(f"/v1/documents/{document.id}").json()

    assert body == {
        "id": document.id,
        "source": "cats.md",
        "title": "Cats",
        "collection": "default",
        "format": "md",
        "lang": "en",
        "sha256": document.sha256,
        "chunks": 1,
        "ingested_at": body["ingested_at"],
        "status": "live",
    }
    assert body["ingested_at"].endswith("Z")


def test_an_unknown_document_is_not_found(server: LiveServer) -> None:
    response = server.http.get("/v1/documents/nope")

    assert (response.status_code, response.json()["error"]["code"]) == (404, "document_not_found")


def test_a_source_is_shown_in_its_document(server: LiveServer, library: Library) -> None:
    answer = server.http.post("/v1/chat", json={"question": "Cats?"}).json()
    source = server.http.get(answer["sources"][0]["url"]).json()

    assert source == {
        "id": answer["sources"][0]["id"],
        "document": server.http.get("/v1/documents").json()["items"][0],
        "version": source["version"],
        "live": True,
        "text": TEXT,
        "start": 0,
        "end": len(TEXT),
        "before": "",
        "after": "",
        "heading": "Sleep",
    }


def test_a_source_of_a_replaced_version_still_opens(server: LiveServer, library: Library) -> None:
    answer = server.http.post("/v1/chat", json={"question": "Cats?"}).json()
    add_document(library, "cats.md", "Cats never sleep.")
    source = server.http.get(answer["sources"][0]["url"]).json()

    assert (source["live"], source["text"]) == (False, TEXT)


def test_an_unknown_source_is_not_found(server: LiveServer) -> None:
    for source_id in ("nope", "a.b.0-5", "a.b.5-0", "..%2F..%2Fetc"):
        response = server.http.get(f"/v1/sources/{source_id}")
        assert response.status_code == 404
        assert response.json()["error"]["code"] in ("source_not_found", "not_found")
