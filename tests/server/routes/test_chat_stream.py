"""POST and GET /v1/chat/stream: what comes, in which form, and going on where one was."""

import json
import re
import socket
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from graph.errors import ModelUnavailable
from server.events import StreamEvent
from tests.fakes import Answerer
from tests.server.client import Connection, answer_of, names, parse_frames
from tests.server.conftest import LiveServer

ORDER = ["run", "status", "status", "source", "message", "message", "message", "citation", "done"]


def test_a_question_is_answered_by_events_in_the_order_of_the_contract(server: LiveServer) -> None:
    events = parse_frames(server.ask().text)

    assert names(events) == ORDER
    run, done = events[0].data, events[-1].data
    assert run == {
        "v": 1,
        "run_id": run["run_id"],
        "thread_id": run["thread_id"],
        "message_id": run["message_id"],
        "model": "fake",
        "resumable": True,
    }
    assert done["status"] == "completed"
    assert done["message_id"] == run["message_id"]
    assert done["answer"] == answer_of(events) == "Cats sleep a lot [1]."
    assert (done["cited"], done["grounding"]) == ([1], "full")
    assert done["usage"] == {"input_tokens": 7, "output_tokens": 3}
    assert 0 <= done["timings"]["ttft_ms"] <= done["timings"]["total_ms"]


def test_ids_count_from_one_and_are_the_last_line_of_their_frame(server: LiveServer) -> None:
    response = server.ask()
    events = parse_frames(response.text)

    assert [event.id for event in events] == [f"{events[0].data['run_id']}:{n}" for n in range(1, len(events) + 1)]
    assert all(event.lines[-1].startswith("id: ") for event in events)
    assert events[0].lines[0] == "retry: 1000"
    assert response.text.count("retry:") == 1
    assert response.text.endswith("\n\n")


def test_headers_keep_proxies_from_buffering(server: LiveServer) -> None:
    headers = server.ask().headers

    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-content-type-options"] == "nosniff"
    assert len(headers["x-request-id"]) == 32


@pytest.mark.parametrize("path", ["/v1/chat/stream", "/chat_stream"])
def test_get_streams_the_same(server: LiveServer, path: str) -> None:
    response = server.http.get(path, params={"question": "Do cats sleep?"})

    assert names(parse_frames(response.text)) == ORDER


def test_the_short_address_and_the_older_names_are_taken(server: LiveServer) -> None:
    thread_id = parse_frames(server.ask().text)[0].data["thread_id"]
    response = server.http.post("/chat_stream", json={"query": "And dogs?", "session_id": thread_id})

    events = parse_frames(response.text)
    assert names(events) == ORDER
    assert events[0].data["thread_id"] == thread_id


def test_a_get_takes_every_field_of_the_body(server: LiveServer, answerer: Answerer) -> None:
    params = {
        "question": "And dogs?",
        "history": json.dumps([{"role": "user", "content": "Cats?"}, {"role": "assistant", "content": "They sleep."}]),
        "filter": json.dumps({"lang": ["en", "de"], "source": "cats.md"}),
        "collections": ["default", "default"],
        "top_k": "3",
        "on_disconnect": "continue",
        "run_id": "a-run-of-mine",
    }
    events = parse_frames(server.http.get("/v1/chat/stream", params=params).text)

    assert events[0].data["run_id"] == "a-run-of-mine"
    assert answerer.asked == [[("human", "Cats?"), ("ai", "They sleep."), ("human", "And dogs?")]]
    context = answerer.contexts[0]
    assert (context.collections, context.top_k) == (["default"], 3)
    assert context.filter == {"lang": ["en", "de"], "source": "cats.md"}


def test_ndjson_carries_the_same_events(server: LiveServer) -> None:
    accept = {"Accept": "application/x-ndjson"}
    response = server.http.post("/v1/chat/stream", json={"question": "Cats?"}, headers=accept)

    lines = [json.loads(line) for line in response.text.splitlines()]
    assert response.headers["content-type"].startswith("application/x-ndjson")
    assert [line["event"] for line in lines] == ORDER
    assert [line["id"].rpartition(":")[2] for line in lines] == [str(n) for n in range(1, len(lines) + 1)]
    assert lines[-1]["data"]["answer"] == "Cats sleep a lot [1]."


def test_plain_text_is_the_answer_alone(server: LiveServer) -> None:
    response = server.http.post("/v1/chat/stream", json={"question": "Cats?"}, headers={"Accept": "text/plain"})

    assert response.headers["content-type"].startswith("text/plain")
    assert response.text == "Cats sleep a lot [1]."


