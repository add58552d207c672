"""One question is one run and one call of the model, wherever the connection of a client breaks."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import pytest

from tests.acceptance.recorder import ACCEPTANCE, Measured
from tests.clients.conftest import (
    QUIET_S,
    OpenStage,
    Outcome,
    Outcomes,
    Stage,
    ask_everywhere,
    listen_to_the_end,
    wait_until,
)
from tests.clients.proxy import LAST, NO_RESPONSE, Cut
from tests.clients.readers import Node

pytestmark = pytest.mark.timeout(900 if ACCEPTANCE else 180)

MODEL = ("slow:20:0.1", "".join(f"word{number} " for number in range(20)))
"""A model that takes two seconds, and what it says: a client that comes back after one finds it still at it."""
RUN, CONDENSED, SOURCES, WORD = 1, 3, 5, 12
"""Numbers of events."""
AT_A_TIME = 24
AWAY_S = 0.5

CASES = {
    "again and again": [Cut(2), Cut(WORD, into=10), Cut(WORD), Cut(WORD + 5, how="reset"), Cut(LAST)],
    "twice before the first event": [Cut(NO_RESPONSE), Cut(0)],
    "nowhere": [],
    "before the response": [Cut(NO_RESPONSE)],
    "before the first event": [Cut(0)],
    "after the run": [Cut(RUN)],
    "after a status": [Cut(CONDENSED)],
    "after the sources": [Cut(SOURCES)],
    "after a word": [Cut(WORD)],
    "by a reset": [Cut(WORD, how="reset")],
    "by an end that looks complete": [Cut(WORD, how="end")],
    "after the terminal event": [Cut(LAST)],
    "within the first frame": [Cut(0, into=30)],
    "within a character": [Cut(SOURCES - 1, into=-1)],
    "within an id": [Cut(WORD, into=-2)],
}
"""Where the connection breaks, the longest first. A negative `into` is looked up in a frame."""


@pytest.fixture(scope="module")
def stage(open_stage: OpenStage) -> Iterator[Stage]:
    with open_stage(MODEL[0]) as opened:
        yield opened


@pytest.fixture(scope="module")
def outcomes(stage: Stage) -> Outcomes:
    """What all cases came to with all clients, by client and case."""
    frames = stage.frames()
    found = [number for number, frame in enumerate(frames, 1) if "猫".encode() in frame]
    before = set(stage.service.threads())
    cases = {name: [_placed(cut, frames) for cut in cuts] for name, cuts in CASES.items()}
    outcomes = ask_and_listen(stage, stage.clients, cases)
    assert SOURCES in found
    assert len(set(stage.service.threads()) - before) == len(outcomes)
    return outcomes


def ask_and_listen(stage: Stage, clients: Iterable[str], cases: Mapping[str, Sequence[Cut]]) -> Outcomes:
    with ask_everywhere(stage, clients, cases) as asked:
        return listen_to_the_end(stage, asked)


def _placed(cut: Cut, frames: Sequence[bytes]) -> Cut:
    """The cut with the byte where it is."""
    if cut.into >= 0:
        return cut
    frame = frames[cut.after]
    into = frame.index("猫".encode()) + 1 if cut.into == -1 else len(frame) - 3
    return Cut(cut.after, into, cut.how)


def check(client: str, outcome: Outcome, cuts: Sequence[Cut], answer: str = MODEL[1]) -> None:
    """One run, one call, and to the client it is as if nothing had happened."""
    heard = outcome.heard
    assert outcome.cuts_left == []
    assert heard.text.encode() == outcome.record["answer"].encode() == answer.encode()
    assert heard.terminal
    assert heard.terminal["answer"] == answer
    numbers = range(1, len(outcome.replay) + 1)
    assert [event.id for event in heard.events] == [f"{outcome.record['run_id']}:{number}" for number in numbers]
    assert heard.events == outcome.replay
    assert outcome.calls == 1
    assert heard.closed
    check_requests(client, outcome, cuts)


def check_requests(client: str, outcome: Outcome, cuts: Sequence[Cut]) -> None:
    """It came back once for every cut, each time from where it was, and was told at the end to stop."""
    ends_by_itself = client == "fetch-event-source"
    cut_at_end = LAST in [cut.after for cut in cuts]
    least = 1 + len(cuts) + (not ends_by_itself and not cut_at_end)
    # A client may lose what came right before the break; then it asks for that first.
    most = least + (cut_at_end and not ends_by_itself)
    assert least <= len(outcome.requests) <= most
    assert outcome.resumed_after[0] == 0
    for before, resumed_after in zip(outcome.requests, outcome.resumed_after[1:], strict=False):
        assert resumed_after <= before.through
    assert set(outcome.statuses[:-1]) <= {200, None}
    assert outcome.statuses[-1] == (200 if ends_by_itself else 204)


@pytest.mark.parametrize("case", CASES)
def test_a_broken_connection_costs_no_event_and_asks_nothing_twice(
    stage: Stage, outcomes: Outcomes, client: str, case: str
) -> None:
    stage.need(client)
    check(client, outcomes[client, case], CASES[case])


@pytest.mark.acceptance
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_drop_after_any_event_costs_no_event_and_asks_nothing_twice(
    stage: Stage, client: str, how: Literal["close", "reset"], measured: Measured
) -> None:
    stage.need(client)
    places = [NO_RESPONSE, *range(len(stage.frames())), LAST]
    check_all(stage, client, [[Cut(place, how=how)] for place in places], measured)


@pytest.mark.acceptance
def test_a_drop_at_any_byte_of_a_frame_costs_no_event_and_asks_nothing_twice(
    stage: Stage, client: str, measured: Measured
) -> None:
    stage.need(client)
    frames = stage.frames()
    # fetch-event-source takes an id for seen as soon as it has read its line: see the test below.
    spared = 2 if client == "fetch-event-source" else 1
    first = [Cut(0, into) for into in range(1, len(frames[0]) - spared + 1, 3)]
    word = [Cut(WORD, into) for into in range(1, len(frames[WORD]) - spared + 1)]
    check_all(stage, client, [[cut] for cut in (*first, *word)], measured)


@pytest.mark.acceptance
def test_a_drop_after_every_event_of_one_run_costs_no_event_and_asks_nothing_twice(
    stage: Stage, client: str, measured: Measured
) -> None:
    stage.need(client)
    check_all(stage, client, [[*(Cut(place) for place in range(len(stage.frames()))), Cut(LAST)]], measured)


@pytest.mark.acceptance
def test_a_drop_between_an_id_and_the_end_of_its_frame_costs_fetch_event_source_that_event(
    stage: Stage, measured: Measured
) -> None:
    """Clients: a drop between an id and the end of its frame costs fetch-event-source that event, and no other.

    It takes an event for seen before the empty line that ends it (docs/reliability.md); no server can mend that.
    """
    stage.need("fetch-event-source")
    measured.count = 1
    into = len(stage.frames()[WORD]) - 1
    [outcome] = ask_and_listen(stage, ["fetch-event-source"], {"": [Cut(WORD, into)]}).values()
    assert outcome.heard.events == [event for number, event in enumerate(outcome.replay) if number != WORD]
    assert outcome.calls == 1


@pytest.mark.acceptance
@pytest.mark.parametrize("event", ["run", "message"])
def test_a_hidden_tab_that_is_shown_again_goes_on_where_it_was(stage: Stage, event: str, measured: Measured) -> None:
    """Clients: fetch-event-source leaves when its tab is hidden, and asks again when it is shown."""
    stage.need("fetch-event-source")
    measured.count = 1
    ask = stage.ask()
    with stage.clients["fetch-event-source"](stage.proxy.address, [ask]) as listening:
        assert isinstance(listening, Node)
        wait_until(lambda: event in listening.heard(ask.run_id).names)
        listening.tell("hide")
        time.sleep(AWAY_S)
        left = len(listening.heard(ask.run_id).events)
        listening.tell("show")
        wait_until(lambda: listening.heard(ask.run_id).closed)
        listening.tell("hide")
        listening.tell("show")
        time.sleep(QUIET_S)
        outcome = stage.outcome(listening, ask)
    assert outcome.heard.events == outcome.replay
    assert outcome.heard.text == outcome.record["answer"] == MODEL[1]
    assert outcome.resumed_after == [0, left]
    assert outcome.calls == 1


def check_all(stage: Stage, client: str, places: Sequence[Sequence[Cut]], measured: Measured) -> None:
    """Ask once for each of these, some at a time."""
    measured.count = sum(map(len, places))
    cases = {str(number): cuts for number, cuts in enumerate(places)}
    names = list(cases)
    for start in range(0, len(names), AT_A_TIME):
        batch = {name: cases[name] for name in names[start : start + AT_A_TIME]}
        outcomes = ask_and_listen(stage, [client], batch)
        for name, cuts in batch.items():
            check(client, outcomes[client, name], cuts)
