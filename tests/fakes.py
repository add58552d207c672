"""Fakes: real classes that stand in for what a test does not want to run."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from graph.events import Source, emit, source_of, stop_event
from graph.library import Library
from graph.state.context import TurnContext
from graph.state.evidence import Citation, Passage


@dataclass(frozen=True)
class FakeResources:
    """A library, and nothing that could answer."""

    library: Library
    model_name: str = "fake"
    summarizer: Callable[[Sequence[AnyMessage]], Awaitable[str]] | None = None
    searchable: bool = False
    """Whether it is known, without asking the library, that there is something to search."""

    def is_searchable(self, collections: Sequence[str]) -> bool:
        """As it was said."""
        return self.searchable


class ScriptedState(TypedDict, total=False):
    messages: list[AnyMessage]
    turn: dict[str, Any]


@dataclass
class Answerer:
    """Answers every question with the same words; its graph is a real one with a single node.

    `pause_s` comes before each word, `error` after `words_before_error` of them. A deaf one does not hear that it
    should stop. Counts the streams that it opened and closed, as a model's server would.
    """

    passage: Passage | None = None
    words: Sequence[str] = ("Cats ", "sleep ", "a lot [1].")
    pause_s: float = 0.0
    error: Exception | None = None
    words_before_error: int = 0
    deaf: bool = False
    opened: int = 0
    closed: int = 0
    asked: list[list[tuple[str, str]]] = field(default_factory=list)
    contexts: list[TurnContext] = field(default_factory=list)

    def build(self) -> CompiledStateGraph[Any, TurnContext, Any, Any]:
        builder = StateGraph(ScriptedState, TurnContext)

        async def answer(state: ScriptedState, runtime: Runtime[TurnContext]) -> ScriptedState:
            return await self._answer(state, runtime)

        builder.add_node("answer", answer)
        builder.add_edge(START, "answer")
        builder.add_edge("answer", END)
        return builder.compile()

    async def _answer(self, state: ScriptedState, runtime: Runtime[TurnContext]) -> ScriptedState:
        self.asked.append([(message.type, message.text) for message in state["messages"]])
        self.contexts.append(runtime.context)
        question = state["messages"][-1].text
        emit("status", {"node": "condense", "state": "start", "label": "Understanding"})
        detail = {"question": f"standalone: {question}"}
        emit("status", {"node": "condense", "state": "end", "label": "Understanding", "ms": 1, "detail": detail})
        sources: list[Source] = [source_of(self.passage)] if self.passage else []
        emit("source", {"sources": sources})
        self.opened += 1
        try:
            said, stopped = await self._speak()
        finally:
            self.closed += 1
        citations = [] if stopped or not self.passage else [citation_of(self.passage, said)]
        for citation in citations:
            emit("citation", citation)
        turn = {
            "status": "stopped" if stopped else "completed",
            "cited": [citation["index"] for citation in citations],
            "grounding": "full" if citations else "none",
            "usage": {"input_tokens": 7, "output_tokens": len(self.words)},
            "query": f"standalone: {question}",
        }
        return {"turn": turn}

    async def _speak(self) -> tuple[str, bool]:
        """Say the words; returns what was said and whether it was cut short."""
        said = ""
        for count, word in enumerate(self.words):
            if self.error is not None and count == self.words_before_error:
                raise self.error
            if await self._stopped():
                return said, True
            emit("message", {"delta": word})
            said += word
        return said, False

    async def _stopped(self) -> bool:
        stopping = stop_event.get()
        if stopping is None or self.deaf:
            await asyncio.sleep(self.pause_s)
            return False
        try:
            await asyncio.wait_for(stopping.wait(), self.pause_s)
        except TimeoutError:
            return False
        return True


def citation_of(passage: Passage, answer: str) -> Citation:
    """A citation of the passage's first ten characters by the whole answer."""
    start = passage["start"]
    return {
        "index": passage["index"],
        "source_id": passage["id"],
        "answer": {"start": 0, "end": len(answer)},
        "span": {"start": start, "end": start + 10},
        "quote": passage["text"][:10],
        "verified": "exact",
        "support": 1.0,
        "origin": "claimed",
    }
