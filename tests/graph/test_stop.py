"""Stopping and cancelling a run, in every phase of it."""

import asyncio
import dataclasses
import random
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from graph.errors import IndexUnusable
from graph.metrics import upstream_open
from graph.resources import Resources
from graph.retrieval.hybrid import Found, Retriever
from tests.graph.asking import Run, ask, openai, until, until_cancelled
from tests.graph.conftest import OpenWith
from tests.upstream import Upstream

CLOSED_WITHIN_S = 0.25
HISTORY: list[AnyMessage] = [HumanMessage("Does the fox sleep?"), AIMessage("Yes [1].")]


@pytest.fixture(params=["fast", "library"])
def openai_client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def open_streams() -> float:
    return next(sample.value for metric in upstream_open.collect() for sample in metric.samples)


@pytest.fixture(autouse=True)
def every_stream_is_counted_and_closed() -> Iterator[None]:
    assert open_streams() == 0
    yield
    assert open_streams() == 0


async def stop_when_open(resources: Resources, upstream: Upstream, words: int = 0, **more: Any) -> Run:
    """Ask; stop when the model's stream is open and some words were shown; assert that it closes in time."""
    stop = asyncio.Event()
    run = Run()
    asking = asyncio.create_task(ask(resources, stop=stop, run=run, **more))
    await until(lambda: upstream.open == 1 and len(run.answer.split()) >= words)
    assert open_streams() == 1
    stop.set()
    assert await until(lambda: upstream.open == 0) <= CLOSED_WITHIN_S
    return await asyncio.wait_for(asking, 2)


@pytest.mark.parametrize("model", ["hanghead", "hang:0", "comment", "empty"])
async def test_stop_before_the_first_word_ends_the_run_without_one(
    open_with: OpenWith, upstream: Upstream, model: str
) -> None:
    async with open_with(**openai(upstream, model)) as resources:
        run = await stop_when_open(resources, upstream)
    assert (run.status, run.answer) == ("stopped", "")
    assert run.of("source")
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("model", ["slow:500:0.01", "endless:0.005", "hang:5", "comment:5"])
async def test_stop_in_the_answer_keeps_what_was_said(open_with: OpenWith, upstream: Upstream, model: str) -> None:
    async with open_with(**openai(upstream, model)) as resources:
        run = await stop_when_open(resources, upstream, 4)
    assert run.status == "stopped"
    assert run.answer.split()[:2] in (["word0", "word1"], ["The", "fox"])
    assert run.output["messages"][-1].text == run.answer
    assert (upstream.closed_early, upstream.finished) == (1, 0)


async def test_stop_in_condense_ends_the_run_without_asking_the_model_for_an_answer(
    open_with: OpenWith, upstream: Upstream
) -> None:
    async with open_with(**openai(upstream, "rewrite=hang:0")) as resources:
        run = await stop_when_open(resources, upstream, question="And where?", history=HISTORY)
    assert (run.status, run.answer) == ("stopped", "")
    assert run.of("source") == []
    assert "rewrite" not in run.detail("condense")
    assert len(upstream.requests) == 1


async def test_stop_between_two_tries_ends_them(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "retryafter:5")) as resources:
        stop = asyncio.Event()
        asking = asyncio.create_task(ask(resources, stop=stop))
        await until(lambda: len(upstream.requests) == 1)
        await asyncio.sleep(0.3)
        stop.set()
        run = await asyncio.wait_for(asking, 2)
    assert (run.status, run.answer) == ("stopped", "")
    assert len(upstream.requests) == 1


async def test_a_run_that_is_stopped_already_calls_no_model(open_with: OpenWith, upstream: Upstream) -> None:
    stop = asyncio.Event()
    stop.set()
    async with open_with(**openai(upstream, "say")) as resources:
        run = await ask(resources, "And where?", HISTORY, stop=stop)
    assert run.status == "stopped"
    assert upstream.requests == []


class SlowRetriever:
    """Does not find anything until it is told to; refuses everything else."""

    def __init__(self) -> None:
        self.searching = threading.Event()
        self.go_on = threading.Event()

    def search(self, *_: Any, **__: Any) -> Found:
        self.searching.set()
        self.go_on.wait(10)
        raise AssertionError("nobody waits for this any more")


async def test_stop_in_retrieve_does_not_wait_for_the_search(open_with: OpenWith, upstream: Upstream) -> None:
    slow = SlowRetriever()
    stop = asyncio.Event()
    async with open_with(**openai(upstream, "say")) as resources:
        asking = asyncio.create_task(ask(dataclasses.replace(resources, retriever=cast("Retriever", slow)), stop=stop))
        await until(slow.searching.is_set)
        stop.set()
        stopped_at = time.monotonic()
        run = await asking
        assert time.monotonic() - stopped_at < 1
        slow.go_on.set()
    assert (run.status, run.answer, run.of("source")) == ("stopped", "", [])
    assert upstream.requests == []


async def test_a_search_that_outlasts_the_run_is_an_error(open_with: OpenWith, upstream: Upstream) -> None:
    slow = SlowRetriever()
    async with open_with(**openai(upstream, "say")) as resources:
        with pytest.raises(IndexUnusable):
            await ask(dataclasses.replace(resources, retriever=cast("Retriever", slow)), within_s=0.3)
        slow.go_on.set()
    assert upstream.requests == []


@pytest.mark.parametrize("model", ["slow:500:0.005", "hanghead", "rewrite=hang:0"])
async def test_a_run_that_is_cancelled_at_any_moment_leaves_no_stream_open(
    open_with: OpenWith, upstream: Upstream, model: str
) -> None:
    chance = random.Random(7)
    async with open_with(**openai(upstream, model)) as resources:
        history = HISTORY if model.startswith("rewrite") else []
        await until_cancelled_after(resources, history, 0.5)  # the first call loads what the others share
        for _ in range(30):
            await until_cancelled_after(resources, history, chance.uniform(0, 0.15))
        await until(lambda: upstream.open == 0, 1)
        await until(lambda: open_streams() == 0, 1)
    assert upstream.opened > 3
    assert upstream.finished == 0


async def until_cancelled_after(resources: Resources, history: list[AnyMessage], delay_s: float) -> None:
    asking = asyncio.create_task(ask(resources, history=history))
    await asyncio.sleep(delay_s)
    await until_cancelled(asking)