def test_going_on_from_any_event_leaves_no_gap_and_asks_nothing_again(server: LiveServer, answerer: Answerer) -> None:
    answerer.pause_s = 0.005
    whole = parse_frames(server.ask().text)

    for k, event in enumerate(whole[:-1], start=1):
        rest = server.http.post("/v1/chat/stream", json={"question": "?"}, headers={"Last-Event-ID": event.id})
        assert parse_frames(rest.text)[0].id == whole[k].id
        assert [e.data for e in parse_frames(rest.text)] == [e.data for e in whole[k:]]
    assert len(answerer.asked) == 1


def test_going_on_works_while_the_run_is_running(server: LiveServer, answerer: Answerer) -> None:
    answerer.pause_s = 0.1
    connection = Connection(server.address)
    connection.post("/v1/chat/stream", {"question": "Cats?", "run_id": "run-of-mine", "on_disconnect": "continue"})
    connection.read_until(b"event: source")
    connection.close()

    query = {"question": "Cats?", "last_event_id": "run-of-mine:3"}
    rest = parse_frames(server.http.get("/v1/chat/stream", params=query).text)
    assert names(rest) == ORDER[3:]
    assert len(answerer.asked) == 1


def test_a_browser_is_told_to_stop_asking_after_the_terminal_event(server: LiveServer, answerer: Answerer) -> None:
    last = parse_frames(server.ask().text)[-1]
    beyond = f"{last.id.rpartition(':')[0]}:999"

    for event_id in (last.id, beyond):
        headers = {"Last-Event-ID": event_id}
        get = server.http.get("/v1/chat/stream", params={"question": "Do cats sleep?"}, headers=headers)
        post = server.http.post("/v1/chat/stream", json={"question": "Do cats sleep?"}, headers=headers)
        assert (get.status_code, get.content) == (204, b"")
        assert (post.status_code, post.content) == (200, b"")
        assert post.headers["content-type"].startswith("text/event-stream")
    assert len(answerer.asked) == 1


@pytest.mark.parametrize("event_id", ["nothing", "unknown-run:1", ":", "unknown-run:-1", "unknown-run:1e3", "x" * 500])
def test_an_unknown_event_id_starts_no_run(server: LiveServer, answerer: Answerer, event_id: str) -> None:
    response = server.http.post("/v1/chat/stream", json={"question": "Cats?"}, headers={"Last-Event-ID": event_id})

    assert response.status_code == 404
    assert response.json()["error"]["code"] == "event_not_found"
    assert answerer.asked == []


def test_an_event_id_ahead_of_a_running_run_is_unknown(server: LiveServer, answerer: Answerer) -> None:
    answerer.pause_s = 5
    connection = Connection(server.address)
    connection.post("/v1/chat/stream", {"question": "Cats?", "run_id": "run-of-mine"})
    connection.read_until(b"event: source")
    response = server.http.get("/v1/runs/run-of-mine/events", headers={"Last-Event-ID": "run-of-mine:99"})
    connection.close()

    assert response.json()["error"]["code"] == "event_not_found"


def test_a_run_id_is_found_again_and_never_started_twice(server: LiveServer, answerer: Answerer) -> None:
    first = server.ask("Cats?", run_id="run-of-mine").text
    again = server.ask("Cats?", run_id="run-of-mine").text
    by_get = server.http.get("/v1/chat/stream", params={"question": "Cats?", "run_id": "run-of-mine"}).text

    assert first == again == by_get
    assert len(answerer.asked) == 1


def test_a_run_id_with_another_question_is_a_conflict(server: LiveServer) -> None:
    server.ask("Cats?", run_id="run-of-mine")
    response = server.ask("Dogs?", run_id="run-of-mine")

    assert response.status_code == 409
    assert response.json()["error"]["code"] == "run_conflict"


def test_two_requests_with_one_run_id_at_the_same_time_share_one_run(server: LiveServer, answerer: Answerer) -> None:
    answerer.pause_s = 0.05
    connections = [Connection(server.address) for _ in range(5)]
    for connection in connections:
        connection.post("/v1/chat/stream", {"question": "Cats?", "run_id": "run-of-mine"})
    for connection in connections:
        connection.read_until(b"event: done")
        connection.close()

    assert len(answerer.asked) == 1


def test_a_run_whose_log_is_gone_is_told_as_a_snapshot(server: LiveServer) -> None:
    events = parse_frames(server.ask("Cats?", run_id="run-of-mine").text)
    server.drop_log("run-of-mine")

    snapshot = parse_frames(server.ask("Cats?", run_id="run-of-mine").text)
    assert names(snapshot) == ["run", "source", "message", "citation", "done"]
    assert {event.id for event in snapshot} == {events[-1].id}
    assert snapshot[0].data == {**events[0].data, "snapshot": True}
    assert answer_of(snapshot) == answer_of(events)
    assert [e.data for e in snapshot if e.event in ("source", "citation", "done")] == [
        e.data for e in events if e.event in ("source", "citation", "done")
    ]


