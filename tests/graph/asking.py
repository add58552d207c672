"""Asks the graph a question as a server does, and looks at what came of it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from contextvars import copy_context
from typing import Any

from langchain_core.messages import AnyMessage, HumanMessage
from pydantic import SecretStr

from graph.build import build_graph
from graph.events import read_emitted, run_deadline, stop_event
from graph.resources import Resources
from graph.state.context import TurnContext
from tests.upstream import Upstream

FOX = "Where does the fox sleep?"


class Run:
    """What a run said, and its final state."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.output: dict[str, Any] = {}

    def of(self, name: str) -> list[Any]:
        return [data for event, data in self.events if event == name]

    @property
    def answer(self) -> str:
        return "".join(data["delta"] for data in self.of("message"))

    @property
    def status(self) -> str:
        return str(self.output["turn"]["status"])

    def detail(self, node: str) -> dict[str, Any]:
        return next(s["detail"] for s in self.of("status") if (s["node"], s["state"]) == (node, "end"))


async def ask(
    resources: Resources,
    question: str = FOX,
    history: Sequence[AnyMessage] = (),
    *,
    stop: asyncio.Event | None = None,
    within_s: float | None = None,
    run: Run | None = None,
    **context: Any,
) -> Run:
    """Run the graph in a task of its own. `run` is filled while it works, also when it fails."""
    run = Run() if run is None else run
    variables = copy_context()
    variables.run(stop_event.set, stop)
    variables.run(run_deadline.set, None if within_s is None else time.monotonic() + within_s)
    asking = asyncio.create_task(
        _collect(run, resources, [*history, HumanMessage(question)], TurnContext(**context)), context=variables
    )
    try:
        await asking
    finally:
        await until_cancelled(asking)
    return run


async def _collect(run: Run, resources: Resources, messages: list[AnyMessage], context: TurnContext) -> None:
    async with aclosing(read_emitted(build_graph(resources), messages, context)) as events:
        async for event in events:
            if event["event"] == "on_custom_event":
                run.events.append((event["name"], event["data"]))
            elif event["event"] == "on_chain_end":
                run.output = event["data"]["output"]


async def until_cancelled(task: "asyncio.Task[Any]") -> None:
    """Cancel a task until it is done, as the server's supervisor does."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.05)


async def until(condition: Callable[[], bool], timeout_s: float = 10) -> float:
    """Wait for what another thread does; returns how long it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s
        await asyncio.sleep(0.005)
    return time.monotonic() - started


def openai(upstream: Upstream, model: str, **more: Any) -> dict[str, Any]:
    """Settings that let a model of tests/upstream.py answer."""
    return {"model": f"openai:{model}", "openai_base_url": upstream.base_url, "openai_api_key": SecretStr("k"), **more}
