"""Runs: their record, their events, stopping them, and what happens when readers leave."""

import time

import pytest

from graph.library import Library
from graph.settings import Settings
from tests.fakes import Answerer
from tests.server.client import Connection, answer_of, names, parse_frames
from tests.server.conftest import TEXT, LiveServer, scripted

LONG = tuple(f"word{n} " for n in range(200))


def test_the_record_of_a_run_has_its_passages_in_full(server: LiveServer) -> None:
    answer = server.http.post("/v1/chat", json={"question": "Cats?"}).json()
    record = server.http.get(f"/v1/runs/{answer['run_id']}").json()

    assert record["status"] == "completed"
    assert record["query"] == "standalone: Cats?"
    assert record["thread_id"] == answer["thread_id"]
    assert [passage["text"] for passage in record["passages"]] == [TEXT]
    assert [status["state"] for status in record["statuses"]] == ["start", "end"]
    assert record["citations"] == answer["citations"]
    assert "error" not in record


def test_the_record_of_a_running_run_says_so(server: LiveServer, answerer: Answerer) -> None:
    answerer.words, answerer.pause_s = LONG, 0.02
    with Reading(server, "run-of-mine") as reading:
        reading.read_until(b"event: message")
        record = server.http.get("/v1/runs/run-of-mine").json()

    assert record["status"] == "running"
    assert record["answer"].startswith("word0 ")
    assert (record["timings"], record["usage"], record["grounding"]) == (None, None, None)


def test_an_unknown_run_is_not_found(server: LiveServer) -> None:
    for response in (
        server.http.get("/v1/runs/run-of-nobody"),
        server.http.get("/v1/runs/run-of-nobody/events"),
        server.http.post("/v1/runs/run-of-nobody/stop"),
    ):
        assert (response.status_code, response.json()["error"]["code"]) == (404, "run_not_found")


def test_events_of_a_run_come_from_the_start_or_after_an_event(server: LiveServer) -> None:
    whole = server.ask("Cats?", run_id="run-of-mine").text
    events = parse_frames(whole)

    assert server.http.get("/v1/runs/run-of-mine/events").text == whole
    rest = server.http.get("/v1/runs/run-of-mine/events", params={"last_event_id": events[4].id})
    assert [event.id for event in parse_frames(rest.text)] == [event.id for event in events[5:]]
    after_the_end = server.http.get("/v1/runs/run-of-mine/events", headers={"Last-Event-ID": events[-1].id})
    assert after_the_end.status_code == 204


def test_an_event_id_of_another_run_is_not_found(server: LiveServer) -> None:
    other = parse_frames(server.ask().text)[0]
    server.ask("Cats?", run_id="run-of-mine")
    response = server.http.get("/v1/runs/run-of-mine/events", headers={"Last-Event-ID": other.id})

    assert response.json()["error"]["code"] == "event_not_found"


def test_stop_keeps_what_was_written(server: LiveServer, answerer: Answerer) -> None:
    answerer.words, answerer.pause_s = LONG, 0.02
    with Reading(server, "run-of-mine") as reading:
        reading.read_until(b"word3 ")
        stopped = server.http.post("/v1/runs/run-of-mine/stop").json()
        reading.read_until(b"event: done")
        events = reading.events()

    assert stopped["status"] == events[-1].data["status"] == "stopped"
    assert stopped["answer"] == answer_of(events) == events[-1].data["answer"]
    assert stopped["answer"].startswith("word0 word1 word2 word3 ")
    assert answerer.closed == 1


def test_stop_may_be_called_again(server: LiveServer, answerer: Answerer) -> None:
    answerer.words, answerer.pause_s = LONG, 0.02
    with Reading(server, "run-of-mine") as reading:
        reading.read_until(b"word3 ")
        first = server.http.post("/v1/runs/run-of-mine/stop")
        second = server.http.post("/v1/runs/run-of-mine/stop")

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert second.json()["status"] == "stopped"


def test_stop_leaves_a_completed_run_as_it_is(server: LiveServer) -> None:
    server.ask("Cats?", run_id="run-of-mine")

    assert server.http.post("/v1/runs/run-of-mine/stop").json()["status"] == "completed"


def test_a_graph_that_does_not_hear_the_stop_is_cancelled_and_the_partial_answer_kept(
    server: LiveServer, answerer: Answerer
) -> None:
    answerer.words, answerer.pause_s, answerer.deaf = LONG, 0.05, True
    with Reading(server, "run-of-mine") as reading:
        reading.read_until(b"word3 ")
        started = time.monotonic()
        stopped = server.http.post("/v1/runs/run-of-mine/stop").json()

    assert stopped["status"] == "stopped"
    assert stopped["answer"].startswith("word0 word1 word2 word3 ")
    assert stopped["grounding"] == "none"
    assert 1.5 < time.monotonic() - started < 4
    server.wait_until(lambda: answerer.closed == 1)


def test_a_run_that_is_stopped_before_its_first_word_has_an_empty_answer(
    server: LiveServer, answerer: Answerer
) -> None:
    answerer.pause_s = 10
    with Reading(server, "run-of-mine") as reading:
        reading.read_until(b"event: source")
        stopped = server.http.post("/v1/runs/run-of-mine/stop").json()

    assert (stopped["status"], stopped["answer"]) == ("stopped", "")


