"""condense: the question and its history become a standalone question and what is searched for."""

import time
from dataclasses import dataclass
from typing import Any, Literal, NotRequired

import structlog
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from graph.errors import ModelError, ModelMisbehaved
from graph.model_stream import Limits, Piece, deadline, open_model_stream
from graph.prompts import Prompts
from graph.retrieval.query import history_query, is_dependent, with_rewrite
from graph.settings import Settings
from graph.smalltalk import smalltalk
from graph.state.context import TurnContext
from graph.state.evidence import SearchQuery
from graph.state.history import answers, fit_history, questions, split_question

log = structlog.get_logger(__name__)

LABEL = "Understanding the question"
NO_STREAM = "nostream"
"""Tag that keeps a model call out of the LangGraph server's token stream."""
REWRITE_TIMEOUT_S = 10.0
"""How long a question waits for its rewrite, which is a help and no must."""
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
    rewrite: NotRequired[Literal["failed"]]
    """For the `status` event alone: no channel of the graph has this name."""


@dataclass(frozen=True)
class Condense:
    """Make a follow-up stand alone: by its history always, by the model's rewrite where there is a model.

    A thread's first question passes unchanged and costs no call; so does small talk, which is no question's history.
    """

    rewriter: BaseChatModel | None
    prompts: Prompts
    settings: Settings

    async def __call__(self, state: Reads, runtime: Runtime[TurnContext]) -> Writes:
        """Build the query; a model that fails, is slow or is stopped leaves it as it is without a rewrite."""
        earlier, question = split_question(state["messages"])
        history, dropped = fit_history(earlier, self.settings.history_budget_tokens)
        asked = [] if smalltalk(question) else [said for said in questions(earlier) if not smalltalk(said)]
        query = history_query(question, asked, answers(earlier) if asked else [])
        writes: Writes = {"history": history, "dropped_turns": dropped, "query": query}
        if asked and self.rewriter is not None:
            try:
                rewrite = await self._rewrite(self.rewriter, question, history)
            except ModelError as exc:
                log.warning("rewrite_failed", code=exc.code)
                writes["rewrite"] = "failed"
            else:
                writes["query"] = with_rewrite(writes["query"], rewrite) if rewrite else writes["query"]
        elif asked and is_dependent(question):
            writes["query"]["text"] = f"{question} ({asked[-1][:SHOWN_CHARS]})"
        return writes

    @staticmethod
    def detail(writes: Writes) -> dict[str, Any]:
        """The standalone question, what of the history was left out, and whether the model failed to rewrite."""
        detail = {"question": writes["query"]["text"], "dropped_turns": writes["dropped_turns"]}
        return {**detail, "rewrite": writes["rewrite"]} if "rewrite" in writes else detail

    async def _rewrite(self, rewriter: BaseChatModel, question: str, history: list[AnyMessage]) -> str:
        """The rewrite; empty when the run was stopped. Raises a ModelError, also for one that is not whole."""
        tagged = rewriter.model_copy(update={"tags": [*(rewriter.tags or []), NO_STREAM]})
        limits = Limits(
            first_content_timeout_s=REWRITE_TIMEOUT_S,
            idle_timeout_s=REWRITE_TIMEOUT_S,
            deadline=min(time.monotonic() + REWRITE_TIMEOUT_S, deadline(self.settings)),
            max_output_tokens=self.settings.max_output_tokens,
            tries=1,
        )
        pieces: list[Piece] = []
        async with open_model_stream(tagged, self.prompts.condense(question, history), limits, pieces.append) as stream:
            await stream.end()
        text = "".join(piece.text for piece in pieces)
        if stream.stopped:
            return ""
        # A reasoning model thinks before it rewrites.
        rewrite = " ".join(text.rpartition("</think>")[2].split())[:MAX_REWRITE_CHARS]
        if not (rewrite and stream.complete):
            raise ModelMisbehaved("the model did not rewrite the question.")
        return rewrite
