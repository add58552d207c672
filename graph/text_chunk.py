"""A piece of a model's answer that is text and nothing else, as much of it as one read brought."""

from collections.abc import Sequence

from langchain_core.messages import AIMessageChunk
from pydantic import Field


class TextChunk(AIMessageChunk):
    """Its content is the concatenation of `texts`, which are the pieces that the model's server sent."""

    texts: list[str] = Field(default_factory=list)

    @classmethod
    def of(cls, texts: Sequence[str]) -> "TextChunk":
        """A chunk of these pieces, as langchain-openai would give it for their concatenation."""
        return cls(content="".join(texts), texts=list(texts), response_metadata={"model_provider": "openai"})

    def first(self, count: int) -> "TextChunk":
        """The same with the first `count` pieces only."""
        return self.model_copy(update={"content": "".join(self.texts[:count]), "texts": self.texts[:count]})