@pytest.mark.parametrize("path", ["/v1/chat/stream", "/v1/chat"])
def test_forty_clients_that_leave_close_forty_model_streams_within_a_second(
    server: LiveServer, answerer: Answerer, path: str
) -> None:
    server.ask()
    before = server.tasks()
    answerer.words, answerer.pause_s = LONG, 0.05
    connections = [Connection(server.address) for _ in range(40)]
    for connection in connections:
        connection.post(path, {"question": "Cats?"})
    server.wait_until(lambda: answerer.opened == 41)
    for connection in connections:
        connection.close()

    server.wait_until(lambda: answerer.closed == 41, timeout_s=1)
    server.wait_until(lambda: server.tasks() <= before)


def test_a_reload_finds_its_run_within_the_grace(settings: Settings, library: Library, answerer: Answerer) -> None:
    answerer.words, answerer.pause_s = LONG[:20], 0.05
    with scripted(settings.model_copy(update={"disconnect_grace_s": 2}), library, answerer) as server:
        with Reading(server, "run-of-mine") as reading:
            reading.read_until(b"word3 ")
        again = parse_frames(server.http.get("/v1/runs/run-of-mine/events").text)

    assert again[-1].data["status"] == "completed"
    assert len(answerer.asked) == 1


def test_a_run_that_nobody_comes_back_to_is_stopped_after_the_grace(
    settings: Settings, library: Library, answerer: Answerer
) -> None:
    answerer.words, answerer.pause_s = LONG, 0.05
    with scripted(settings.model_copy(update={"disconnect_grace_s": 0.5}), library, answerer) as server:
        with Reading(server, "run-of-mine") as reading:
            reading.read_until(b"word3 ")
        left = time.monotonic()
        server.wait_until(lambda: answerer.closed == 1)

    assert 0.4 < time.monotonic() - left < 1.5


def test_a_run_goes_on_while_another_reader_is_there(server: LiveServer, answerer: Answerer) -> None:
    answerer.words, answerer.pause_s = LONG[:20], 0.03
    with Reading(server, "run-of-mine") as staying:
        staying.read_until(b"word1 ")
        with Reading(server, "run-of-mine") as leaving:
            leaving.read_until(b"word2 ")
        staying.read_until(b"event: done")

    assert staying.events()[-1].data["status"] == "completed"


def test_a_run_goes_on_without_readers_when_it_was_asked_to(server: LiveServer, answerer: Answerer) -> None:
    answerer.words, answerer.pause_s = LONG[:10], 0.03
    with Reading(server, "run-of-mine", on_disconnect="continue") as reading:
        reading.read_until(b"word1 ")
    server.wait_until(lambda: server.http.get("/v1/runs/run-of-mine").json()["status"] != "running")

    assert server.http.get("/v1/runs/run-of-mine").json()["status"] == "completed"


def test_turns_of_a_thread_wait_for_each_other(server: LiveServer, answerer: Answerer) -> None:
    thread_id = parse_frames(server.ask("First?").text)[0].data["thread_id"]
    answerer.pause_s = 0.05
    with (
        Reading(server, "second-run", question="Second?", thread_id=thread_id) as second,
        Reading(server, "third-run", question="Third?", thread_id=thread_id) as third,
    ):
        second.read_until(b"event: done")
        third.read_until(b"event: done")

    said = "Cats sleep a lot [1]."
    *earlier, last = answerer.asked[-1]
    assert last[1] in ("Second?", "Third?")
    assert [text for kind, text in earlier if kind == "ai"] == [said, said]


def test_a_run_that_waits_for_its_thread_can_be_stopped(server: LiveServer, answerer: Answerer) -> None:
    thread_id = parse_frames(server.ask("First?").text)[0].data["thread_id"]
    answerer.words, answerer.pause_s = LONG, 0.05
    with Reading(server, "second-run", question="Second?", thread_id=thread_id) as second:
        second.read_until(b"word1 ")
        with Reading(server, "third-run", question="Third?", thread_id=thread_id) as third:
            third.read_until(b"event: run")
            stopped = server.http.post("/v1/runs/third-run/stop").json()
            third.read_until(b"event: done")
        assert names(third.events()) == ["run", "done"]
        assert stopped["status"] == "stopped"
        assert server.http.get("/v1/runs/second-run").json()["status"] == "running"


def test_shutdown_ends_runs_as_stopped_and_their_readers_see_it(server: LiveServer, answerer: Answerer) -> None:
    answerer.words, answerer.pause_s = LONG, 0.05
    with Reading(server, "run-of-mine") as reading:
        reading.read_until(b"word3 ")
        server.stop()
        reading.read_until(b"event: done")

    assert reading.events()[-1].data["status"] == "stopped"
    assert answerer.closed == 1


def test_shutdown_before_any_text_is_a_failure_that_may_be_retried(server: LiveServer, answerer: Answerer) -> None:
    answerer.pause_s = 30
    with Reading(server, "run-of-mine") as reading:
        reading.read_until(b"event: source")
        server.stop()
        reading.read_until(b"event: failed")

    failed = reading.events()[-1].data
    assert (failed["code"], failed["retryable"]) == ("shutting_down", True)


class Reading(Connection):
    """A stream that is read as far as a test wants."""

    def __init__(self, server: LiveServer, run_id: str, question: str = "Cats?", **body: str) -> None:
        super().__init__(server.address)
        self.post("/v1/chat/stream", {"question": question, "run_id": run_id, **body})

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
