"""A piece of a model's answer that is text and nothing else, as much of it as one read brought."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar

from langchain_core.messages import AIMessageChunk
from pydantic import Field

text_taker: ContextVar[Callable[[Sequence[str]], bool] | None] = ContextVar("text_taker", default=None)
"""Takes plain text past LangChain, which makes two models of each piece, reports it, and keeps it until the end.

A model that knows of it hands over all but the first of its text, and ends when it is answered False. None where
somebody may want to see the pieces: the LangGraph server, a tracer.
"""


class TextChunk(AIMessageChunk):
    """Its content is the concatenation of `texts`, which are the pieces that the model's server sent."""

    texts: list[str] = Field(default_factory=list)

    @classmethod
    def of(cls, texts: Sequence[str]) -> "TextChunk":
        """A chunk of these pieces, as langchain-openai would give it for their concatenation."""
        return cls(content="".join(texts), texts=list(texts), response_metadata={"model_provider": "openai"})
