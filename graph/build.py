"""The graph: condense -> retrieve -> cite_and_generate -> finalize. This file is the map of the program."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from graph.events import Status, emit
from graph.models import is_language_model
from graph.nodes import cite_and_generate, condense, finalize, retrieve
from graph.nodes.cite_and_generate import CiteAndGenerate
from graph.nodes.condense import Condense
from graph.nodes.finalize import Finalize
from graph.nodes.retrieve import Retrieve
from graph.resources import Resources
from graph.state.channels import (
    CITE_AND_GENERATE,
    CONDENSE,
    FINALIZE,
    RETRIEVE,
    ChatInput,
    ChatOutput,
    ChatState,
    NodeName,
)
from graph.state.context import TurnContext

Graph = CompiledStateGraph[ChatState, TurnContext, ChatInput, ChatOutput]
OpenResources = Callable[[], Awaitable[Resources]]


class Node(Protocol):
    """A step: reads a part of the state, writes a part, and tells what of it a person wants to see."""

    async def __call__(self, state: Any, runtime: Runtime[TurnContext]) -> Any:
        """Do the step."""
        ...

    @staticmethod
    def detail(writes: Any) -> dict[str, Any]:
        """What the `status` event of its end shows."""
        ...


STEPS: tuple[tuple[NodeName, str, type[Any], Callable[[Resources], Node]], ...] = (
    (CONDENSE, condense.LABEL, condense.Reads, lambda r: Condense(r.rewriter, r.prompts, r.settings)),
    (
        RETRIEVE,
        retrieve.LABEL,
        retrieve.Reads,
        lambda r: Retrieve(r.retriever, r.search_threads, r.prompts, r.settings, is_language_model(r.model)),
    ),
    (
        CITE_AND_GENERATE,
        cite_and_generate.LABEL,
        cite_and_generate.Reads,
        lambda r: CiteAndGenerate(r.model, r.retriever, r.prompts, r.settings),
    ),
    (FINALIZE, finalize.LABEL, finalize.Reads, lambda _: Finalize()),
)
"""The nodes in their order: name, label for people, what they read, and how they are made."""


def build_graph(resources: Resources | OpenResources, checkpointer: BaseCheckpointSaver[str] | None = None) -> Graph:
    """Wire the four nodes, one after the other.

    `resources` may be a function that opens them when the first question arrives. Without a checkpointer a run is a
    pure function of the messages it is given.
    """
    builder = StateGraph(ChatState, TurnContext, input_schema=ChatInput, output_schema=ChatOutput)
    previous = START
    for name, label, reads, make in STEPS:
        # LangGraph narrows the state to what the node reads.
        builder.add_node(name, _step(name, label, make, resources), input_schema=reads)  # type: ignore[call-overload,unused-ignore]  # its stubs want the node's own type
        builder.add_edge(previous, name)
        previous = name
    builder.add_edge(previous, END)
    return builder.compile(checkpointer=checkpointer, name="citestream")


def _step(
    name: NodeName, label: str, make: Callable[[Resources], Node], resources: Resources | OpenResources
) -> Callable[[Any, Runtime[TurnContext]], Awaitable[Any]]:
    """A node with its `status` events: start and end, also when it fails, or skip."""

    async def step(state: Any, runtime: Runtime[TurnContext]) -> Any:
        node = make(resources if isinstance(resources, Resources) else await resources())
        status: Status = {"node": name, "state": "start", "label": label}
        if isinstance(node, Retrieve | CiteAndGenerate) and node.skips(state):
            emit("status", {**status, "state": "skip"})
            return await node(state, runtime)
        emit("status", status)
        started = time.perf_counter()
        detail: dict[str, Any] = {"failed": True}
        try:
            writes = await node(state, runtime)
            detail = node.detail(writes)
        finally:
            ms = round(1000 * (time.perf_counter() - started))
            emit("status", {**status, "state": "end", "ms": ms, "detail": detail})
        return writes

    return step
