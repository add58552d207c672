"""What a client may ask: the body of the chat routes, and the same as query parameters."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Json, StringConstraints, model_validator

from graph.library import FILTER_KEYS
from graph.limits import DEFAULT_COLLECTION, MAX_NAME_CHARS, MAX_QUESTION_CHARS
from graph.state.context import TurnContext

MAX_HISTORY_MESSAGES = 200
MAX_HISTORY_CHARS = 32_000
MAX_COLLECTIONS = 20

OnDisconnect = Literal["cancel", "continue"]


def storable(text: str) -> str:
    """Refuse the one character that not every database takes; pydantic refuses halves of surrogate pairs itself."""
    if "\x00" in text:
        raise ValueError("must not hold the character NUL")
    return text


def _filterable(key: str) -> str:
    if key not in FILTER_KEYS:
        raise ValueError(f"can filter by {', '.join(FILTER_KEYS)}")
    return key


Question = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUESTION_CHARS),
    AfterValidator(storable),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_CHARS), AfterValidator(storable)]
RunId = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{8,64}$")]
FilterKey = Annotated[Name, AfterValidator(_filterable)]
FilterValues = Annotated[list[Name], Field(min_length=1, max_length=100)]
Filter = Annotated[dict[FilterKey, Name | FilterValues], Field(max_length=len(FILTER_KEYS))]


class HistoryMessage(BaseModel):
    """One message of a conversation that the caller keeps."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "assistant"]
    content: Annotated[str, StringConstraints(max_length=MAX_HISTORY_CHARS), AfterValidator(storable)]


History = Annotated[list[HistoryMessage], Field(max_length=MAX_HISTORY_MESSAGES)]


class Ask(BaseModel):
    """A question and how to answer it. `query` and `session_id` are taken for `question` and `thread_id`."""

    model_config = ConfigDict(extra="forbid")

    question: Question = Field(description="What to answer from the documents.")
    thread_id: Name | None = Field(default=None, description="Conversation to go on with; a new one without it.")
    run_id: RunId | None = Field(
        default=None, description="Made by the client, to find this run again and never start it twice."
    )
    replace: Name | None = Field(
        default=None,
        description="Message id of an answer of the thread: ask in its place. It leaves, with all after it.",
    )
    history: History | None = Field(
        default=None, description="Earlier messages of a conversation that is not to be stored here."
    )
    collections: list[Name] = Field(
        default=[DEFAULT_COLLECTION], min_length=1, max_length=MAX_COLLECTIONS, description="What to search."
    )
    top_k: int | None = Field(default=None, ge=1, le=20, description="Passages given to the model.")
    filter: Filter = Field(
        default={}, description="Document metadata that a passage must have: key -> value or values."
    )
    on_disconnect: OnDisconnect = Field(
        default="cancel", description="Whether the run ends or goes on after its last reader left."
    )

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        renamed = dict(data)
        for other, name in (("query", "question"), ("session_id", "thread_id")):
            if other in renamed and name not in renamed:
                renamed[name] = renamed.pop(other)
        return renamed

    @model_validator(mode="after")
    def _one_history(self) -> "Ask":
        if self.history is not None and self.thread_id is not None:
            raise ValueError("history and thread_id exclude each other: a thread has its own history")
        if self.replace is not None and self.thread_id is None:
            raise ValueError("replace needs the thread_id of the conversation that has the message")
        return self

    @property
    def stateless(self) -> bool:
        """Whether the caller keeps the conversation: no thread and no turn are stored."""
        return self.history is not None

    def context(self) -> TurnContext:
        """The knobs of this turn, for the graph."""
        values = self.filter.items()
        return TurnContext(collections=list(dict.fromkeys(self.collections)), top_k=self.top_k, filter=dict(values))


class AskQuery(Ask):
    """The same in a URL, for EventSource: `history` and `filter` as JSON, `collections` repeated."""

    history: Json[History] | None = Field(default=None, description="The history as a JSON array.")
    filter: Json[Filter] = Field(default={}, description="The filter as a JSON object.")
    last_event_id: str | None = Field(default=None, description="Like the header Last-Event-ID.")

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, data: Any) -> Any:
        """FastAPI takes a JSON array in a URL for a repeated parameter, and hands over a list of one text."""
        match data:
            case {"history": [str(text)]}:
                return {**data, "history": text}
        return data
