"""condense: the question and its history become a standalone question and what is searched for."""

import time
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from graph.model_stream import Limits, open_model_stream
from graph.prompts import Prompts
from graph.retrieval.query import history_query, is_dependent, with_rewrite
from graph.settings import Settings
from graph.state.context import TurnContext
from graph.state.evidence import SearchQuery
from graph.state.history import fit_history, questions, split_question

LABEL = "Understanding the question"
NO_STREAM = "nostream"
"""Tag that keeps a model call out of the LangGraph server's token stream."""
MAX_REWRITE_CHARS = 1000
SHOWN_CHARS = 200


class Reads(TypedDict):
    """The conversation, the question last."""

    messages: list[AnyMessage]


class Writes(TypedDict):
    """What is searched for, and the history that the answer may see."""

    history: list[AnyMessage]
    dropped_turns: int
    query: SearchQuery


@dataclass(frozen=True)
class Condense:
    """Make a follow-up stand alone: by its history always, by the model's rewrite where there is a model.

    A thread's first question passes unchanged and costs no call.
    """

    rewriter: BaseChatModel | None
    prompts: Prompts
    settings: Settings

    async def __call__(self, state: Reads, runtime: Runtime[TurnContext]) -> Writes:
        """Build the query."""
        earlier, question = split_question(state["messages"])
        history, dropped = fit_history(earlier, self.settings.history_budget_tokens)
        asked = questions(earlier)
        query = history_query(question, asked)
        if asked and self.rewriter is not None:
            rewrite = await self._rewrite(self.rewriter, question, history)
            query = with_rewrite(query, rewrite) if rewrite else query
        elif asked and is_dependent(question):
            query["text"] = f"{question} ({asked[-1][:SHOWN_CHARS]})"
        return {"history": history, "dropped_turns": dropped, "query": query}

    @staticmethod
    def detail(writes: Writes) -> dict[str, Any]:
        """The standalone question, and what of the history was left out."""
        return {"question": writes["query"]["text"], "dropped_turns": writes["dropped_turns"]}

    async def _rewrite(self, rewriter: BaseChatModel, question: str, history: list[AnyMessage]) -> str:
        tagged = rewriter.model_copy(update={"tags": [*(rewriter.tags or []), NO_STREAM]})
        limits = Limits(self.settings.idle_timeout_s, time.monotonic() + self.settings.run_timeout_s)
        text = ""
        async with open_model_stream(tagged, self.prompts.condense(question, history), limits) as pieces:
            async for piece in pieces:
                text += piece.text
        # A reasoning model thinks before it rewrites.
        return " ".join(text.rpartition("</think>")[2].split())[:MAX_REWRITE_CHARS]
