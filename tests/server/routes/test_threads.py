"""Threads: conversations are listed, read, renamed, erased, and followed up."""

from tests.fakes import Answerer
from tests.server.client import Connection
from tests.server.conftest import LiveServer


def start(server: LiveServer, question: str = "Do cats sleep?") -> str:
    """Start a thread with one turn."""
    thread_id: str = server.http.post("/v1/chat", json={"question": question}).json()["thread_id"]
    return thread_id


def test_a_thread_has_its_turns_with_sources_and_citations_as_they_were(server: LiveServer) -> None:
    answer = server.http.post("/v1/chat", json={"question": "Do cats sleep?"}).json()
    thread = server.http.get(f"/v1/threads/{answer['thread_id']}").json()

    assert set(thread) == {"id", "title", "created_at", "updated_at", "turns"}
    assert thread["title"] == "Do cats sleep?"
    assert thread["created_at"].endswith("Z")
    (turn,) = thread["turns"]
    assert turn == {
        **{name: value for name, value in answer.items() if name != "thread_id"},
        "question": "Do cats sleep?",
        "created_at": turn["created_at"],
    }


def test_a_second_turn_gets_the_messages_of_the_first(server: LiveServer, answerer: Answerer) -> None:
    thread_id = start(server)
    server.http.post("/v1/chat", json={"question": "How long?", "thread_id": thread_id})

    assert answerer.asked[1] == [("human", "Do cats sleep?"), ("ai", "Cats sleep a lot [1]."), ("human", "How long?")]
    turns = server.http.get(f"/v1/threads/{thread_id}").json()["turns"]
    assert [turn["question"] for turn in turns] == ["Do cats sleep?", "How long?"]


def test_a_turn_without_an_answer_is_left_out_of_the_history_with_its_question(
    server: LiveServer, answerer: Answerer
) -> None:
    thread_id = start(server)
    answerer.error = RuntimeError("broken")
    failed = server.http.post("/v1/chat", json={"question": "Broken?", "thread_id": thread_id})
    answerer.error = None
    server.http.post("/v1/chat", json={"question": "How long?", "thread_id": thread_id})

    assert failed.status_code == 500
    assert [text for _, text in answerer.asked[-1]] == ["Do cats sleep?", "Cats sleep a lot [1].", "How long?"]
    turns = server.http.get(f"/v1/threads/{thread_id}").json()["turns"]
    assert [turn["status"] for turn in turns] == ["completed", "failed", "completed"]
    assert turns[1]["error"]["code"] == "internal"
    assert "error" not in turns[0]


def test_the_partial_answer_of_a_stopped_turn_is_history(server: LiveServer, answerer: Answerer) -> None:
    thread_id = start(server)
    answerer.pause_s = 0.2
    connection = Connection(server.address)
    connection.post("/v1/chat/stream", {"question": "And dogs?", "thread_id": thread_id})
    connection.read_until(b'"delta":"sleep "')
    connection.close()
    server.wait_until(lambda: answerer.closed == 2)
    answerer.pause_s = 0
    server.http.post("/v1/chat", json={"question": "How long?", "thread_id": thread_id})

    kinds = [kind for kind, _ in answerer.asked[-1]]
    assert kinds == ["human", "ai", "human", "ai", "human"]
    assert answerer.asked[-1][3][1].startswith("Cats sleep")
    assert server.http.get(f"/v1/threads/{thread_id}").json()["turns"][1]["status"] == "stopped"


def test_threads_are_listed_newest_first_page_by_page(server: LiveServer) -> None:
    ids = [start(server, f"Question {n}") for n in range(5)]
    server.http.post("/v1/chat", json={"question": "More?", "thread_id": ids[1]})

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = server.http.get("/v1/threads", params={"limit": 2, **cursor}).json()
        seen += [thread["id"] for thread in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == [ids[1], ids[4], ids[3], ids[2], ids[0]]
    assert "turns" not in page["items"][0]


def test_a_wrong_cursor_is_refused(server: LiveServer) -> None:
    for cursor in ("nonsense", "bm9uc2Vuc2U=", "é", "WzFd"):
        response = server.http.get("/v1/threads", params={"cursor": cursor})
        assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_request")


def test_a_thread_is_renamed(server: LiveServer) -> None:
    thread_id = start(server)
    renamed = server.http.patch(f"/v1/threads/{thread_id}", json={"title": "  About cats "}).json()

    assert renamed["title"] == "About cats"
    assert server.http.get(f"/v1/threads/{thread_id}").json()["title"] == "About cats"


def test_a_deleted_thread_is_gone_with_its_runs(server: LiveServer) -> None:
    answer = server.http.post("/v1/chat", json={"question": "Do cats sleep?"}).json()
    deleted = server.http.delete(f"/v1/threads/{answer['thread_id']}")

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert server.http.get("/v1/threads").json()["items"] == []
    assert server.http.get(f"/v1/runs/{answer['run_id']}").status_code == 404
    assert server.http.get(f"/v1/runs/{answer['run_id']}/events").status_code == 404


def test_deleting_a_thread_stops_what_runs_in_it(server: LiveServer, answerer: Answerer) -> None:
    thread_id = start(server)
    answerer.pause_s = 10
    connection = Connection(server.address)
    connection.post("/v1/chat/stream", {"question": "And dogs?", "thread_id": thread_id, "run_id": "run-of-mine"})
    connection.read_until(b"event: source")
    server.http.delete(f"/v1/threads/{thread_id}")
    connection.read_until(b"\r\n0\r\n\r\n")
    connection.close()

    assert answerer.closed == answerer.opened == 2
    assert server.http.get("/v1/runs/run-of-mine").status_code == 404
    assert server.http.get(f"/v1/threads/{thread_id}").status_code == 404


def test_an_unknown_thread_is_not_found(server: LiveServer) -> None:
    for response in (
        server.http.get("/v1/threads/nope"),
        server.http.patch("/v1/threads/nope", json={"title": "x"}),
        server.http.delete("/v1/threads/nope"),
    ):
        assert (response.status_code, response.json()["error"]["code"]) == (404, "thread_not_found")
