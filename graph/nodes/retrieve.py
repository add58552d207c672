"""retrieve: the query becomes passages, and the `source` event that shows them."""

from dataclasses import dataclass
from typing import Any, Protocol

import anyio
import anyio.to_thread
from langchain_core.messages import AnyMessage
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from graph.events import emit, source_of
from graph.prompts import Prompts, fit_passages
from graph.retrieval.hybrid import Found
from graph.retrieval.sufficiency import is_enough
from graph.settings import Settings
from graph.state.context import TurnContext
from graph.state.evidence import Passage, SearchQuery

LABEL = "Searching the documents"


class Searcher(Protocol):
    """What finds passages; blocks."""

    def search(self, query: SearchQuery, collections: list[str], *, k: int, where: dict[str, list[str]]) -> Found:
        """The best `k` passages of the collections."""
        ...


class Reads(TypedDict):
    """What is searched for, and the history that shares the model's context with the passages."""

    query: SearchQuery
    history: list[AnyMessage]


class Writes(TypedDict):
    """The passages, and whether they are enough to answer from."""

    passages: list[Passage]
    answerable: bool


@dataclass(frozen=True)
class Retrieve:
    """Search the collections of the turn and show what was found."""

    searcher: Searcher
    threads: anyio.CapacityLimiter
    prompts: Prompts
    settings: Settings

    async def __call__(self, state: Reads, runtime: Runtime[TurnContext]) -> Writes:
        """Find passages that fit the context budget; emit them."""
        context = runtime.context or TurnContext()
        query = state["query"]
        where = {key: value if isinstance(value, list) else [value] for key, value in context.filter.items()}
        k = context.top_k or self.settings.top_k

        def search() -> Found:
            return self.searcher.search(query, context.collections, k=k, where=where)

        found = await anyio.to_thread.run_sync(search, limiter=self.threads)
        overhead = self.prompts.overhead_tokens(query["text"], state["history"])
        budget = self.settings.context_budget_tokens - self.settings.max_output_tokens - overhead
        passages = fit_passages(found.passages, budget)
        emit("source", {"sources": [source_of(passage) for passage in passages]})
        return {"passages": passages, "answerable": bool(passages) and is_enough(query["text"], found.confidence)}

    @staticmethod
    def detail(writes: Writes) -> dict[str, Any]:
        """How many passages were found."""
        return {"hits": len(writes["passages"])}
