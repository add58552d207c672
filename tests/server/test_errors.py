"""Bad input and what it is answered with: always the contract's form, always a sentence that helps."""

import json
from typing import Any

import pytest

from graph.errors import CitestreamError
from graph.library import Library
from graph.settings import Settings
from server import errors
from server.app import open_state
from server.errors import STATUS
from tests.fakes import Answerer, FakeResources
from tests.server.conftest import LiveServer, scripted

CASES: list[tuple[dict[str, Any], int, str, str]] = [
    ({}, 422, "invalid_request", "question: is missing"),
    ({"question": ""}, 422, "invalid_request", "question: String should have at least 1 character"),
    ({"question": " \n\t"}, 422, "invalid_request", "question: String should have at least 1 character"),
    ({"question": "x" * 20_000}, 422, "invalid_request", "question: String should have at most 8000 characters"),
    ({"question": "nul \x00 inside"}, 422, "invalid_request", "question: must not hold the character NUL"),
    ({"question": "half \ud800 inside"}, 422, "invalid_request", "question: must be valid Unicode"),
    ({"question": 5}, 422, "invalid_request", "question: Input should be a valid string"),
    ({"question": "x", "querstion": "y"}, 422, "invalid_request", "querstion: is not a known name"),
    ({"question": "x", "query": "y"}, 422, "invalid_request", "query: is not a known name"),
    ({"question": "x", "replace": "message"}, 422, "invalid_request", "replace needs the thread_id"),
    ({"question": "x", "run_id": "short"}, 422, "invalid_request", "run_id: String should match"),
    ({"question": "x", "run_id": "has a space in it"}, 422, "invalid_request", "run_id: String should match"),
    ({"question": "x", "top_k": 0}, 422, "invalid_request", "top_k: Input should be greater than"),
    ({"question": "x", "top_k": 21}, 422, "invalid_request", "top_k: Input should be less than"),
    ({"question": "x", "collections": []}, 422, "invalid_request", "collections: List should have at least 1"),
    ({"question": "x", "filter": {"colour": "red"}}, 422, "invalid_request", "can filter by source, title"),
    ({"question": "x", "on_disconnect": "wait"}, 422, "invalid_request", "on_disconnect: Input should be 'cancel'"),
    ({"question": "x", "history": [{"role": "system", "content": "y"}]}, 422, "invalid_request", "history.0.role"),
    ({"question": "x", "history": [], "thread_id": "t"}, 422, "invalid_request", "exclude each other"),
    (
        {"question": "x", "history": [{"role": "user", "content": "half \ud800"}]},
        422,
        "invalid_request",
        "history.0.content: must be valid Unicode",
    ),
    ({"question": "x", "collections": ["\udfff"]}, 422, "invalid_request", "collections.0: must be valid Unicode"),
    ({"question": "x", "filter": {"lang": "\udfff"}}, 422, "invalid_request", "must be valid Unicode"),
    ({"question": "x", "thread_id": "nope"}, 404, "thread_not_found", "there is no thread 'nope'"),
    ({"question": "x", "collections": ["default", "nope"]}, 404, "collection_not_found", "'nope'"),
]


@pytest.mark.parametrize(("body", "status", "code", "message"), CASES)
@pytest.mark.parametrize("path", ["/v1/chat/stream", "/v1/chat"])
def test_bad_input_names_the_field_and_the_problem(
    shared: LiveServer, path: str, body: dict[str, Any], status: int, code: str, message: str
) -> None:
    response = shared.http.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})

    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert message in error["message"]
    assert error["request_id"] == response.headers["x-request-id"]
    assert set(response.json()) == {"error"}


@pytest.mark.parametrize("body", ['{"question": ', "", "[" * 100_000, '{"question": "\xff"}'.encode("latin-1"), "null"])
def test_a_broken_body_is_refused(shared: LiveServer, body: str | bytes) -> None:
    response = shared.http.post("/v1/chat", content=body, headers={"Content-Type": "application/json"})

    assert response.status_code in (400, 422)
    assert response.json()["error"]["code"] in ("invalid_json", "invalid_request")


def test_broken_json_says_where(shared: LiveServer) -> None:
    response = shared.http.post("/v1/chat", content='{"question": x}', headers={"Content-Type": "application/json"})

    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")
    assert "at character 13" in response.json()["error"]["message"]


def test_a_body_that_is_not_declared_as_json_says_so(shared: LiveServer) -> None:
    response = shared.http.post("/v1/chat", data={"question": "x"})

    assert response.status_code == 422
    assert "Content-Type: application/json" in response.json()["error"]["message"]


def test_a_large_body_is_refused_before_it_is_parsed(shared: LiveServer) -> None:
    def pieces() -> Any:
        for _ in range(30):
            yield b" " * 10_240

    json_type = {"Content-Type": "application/json"}
    declared = shared.http.post("/v1/chat", content=b" " * 300_000, headers=json_type)
    counted = shared.http.post("/v1/chat", content=pieces(), headers=json_type)

    for response in (declared, counted):
        assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "question: is missing"),
        ("question=", "question: String should have at least 1 character"),
        ("question=x&colour=red", "colour: is not a known name"),
        ("question=x&history=[", "history: Invalid JSON"),
        ("question=x&filter=1", "filter: Input should be a valid dictionary"),
        ("question=x&top_k=many", "top_k: Input should be a valid integer"),
    ],
)
def test_bad_parameters_of_a_get_are_named_as_well(shared: LiveServer, query: str, message: str) -> None:
    response = shared.http.get(f"/v1/chat/stream?{query}")

    assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_request")
    assert message in response.json()["error"]["message"]


def test_an_unknown_route_and_a_wrong_method_have_the_same_form(shared: LiveServer) -> None:
    missing = shared.http.get("/v1/nothing")
    wrong = shared.http.put("/v1/chat")

    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"


def test_an_empty_index_names_the_command_that_fills_it(settings: Settings, empty_library: Library) -> None:
    with scripted(settings, empty_library, Answerer()) as server:
        response = server.ask()
        ready = server.http.get("/readyz")

    assert (response.status_code, response.json()["error"]["code"]) == (409, "index_empty")
    assert "citestream ingest PATH" in response.json()["error"]["message"]
    assert (ready.status_code, ready.json()["index_empty"]) == (200, True)


def test_the_library_is_asked_only_where_it_is_not_known_what_can_be_searched(
    settings: Settings, empty_library: Library
) -> None:
    resources = FakeResources(empty_library, searchable=True)
    with LiveServer(open_state(settings, resources, Answerer().build())) as server:
        response = server.ask()

    assert response.status_code == 200
    assert "event: done" in response.text


def test_an_unexpected_error_is_a_500_without_its_text(settings: Settings) -> None:
    class BrokenLibrary(Library):
        def collections(self) -> Any:
            raise ZeroDivisionError("sk-SECRET")

    library = BrokenLibrary.open(settings.data_dir)
    with scripted(settings, library, Answerer()) as server:
        response = server.http.get("/v1/collections")
    library.close()

    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal")
    assert "SECRET" not in response.text


def all_codes(cls: type[CitestreamError] = CitestreamError) -> set[str]:
    return {cls.code}.union(*(all_codes(sub) for sub in cls.__subclasses__()))


def test_every_error_that_there_is_has_a_status() -> None:
    assert all_codes() <= STATUS.keys()
    assert errors.RETRY_AFTER_S.keys() <= {code for code, status in STATUS.items() if status in (409, 429, 503)}
