"""A summary of turns that are too old to stay in a prompt as they were, written by the language model."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage

from graph.errors import ModelMisbehaved
from graph.model_stream import Limits, Piece, open_model_stream
from graph.prompts import Prompts

TIMEOUT_S = 30.0
MAX_CHARS = 2_000


@dataclass(frozen=True)
class Summarizer:
    """Sums up conversations. Nobody waits for it: a turn that is answered meanwhile does without."""

    model: BaseChatModel
    prompts: Prompts
    max_output_tokens: int

    async def __call__(self, history: Sequence[AnyMessage]) -> str:
        """A summary of the history, which may begin with the summary of what was before. Raises a ModelError."""
        until = time.monotonic() + TIMEOUT_S
        limits = Limits(TIMEOUT_S, TIMEOUT_S, until, self.max_output_tokens, tries=1)
        pieces: list[Piece] = []
        async with open_model_stream(self.model, self.prompts.summary(history), limits, pieces.append) as stream:
            await stream.end()
        text = "".join(piece.text for piece in pieces)
        summary = text.rpartition("</think>")[2].strip()[:MAX_CHARS]
        if not (summary and stream.complete):
            raise ModelMisbehaved("the model did not sum up the conversation.")
        return summary
