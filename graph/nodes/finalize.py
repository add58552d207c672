"""finalize: the answer as it is kept, and how the turn ended."""

from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from graph.events import emit
from graph.state.channels import Draft, Turn
from graph.state.context import TurnContext
from graph.state.evidence import Passage, SearchQuery
from graph.suggestions import suggest

LABEL = "Checking the citations"


class Reads(TypedDict):
    """The answer as it came, the question that it answers, and what it was made of."""

    draft: Draft
    query: SearchQuery
    passages: list[Passage]


class Writes(TypedDict):
    """The answer as a message of the conversation, and the turn's outcome."""

    messages: list[AnyMessage]
    turn: Turn


@dataclass(frozen=True)
class Finalize:
    """Close the turn. The message keeps the id it streamed under, or LangGraph would send it a second time."""

    async def __call__(self, state: Reads, runtime: Runtime[TurnContext]) -> Writes:
        """Say what was cited, how far the answer is grounded, and what could be asked next."""
        draft = state["draft"]
        turn: Turn = {
            "status": draft["outcome"],
            "cited": sorted({citation["index"] for citation in draft["citations"]}),
            "grounding": draft["grounding"],
            "usage": draft["usage"],
            "query": state["query"]["text"],
        }
        if turn["status"] == "completed":
            questions = suggest(state["query"]["text"], state["passages"], turn["cited"])
            if questions:
                emit("suggest", {"questions": questions})
        if not draft["text"]:  # stopped before a word came: nothing that a conversation could go on from
            return {"messages": [], "turn": turn}
        metadata = {key: turn[key] for key in ("status", "cited", "grounding")}
        message = AIMessage(draft["text"], id=draft["message_id"], response_metadata=metadata)
        return {"messages": [message], "turn": turn}

    @staticmethod
    def detail(writes: Writes) -> dict[str, Any]:
        """Which sources were cited, and how far the answer is grounded."""
        return {"cited": writes["turn"]["cited"], "grounding": writes["turn"]["grounding"]}
