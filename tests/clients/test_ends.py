"""However a run ends, its readers see how, stop by themselves, and ask nothing twice."""

import time
from collections.abc import Iterator

import pytest

from tests.clients.conftest import (
    ACCEPTANCE,
    OpenStage,
    Outcomes,
    Stage,
    ask_everywhere,
    listen_to_the_end,
    wait_for_all,
)
from tests.clients.proxy import Cut
from tests.clients.readers import Ask, Listening

pytestmark = pytest.mark.timeout(600 if ACCEPTANCE else 180)

MODEL = "slow:100:0.1"
"""Takes ten seconds: long enough to end it in the middle on a busy machine."""
ANSWER = "".join(f"word{number} " for number in range(100))
WORD = 10
"""Number of an event in the answer."""
DOWN_S = 2
"""How long nobody answers: every client tries at least once."""


@pytest.fixture(scope="module")
def stage(open_stage: OpenStage) -> Iterator[Stage]:
    with open_stage(MODEL) as opened:
        yield opened


def is_reading(listening: Listening, ask: Ask) -> bool:
    return listening.heard(ask.run_id).names.count("message") >= 3


@pytest.fixture(scope="module")
def stopped(stage: Stage) -> Outcomes:
    """Runs that were stopped while their clients were reading, and while they were away."""
    threads = set(stage.service.threads())
    with ask_everywhere(stage, stage.clients, {"reading": [], "away": [Cut(WORD)]}) as asked:
        wait_for_all(asked, is_reading, "reading")
        wait_for_all(asked, lambda _, ask: not stage.proxy.uncut(ask.run_id), "away")
        for _, ask in asked.values():
            stage.service.post(f"/v1/runs/{ask.run_id}/stop")
        outcomes = listen_to_the_end(stage, asked)
    assert len(set(stage.service.threads()) - threads) == len(outcomes)
    return outcomes


@pytest.fixture(scope="module")
def killed(stage: Stage) -> Outcomes:
    """Runs whose server was killed while their clients were reading, and before they had read anything."""
    threads = set(stage.service.threads())
    with ask_everywhere(stage, stage.clients, {"reading": [], "nothing read": [Cut(0)] * 100}) as asked:
        wait_for_all(asked, is_reading, "reading")
        wait_for_all(asked, lambda _, ask: stage.calls(ask) == 1)
        stage.service.kill()
        time.sleep(DOWN_S)
        for _, ask in asked.values():
            stage.proxy.plan(ask.run_id, [])
        stage.service.start()
        stage.proxy.aim(stage.service.address)
        outcomes = listen_to_the_end(stage, asked)
    assert len(set(stage.service.threads()) - threads) == len(outcomes)
    return outcomes


@pytest.mark.parametrize("case", ["reading", "away"])
def test_a_stopped_run_ends_for_its_reader_and_keeps_what_was_written(
    stage: Stage, stopped: Outcomes, client: str, case: str
) -> None:
    stage.need(client)
    outcome = stopped[client, case]
    assert outcome.record["status"] == "stopped"
    assert outcome.heard.terminal
    assert outcome.heard.terminal["status"] == "stopped"
    assert outcome.heard.text.encode() == outcome.record["answer"].encode()
    assert outcome.heard.text
    assert ANSWER.startswith(outcome.heard.text)
    assert outcome.heard.text != ANSWER
    assert outcome.heard.events == outcome.replay
    assert outcome.calls == 1
    assert len(outcome.requests) == 1 + (case == "away") + (client != "fetch-event-source")


@pytest.mark.parametrize("case", ["reading", "nothing read"])
def test_a_killed_server_leaves_its_readers_an_end_and_no_second_question(
    stage: Stage, killed: Outcomes, client: str, case: str
) -> None:
    stage.need(client)
    outcome = killed[client, case]
    assert outcome.record["status"] == "failed"
    assert outcome.heard.terminal
    assert outcome.heard.terminal["code"] == "server_restart"
    assert outcome.heard.text == outcome.record["answer"]
    assert outcome.heard.events[-len(outcome.replay) :] == outcome.replay
    assert [event.name for event in outcome.replay] == ["run", "failed"]
    assert outcome.heard.names.count("run") == (2 if case == "reading" else 1)
    assert outcome.calls == 1
    first, *others = outcome.requests
    assert first.last_event_id is None
    assert None in [request.status for request in others]
    if case == "reading":
        assert all(request.last_event_id for request in others)
    assert outcome.statuses[-1] == (200 if client == "fetch-event-source" else 204)
