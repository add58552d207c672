"""The record: what events add up to."""

from server.record import Record, now


def record() -> Record:
    return Record("run-of-mine", None, "message", "Cats?", now(), "fake")


def test_events_add_up_to_the_turn() -> None:
    turn = record()
    turn.add("run", turn.run_event())
    turn.add("status", {"node": "condense", "state": "end", "detail": {"question": "Do cats sleep?"}})
    turn.add("status", {"node": "retrieve", "state": "end"})
    turn.add("source", {"sources": [{"id": "s"}]})
    turn.add("reasoning", {"delta": "hm"})
    turn.add("message", {"delta": "Yes"})
    turn.add("message", {"delta": "."})

    assert (turn.running, turn.query, turn.answer, turn.last_event) == (True, "Do cats sleep?", "Yes.", 7)
    assert turn.sources == [{"id": "s"}]


def test_a_snapshot_adds_up_to_the_same_turn() -> None:
    turn = record()
    turn.add("source", {"sources": []})
    turn.add("message", {"delta": "Yes."})
    turn.add("citation", {"index": 2, "verified": "exact"})
    turn.add("done", turn.done_event("completed", None, {"ttft_ms": 1, "total_ms": 2}))
    again = Record("run-of-mine", None, "message", "Cats?", turn.created_at, "fake")
    for event, data in turn.snapshot():
        again.add(event, data)

    again.last_event = turn.last_event
    assert again == turn


def test_a_turn_without_retrieval_has_no_source_event_in_its_snapshot() -> None:
    turn = record()
    turn.add("failed", turn.failed_event({"code": "internal", "message": "x", "retryable": False}))

    assert [event for event, _ in turn.snapshot()] == ["run", "failed"]


def test_an_answer_that_was_cut_short_is_grounded_in_part_at_best() -> None:
    for verdict, grounding in (("exact", "partial"), ("supported", "partial"), ("unsupported", "none")):
        turn = record()
        turn.add("citation", {"index": 2, "verified": verdict})
        done = turn.done_event("incomplete", None, {"ttft_ms": None, "total_ms": 2})
        assert (done["cited"], done["grounding"]) == ([2], grounding)
        assert done["usage"] == {"input_tokens": 0, "output_tokens": 0}
