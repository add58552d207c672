"""Feedback: what a person thinks of an answer is kept with it."""

import re
from typing import Any

import pytest

from server.routes.messages import MAX_COMMENT_CHARS
from tests.server.conftest import LiveServer


def ask(server: LiveServer, **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = server.http.post("/v1/chat", json={"question": "Do cats sleep?", **body}).json()
    return answer


def stored(server: LiveServer, answer: dict[str, Any]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = server.http.get(f"/v1/threads/{answer['thread_id']}").json()["turns"]
    return turns


def counted(server: LiveServer, score: str) -> float:
    found = re.search(rf'citestream_feedback_total{{score="{score}"}} (\S+)', server.http.get("/metrics").text)
    return float(found[1]) if found else 0


def test_feedback_is_there_when_the_thread_is_read_again_until_it_is_taken_back(server: LiveServer) -> None:
    answer = ask(server)
    path = f"/v1/messages/{answer['message_id']}/feedback"
    assert "feedback" not in stored(server, answer)[0]

    given = server.http.post(path, json={"score": -1, "comment": "  Says nothing of dogs.\n"})
    kept = {"score": -1, "comment": "Says nothing of dogs."}
    assert (given.status_code, given.json()) == (200, kept)
    assert stored(server, answer)[0]["feedback"] == kept
    assert server.http.get(f"/v1/runs/{answer['run_id']}").json()["feedback"] == kept

    assert server.http.post(path, json={"score": 1, "comment": " "}).json() == {"score": 1, "comment": None}
    assert stored(server, answer)[0]["feedback"] == {"score": 1, "comment": None}

    for _ in range(2):
        taken = server.http.delete(path)
        assert (taken.status_code, taken.content) == (204, b"")
    assert "feedback" not in stored(server, answer)[0]


def test_scores_are_counted_and_a_comment_that_follows_is_none(server: LiveServer) -> None:
    down, up = counted(server, "-1"), counted(server, "1")
    path = f"/v1/messages/{ask(server)['message_id']}/feedback"
    for body in ({"score": -1}, {"score": -1, "comment": "Why?"}, {"score": 1}, {"score": -1}):
        assert server.http.post(path, json=body).status_code == 200

    assert (counted(server, "-1") - down, counted(server, "1") - up) == (2, 1)


def test_feedback_on_an_answer_that_is_not_kept_is_not_found(server: LiveServer) -> None:
    stateless = ask(server, history=[])["message_id"]
    for message_id in ("nope", stateless, "x" * 10_000):
        path = f"/v1/messages/{message_id}/feedback"
        for response in (server.http.post(path, json={"score": 1}), server.http.delete(path)):
            assert (response.status_code, response.json()["error"]["code"]) == (404, "message_not_found")
            assert len(response.text) < 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "score: is missing"),
        ({"score": 0}, "score: Input should be 1 or -1"),
        ({"score": 5}, "score: Input should be 1 or -1"),
        ({"score": "1"}, "score: Input should be 1 or -1"),
        ({"score": 1, "comment": "x" * (MAX_COMMENT_CHARS + 1)}, "comment: String should have at most 2000 characters"),
        ({"score": 1, "comment": "a\x00b"}, "comment: must not hold the character NUL"),
        ({"score": 1, "comment": 7}, "comment: Input should be a valid string"),
        ({"score": 1, "stars": 5}, "stars: is not a known name"),
        ([1], "Content-Type: application/json"),
    ],
)
def test_feedback_that_cannot_be_kept_is_refused_and_nothing_is_stored(
    server: LiveServer, body: Any, words: str
) -> None:
    answer = ask(server)
    refused = server.http.post(f"/v1/messages/{answer['message_id']}/feedback", json=body)

    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_request")
    assert words in refused.json()["error"]["message"]
    assert "feedback" not in stored(server, answer)[0]


def test_an_id_that_no_database_can_hold_is_refused(server: LiveServer) -> None:
    refused = server.http.post("/v1/messages/a%00b/feedback", json={"score": 1})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_request")


def test_the_longest_comment_is_kept(server: LiveServer) -> None:
    answer = ask(server)
    comment = "猫" * MAX_COMMENT_CHARS
    server.http.post(f"/v1/messages/{answer['message_id']}/feedback", json={"score": 1, "comment": comment})
    assert stored(server, answer)[0]["feedback"]["comment"] == comment
