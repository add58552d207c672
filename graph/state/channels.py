"""The channels of the graph: what a run reads and writes. Plain data, as the LangGraph server checkpoints it."""

from typing import Annotated, Final, Literal, NotRequired

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from graph.state.evidence import Citation, Grounding, Passage, SearchQuery

NodeName = Literal["condense", "retrieve", "cite_and_generate", "finalize"]
CONDENSE: Final = "condense"
RETRIEVE: Final = "retrieve"
CITE_AND_GENERATE: Final = "cite_and_generate"
FINALIZE: Final = "finalize"

Outcome = Literal["completed", "stopped", "abstained", "incomplete"]


class Usage(TypedDict):
    """Tokens that the answering model counted."""

    input_tokens: int
    output_tokens: int


class Draft(TypedDict):
    """The answer as it came from the model, with what is needed to close the turn."""

    text: str
    message_id: str
    """Id of the streamed message, kept so that the LangGraph server does not send the answer twice."""
    outcome: Outcome
    citations: list[Citation]
    grounding: Grounding
    usage: Usage


class Turn(TypedDict):
    """How the turn ended; the server stores it and sends it in the `done` event."""

    status: Outcome
    cited: list[int]
    grounding: Grounding
    usage: Usage
    query: str


class ChatInput(TypedDict):
    """What a caller sends: the conversation so far, the question last."""

    messages: Annotated[list[AnyMessage], add_messages]


class ChatOutput(ChatInput):
    """What a run leaves behind: the conversation with the answer, and how the turn ended."""

    turn: Turn


class ChatState(ChatInput):
    """Everything that the nodes hand to each other."""

    history: NotRequired[list[AnyMessage]]
    """Earlier turns that a prompt may hold, oldest first."""
    dropped_turns: NotRequired[int]
    """Earlier turns left out because they did not fit the budget."""
    query: NotRequired[SearchQuery]
    passages: NotRequired[list[Passage]]
    answerable: NotRequired[bool]
    """Whether the passages are enough to answer from."""
    draft: NotRequired[Draft]
    turn: NotRequired[Turn]
