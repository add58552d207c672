"""POST /v1/chat: the same run, answered at once."""

from graph.errors import ModelRefused, ModelUnavailable
from tests.fakes import Answerer
from tests.server.client import Connection, parse_frames
from tests.server.conftest import LiveServer


def test_the_answer_is_that_of_the_stream(server: LiveServer) -> None:
    answer = server.http.post("/v1/chat", json={"question": "Cats?"}).json()
    events = parse_frames(server.http.get(f"/v1/runs/{answer['run_id']}/events").text)

    by_name = {event.event: event.data for event in events}
    assert answer == {
        "run_id": by_name["run"]["run_id"],
        "thread_id": by_name["run"]["thread_id"],
        "message_id": by_name["run"]["message_id"],
        "status": "completed",
        "answer": by_name["done"]["answer"],
        "sources": by_name["source"]["sources"],
        "citations": [by_name["citation"]],
        "cited": [1],
        "grounding": "full",
        "usage": by_name["done"]["usage"],
        "timings": by_name["done"]["timings"],
    }


def test_a_run_that_ended_long_ago_is_answered_again_under_its_run_id(server: LiveServer, answerer: Answerer) -> None:
    body = {"question": "Cats?", "run_id": "run-of-mine"}
    first = server.http.post("/v1/chat", json=body).json()
    server.drop_log("run-of-mine")

    assert server.http.post("/v1/chat", json=body).json() == first
    assert len(answerer.asked) == 1


def test_a_failed_run_is_an_http_error(server: LiveServer, answerer: Answerer) -> None:
    answerer.error = ModelUnavailable("the model's server cannot be reached.")
    unavailable = server.http.post("/v1/chat", json={"question": "Cats?"})
    answerer.error = ModelRefused("the model's server rejects the key.")
    refused = server.http.post("/v1/chat", json={"question": "Cats?"})

    assert (unavailable.status_code, unavailable.headers["retry-after"]) == (503, "5")
    assert unavailable.json()["error"]["code"] == "model_unavailable"
    assert (refused.status_code, refused.json()["error"]["code"]) == (502, "model_refused")


def test_a_client_that_leaves_cancels_the_run(server: LiveServer, answerer: Answerer) -> None:
    answerer.pause_s = 5
    connection = Connection(server.address)
    connection.post("/v1/chat", {"question": "Cats?", "run_id": "run-of-mine"})
    server.wait_until(lambda: answerer.opened == 1)
    connection.close()

    server.wait_until(lambda: answerer.closed == 1, timeout_s=1)
    server.wait_until(lambda: server.http.get("/v1/runs/run-of-mine").json()["status"] == "stopped")


def test_without_a_thread_the_history_comes_with_the_question_and_nothing_is_stored(
    server: LiveServer, answerer: Answerer
) -> None:
    history = [{"role": "user", "content": "Cats?"}, {"role": "assistant", "content": "They sleep."}]
    answer = server.http.post("/v1/chat", json={"question": "And dogs?", "history": history}).json()

    assert answerer.asked == [[("human", "Cats?"), ("ai", "They sleep."), ("human", "And dogs?")]]
    assert answer["thread_id"] is None
    assert server.http.get("/v1/threads").json()["items"] == []
    record = server.http.get(f"/v1/runs/{answer['run_id']}").json()
    assert (record["question"], record["thread_id"], record["status"]) == ("And dogs?", None, "completed")
    assert record["query"] == "standalone: And dogs?"
    server.drop_log(answer["run_id"])
    assert server.http.get(f"/v1/runs/{answer['run_id']}").json()["error"]["code"] == "run_not_found"


def test_an_empty_history_is_a_stateless_call_as_well(server: LiveServer) -> None:
    answer = server.http.post("/v1/chat", json={"question": "Cats?", "history": []}).json()

    assert answer["thread_id"] is None
