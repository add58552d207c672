"""retrieve: the query becomes passages, and the `source` event that shows them."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NotRequired, Protocol

import anyio
import anyio.to_thread
from langchain_core.messages import AnyMessage
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from graph.errors import IndexUnusable
from graph.events import emit, source_of, stop_event
from graph.model_stream import deadline
from graph.prompts import Prompts, fit_passages
from graph.retrieval.hybrid import Found
from graph.settings import Settings
from graph.smalltalk import smalltalk
from graph.state.context import TurnContext
from graph.state.evidence import Passage, SearchQuery

LABEL = "Searching the documents"
LEAST_PATIENCE_S = 1.0
"""How long a search may take even when the run has no time left, so that the one who used it up gets the blame."""
WIDE_TOKENS = 400
"""Most tokens of a passage with its surroundings, where the context budget has room."""
STOP_PATIENCE_S = 0.2
"""How long a stop waits for a search to end: an index that closes does so better without one."""


class Searcher(Protocol):
    """What finds passages; blocks."""

    def search(
        self, query: SearchQuery, collections: list[str], *, k: int, where: dict[str, list[str]], room_tokens: int
    ) -> Found:
        """The best `k` passages of the collections, each with its surroundings up to `room_tokens`."""
        ...


class Reads(TypedDict):
    """What is searched for, and the history that shares the model's context with the passages."""

    query: SearchQuery
    history: list[AnyMessage]


class Writes(TypedDict):
    """The passages, and whether they are enough to answer from."""

    passages: list[Passage]
    answerable: bool
    confidence: NotRequired[float]
    """For the `status` event alone: no channel of the graph has this name."""


@dataclass(frozen=True)
class Retrieve:
    """Search the collections of the turn and show what was found."""

    searcher: Searcher
    threads: anyio.CapacityLimiter
    prompts: Prompts
    settings: Settings
    widens: bool
    """Whether passages come with their surroundings: a language model understands more of them, quotes need none."""

    async def __call__(self, state: Reads, runtime: Runtime[TurnContext]) -> Writes:
        """Find passages that fit the context budget; emit them. A run that is stopped does not wait for them.

        Raises IndexUnusable when the search outlasts the run.
        """
        if self.skips(state):
            emit("source", {"sources": []})
            return {"passages": [], "answerable": False}
        context = runtime.context or TurnContext()
        query = state["query"]
        where = {key: value if isinstance(value, list) else [value] for key, value in context.filter.items()}
        k = context.top_k or self.settings.top_k

        overhead = self.prompts.overhead_tokens(query["text"], state["history"])
        budget = self.settings.context_budget_tokens - self.settings.max_output_tokens - overhead
        room = max(0, min(WIDE_TOKENS, budget // k)) if self.widens else 0

        def search() -> Found:
            return self.searcher.search(query, context.collections, k=k, where=where, room_tokens=room)

        found = await self._search(search)
        if found is None:
            return {"passages": [], "answerable": False}
        passages = fit_passages(found.passages, budget)
        emit("source", {"sources": [source_of(passage) for passage in passages]})
        answerable = bool(passages) and found.sufficiency.enough
        return {"passages": passages, "answerable": answerable, "confidence": round(found.sufficiency.confidence, 3)}

    @staticmethod
    def skips(state: Reads) -> bool:
        """Whether there is nothing to search for."""
        return smalltalk(state["query"]["text"]) is not None

    async def _search(self, search: Callable[[], Found]) -> Found | None:
        """Search in a thread, which ends by itself when nobody waits any more; None when the run is stopped."""
        stop = stop_event.get() or asyncio.Event()
        if stop.is_set():
            return None
        searching = asyncio.create_task(anyio.to_thread.run_sync(search, abandon_on_cancel=True, limiter=self.threads))
        stopping = asyncio.create_task(stop.wait())
        try:
            left_s = max(deadline(self.settings) - time.monotonic(), LEAST_PATIENCE_S)
            await asyncio.wait({searching, stopping}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                await asyncio.wait({searching}, timeout=STOP_PATIENCE_S)
            if searching.done():
                return searching.result()
            if stopping.done():
                return None
            raise IndexUnusable("the search took too long. Try again in a while.")
        finally:
            searching.cancel()
            stopping.cancel()

    @staticmethod
    def detail(writes: Writes) -> dict[str, Any]:
        """How many passages were found, and how likely they hold the answer."""
        detail: dict[str, Any] = {"hits": len(writes["passages"])}
        return {**detail, "confidence": writes["confidence"]} if "confidence" in writes else detail