def test_going_on_after_the_log_is_gone_gives_a_snapshot_or_204(server: LiveServer) -> None:
    events = parse_frames(server.ask("Cats?", run_id="run-of-mine").text)
    server.drop_log("run-of-mine")

    middle = server.http.get("/v1/runs/run-of-mine/events", headers={"Last-Event-ID": events[3].id})
    end = server.http.get("/v1/runs/run-of-mine/events", headers={"Last-Event-ID": events[-1].id})
    assert names(parse_frames(middle.text)) == ["run", "source", "message", "citation", "done"]
    assert end.status_code == 204


def test_a_failure_before_any_text_is_a_failed_event(server: LiveServer, answerer: Answerer) -> None:
    answerer.error = ModelUnavailable("the model's server cannot be reached.")
    events = parse_frames(server.ask().text)

    assert names(events)[-1] == "failed"
    assert events[-1].data == {
        "code": "model_unavailable",
        "message": "the model's server cannot be reached.",
        "retryable": True,
        "message_id": events[0].data["message_id"],
    }


def test_a_failure_after_text_is_an_incomplete_answer(server: LiveServer, answerer: Answerer) -> None:
    answerer.error = ModelUnavailable("the model's server cannot be reached.")
    answerer.words_before_error = 2
    events = parse_frames(server.ask().text)

    assert names(events)[-1] == "done"
    assert (events[-1].data["status"], events[-1].data["answer"]) == ("incomplete", "Cats sleep ")


def test_an_unexpected_error_is_told_without_its_text(server: LiveServer, answerer: Answerer) -> None:
    answerer.error = ZeroDivisionError("sk-SECRET came from upstream")
    response = server.ask()

    failed = parse_frames(response.text)[-1]
    assert (failed.event, failed.data["code"], failed.data["retryable"]) == ("failed", "internal", False)
    assert "SECRET" not in response.text


def test_line_ends_of_all_kinds_and_half_characters_survive(server: LiveServer, answerer: Answerer) -> None:
    words = ("a\u2028b", "c\u2029d\x85e", "f\r\ng\x00h", "i\ud800j", "k\U0001f600")
    answerer.words = words
    response = server.ask()

    events = parse_frames(response.text)
    assert answer_of(events) == "".join(words).replace("\ud800", "\ufffd") == events[-1].data["answer"]
    assert not any(end in response.text for end in "\u2028\u2029\x85\r\x00")


def test_every_event_is_as_the_schema_says(server: LiveServer, answerer: Answerer) -> None:
    stream = server.http.post("/v1/chat/stream", json={"question": "Cats?"}, headers={"accept": "application/x-ndjson"})
    run_id = json.loads(stream.text.splitlines()[0])["data"]["run_id"]
    server.drop_log(run_id)
    events = f"/v1/runs/{run_id}/events"
    snapshot = server.http.get(events, headers={"accept": "application/x-ndjson"})
    answerer.error = RuntimeError("broken")
    failed = server.http.post("/v1/chat/stream", json={"question": "Cats?"}, headers={"accept": "application/x-ndjson"})

    lines = [json.loads(line) for answer in (stream, snapshot, failed) for line in answer.text.splitlines()]
    assert {line["event"] for line in lines} == {"run", "status", "source", "message", "citation", "done", "failed"}
    for line in lines:
        assert StreamEvent.model_validate(line, strict=True).model_dump() == line


def test_openapi_describes_what_its_references_name(server: LiveServer) -> None:
    text = server.http.get("/openapi.json").text
    schemas = json.loads(text)["components"]["schemas"]

    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) <= set(schemas)
    assert {"StreamEvent", "UploadEvent", "TurnBody", "ErrorBody"} <= set(schemas)
    assert "HTTPValidationError" not in schemas


def test_openapi_names_every_form_of_a_stream(server: LiveServer) -> None:
    paths: dict[str, Any] = server.http.get("/openapi.json").json()["paths"]

    forms = {"text/event-stream", "application/x-ndjson", "text/plain"}
    streams = [
        paths["/v1/chat/stream"]["post"],
        paths["/v1/chat/stream"]["get"],
        paths["/v1/runs/{run_id}/events"]["get"],
    ]
    for operation in streams:
        assert set(operation["responses"]["200"]["content"]) == forms


def test_a_client_that_sends_its_request_in_pieces_is_served(server: LiveServer) -> None:
    parts = urlsplit(server.address)
    query = urlencode({"question": "Cats?"})
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as raw:
        for piece in ("GET /v1/chat/str", f"eam?{query} HTTP/1.1\r\nHost: x\r\n", "Connection: close\r\n\r\n"):
            raw.sendall(piece.encode())
        received = b""
        while chunk := raw.recv(65536):
            received += chunk
    assert b"event: done" in received
