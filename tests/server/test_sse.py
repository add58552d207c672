"""Events as bytes."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.eventlog import Entry
from server.sse import CHUNK_BYTES, NDJSON, SSE, TEXT, choose_view, encode_json, encode_stream, ndjson_line, sse_frame

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
LINE_ENDS = ("\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\x00")


@given(JSON)
def test_json_is_one_line_for_everyone_and_means_the_same(data: object) -> None:
    line = encode_json(data).decode()

    assert json.loads(line) == data
    assert len(line.splitlines()) == 1
    assert not any(end in line for end in LINE_ENDS)


@given(st.text(st.characters(codec=None)))
def test_half_of_a_surrogate_pair_becomes_a_replacement_character(text: str) -> None:
    shown = json.loads(encode_json({"delta": text}).decode())["delta"]

    assert shown == "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)


@pytest.mark.parametrize("size", [1, 1_000, 100_000])
def test_json_takes_the_memory_that_it_needs(size: int) -> None:
    tracemalloc.start()
    try:
        lines = [encode_json({"delta": "x" * size}) for _ in range(100)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < sum(len(line) + 100 for line in lines)


@given(JSON)
def test_a_frame_is_its_lines_with_the_id_last(data: object) -> None:
    frame = sse_frame("run-of-mine", Entry(3, "message", encode_json(data)), first=False).decode()

    event, payload, place, *rest = frame.split("\n")
    assert (event, place, rest) == ("event: message", "id: run-of-mine:3", ["", ""])
    assert json.loads(payload.removeprefix("data: ")) == data


def test_the_first_frame_sets_the_retry_time() -> None:
    frame = sse_frame("r", Entry(1, "run", b"{}"), first=True)

    assert frame == b"retry: 1000\nevent: run\ndata: {}\nid: r:1\n\n"


def test_an_ndjson_line_holds_event_id_and_data() -> None:
    line = ndjson_line("r", Entry(1, "run", b'{"v":1}'))

    assert json.loads(line) == {"event": "run", "id": "r:1", "data": {"v": 1}}
    assert line.endswith(b"}\n")


@pytest.mark.parametrize(
    ("accept", "view"),
    [
        (None, SSE),
        ("", SSE),
        ("*/*", SSE),
        ("application/json", SSE),
        ("text/html, image/png;q=0.8, */*;q=0.1", SSE),
        ("text/event-stream", SSE),
        ("application/x-ndjson", NDJSON),
        ("APPLICATION/X-NDJSON; charset=utf-8", NDJSON),
        ("text/plain", TEXT),
        ("text/plain;q=0.5, application/x-ndjson;q=0.9", NDJSON),
        ("text/plain;q=0", SSE),
        ("text/plain;q=nonsense", SSE),
        ("text/event-stream, text/plain", SSE),
    ],
)
def test_the_accept_header_chooses_the_form(accept: str | None, view: str) -> None:
    assert choose_view(accept) == view


async def test_text_is_made_of_messages_only() -> None:
    entries = [
        Entry(1, "run", b"{}"),
        Entry(2, "message", encode_json({"delta": "a\u2028"})),
        Entry(3, "reasoning", encode_json({"delta": "hm"})),
        Entry(4, "message", encode_json({"delta": "b"})),
    ]
    assert await written(TEXT, *([entry] for entry in entries)) == ["a\u2028".encode(), b"b"]


async def written(view: str, *batches: list[Entry]) -> list[bytes]:
    waiting = iter(batches)

    async def next_batch() -> list[Entry]:
        return next(waiting, [])

    return [chunk async for chunk in encode_stream(view, "r", next_batch)]


@pytest.mark.parametrize("view", [SSE, NDJSON, TEXT])
async def test_events_that_are_there_at_once_are_written_at_once_and_mean_the_same(view: str) -> None:
    entries = [Entry(n, "message", encode_json({"delta": f"word {n}"})) for n in range(1, 6)]
    (at_once,) = await written(view, entries)
    assert at_once == b"".join(await written(view, *([entry] for entry in entries)))


async def test_what_is_written_at_once_has_an_end() -> None:
    entries = [Entry(n, "message", encode_json({"delta": "x" * 10_000})) for n in range(1, 21)]
    chunks = await written(SSE, entries)
    assert len(chunks) == 3
    assert max(map(len, chunks)) < CHUNK_BYTES + 11_000
