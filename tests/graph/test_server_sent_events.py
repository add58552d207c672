"""Events of a model's server, however they are cut and whichever line ends they have."""

import pytest

from graph.server_sent_events import EventData

STREAM = (
    b": hello\n\n"
    b'data: {"a": 1}\n\n'
    b"event: ping\n\n"
    b'event: message\nid: 7\ndata: {"b":\ndata:2}\n\n'
    b"retry: 5\n\n\n"
    b'data:{"c": "\xe2\x80\xa8"}\n\n'
    b"data\n\n"
    b"data: [DONE]\n\n"
    b'data: {"late": 1}\n\n'
)
DATA = [b'{"a": 1}', b'{"b":\n2}', b'{"c": "\xe2\x80\xa8"}']


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_gives_the_same_data_wherever_it_is_cut(line_end: bytes) -> None:
    stream = STREAM.replace(b"\n", line_end)
    for cut in range(len(stream) + 1):
        events = EventData()
        found = events.feed(stream[:cut])
        if not events.done:
            found += events.feed(stream[cut:])
        assert (found, events.done) == (DATA, True), cut


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_that_comes_byte_by_byte_gives_the_same(line_end: bytes) -> None:
    events = EventData()
    found: list[bytes] = []
    for byte in STREAM.replace(b"\n", line_end):
        if not events.done:
            found += events.feed(bytes([byte]))
    assert (found, events.done) == (DATA, True)


def test_an_event_that_is_cut_off_by_the_end_counts_for_nothing() -> None:
    assert EventData().feed(b'data: {"a": 1}\n') == []
