"""The rewrite of a follow-up is a help: whatever becomes of it, the question is answered."""

import time

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from graph.resources import Resources
from tests.graph.asking import Run, ask, openai
from tests.graph.conftest import OpenWith
from tests.upstream import ANSWER, STANDALONE, Upstream

QUESTION = "And where does it sleep?"
HISTORY = [HumanMessage("Does the fox sleep?"), AIMessage("Yes [1].")]


async def follow_up(resources: Resources, within_s: float | None = None) -> Run:
    return await ask(resources, QUESTION, HISTORY, within_s=within_s)


@pytest.mark.parametrize(
    "model",
    [
        "rewrite=status:500",
        "rewrite=status:429",
        "rewrite=status:401",
        "rewrite=drop:0",
        "rewrite=drop:3",
        "rewrite=nofinish:3",
        "rewrite=length:3",
        "rewrite=contentfilter:0",
        "rewrite=error:2",
        "rewrite=garbage:0",
    ],
)
async def test_a_rewrite_that_fails_is_tried_once_and_the_question_is_answered_without_it(
    open_with: OpenWith, upstream: Upstream, model: str
) -> None:
    async with open_with(**openai(upstream, model)) as resources:
        run = await follow_up(resources)
    assert run.detail("condense") == {"question": QUESTION, "dropped_turns": 0, "rewrite": "failed"}
    assert (run.status, run.answer) == ("completed", ANSWER)
    assert "rewrite" not in run.output
    assert len(upstream.requests) == 2


async def test_a_rewrite_that_succeeds_is_not_said_to_have_failed(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "say")) as resources:
        run = await follow_up(resources)
    assert run.detail("condense") == {"question": STANDALONE, "dropped_turns": 0}


async def test_a_rewrite_that_takes_long_is_given_up(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "rewrite=comment:2")) as resources:
        started = time.monotonic()
        run = await follow_up(resources)
        assert 9 < time.monotonic() - started < 13
    assert run.detail("condense")["rewrite"] == "failed"
    assert (run.status, run.answer) == ("completed", ANSWER)
    assert (upstream.closed_early, upstream.finished) == (1, 1)


async def test_rewrite_and_answer_share_the_time_of_the_run(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "rewrite=late:0.7")) as resources:
        assert (await follow_up(resources, within_s=8)).status == "completed"
    async with open_with(**openai(upstream, "hanghead")) as resources:
        started = time.monotonic()
        with pytest.raises(Exception, match="RUN_TIMEOUT"):
            await follow_up(resources, within_s=1)
        assert time.monotonic() - started < 3
    assert len([request for request in upstream.requests if request["model"] == "hanghead"]) == 1
