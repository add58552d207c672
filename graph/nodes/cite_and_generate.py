"""cite_and_generate: the model's answer streams, and each sentence is bound to the characters that support it."""

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, AnyMessage, HumanMessage
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from graph.citations import CitationParser, Claim, Text
from graph.errors import ModelError, ModelMisbehaved
from graph.events import emit
from graph.extractive import as_evidence
from graph.model_stream import Limits, ModelStream, open_model_stream
from graph.models import is_language_model
from graph.prompts import Prompts
from graph.reasoning import ThinkParser
from graph.settings import Settings
from graph.state.channels import Draft, Outcome, Usage
from graph.state.context import TurnContext
from graph.state.evidence import Citation, Passage, SearchQuery
from graph.terms import terms
from graph.verification import cite, grounding

LABEL = "Writing the answer"
COMPLETE_REASONS = frozenset({"stop", "end_turn", "STOP", "stop_sequence", "eos", "COMPLETE"})


class Statistics(Protocol):
    """What knows how rare words are."""

    def idf(self, collections: Sequence[str], found: Iterable[str]) -> Mapping[str, float]:
        """Inverse document frequency of index terms."""
        ...


class Reads(TypedDict):
    """The evidence and the history."""

    query: SearchQuery
    history: list[AnyMessage]
    passages: list[Passage]
    answerable: bool


class Writes(TypedDict):
    """The answer as it came."""

    draft: Draft


@dataclass(frozen=True)
class CiteAndGenerate:
    """Stream the answer with its citations; where the evidence is too thin, say so without asking the model."""

    model: BaseChatModel
    statistics: Statistics
    prompts: Prompts
    settings: Settings

    async def __call__(self, state: Reads, runtime: Runtime[TurnContext]) -> Writes:
        """Answer. Raises a ModelError when the model fails before it said anything."""
        if self.skips(state):
            return {"draft": self._abstain(state["query"])}
        collections = (runtime.context or TurnContext()).collections
        words = _Words(self.statistics, collections)
        answer = _Answer(state["passages"], words)
        limits = Limits(self.settings.idle_timeout_s, time.monotonic() + self.settings.run_timeout_s)
        async with open_model_stream(self.model, self._messages(state, words), limits) as stream:
            try:
                async for piece in stream:
                    answer.add(piece)
                outcome = _outcome(stream, answer)
            except ModelError:
                if not answer.parser.answer:
                    raise
                outcome = "incomplete"
            answer.flush()
        return {"draft": answer.draft(outcome)}

    @staticmethod
    def skips(state: Reads) -> bool:
        """Whether the model is not asked at all."""
        return not state["answerable"]

    @staticmethod
    def detail(writes: Writes) -> dict[str, Any]:
        """How much was written and cited."""
        draft = writes["draft"]
        return {"outcome": draft["outcome"], "citations": len(draft["citations"])}

    def _messages(self, state: Reads, words: "_Words") -> list[AnyMessage]:
        question = state["query"]["text"]
        if is_language_model(self.model):
            return self.prompts.answer(question, state["passages"], state["history"])
        known = words(term for passage in state["passages"] for term in terms(passage["text"]))
        asked = words(state["query"]["terms"])
        evidence = as_evidence(state["query"], state["passages"], {**known, **asked})
        return [HumanMessage(question, additional_kwargs={"evidence": evidence})]

    def _abstain(self, query: SearchQuery) -> Draft:
        text = self.prompts.abstention(query["text"])
        emit("message", {"delta": text})
        return {
            "text": text,
            "message_id": uuid.uuid4().hex,
            "outcome": "abstained",
            "citations": [],
            "grounding": "none",
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }


@dataclass
class _Words:
    """Rarity of words in the collections of the turn; each is looked up once."""

    statistics: Statistics
    collections: Sequence[str]
    _known: dict[str, float] = field(default_factory=dict)

    def __call__(self, found: Iterable[str]) -> dict[str, float]:
        wanted = set(found)
        new = wanted - self._known.keys()
        if new:
            self._known.update(self.statistics.idf(self.collections, new))
        return {term: self._known[term] for term in wanted}


class _Answer:
    """The answer while it arrives: emits text, reasoning and citations as they become certain."""

    def __init__(self, passages: Sequence[Passage], words: _Words) -> None:
        self.parser = CitationParser(sources=len(passages))
        self.finish_reason: str | None = None
        self._passages = passages
        self._words = words
        self._think = ThinkParser()
        self._claims: list[Claim] = []
        self._citations: list[Citation] = []
        self._message_id = ""
        self._usage: Usage = {"input_tokens": 0, "output_tokens": 0}

    def add(self, piece: AIMessageChunk) -> None:
        self._message_id = self._message_id or piece.id or ""
        self._note(piece)
        reasoning = piece.additional_kwargs.get("reasoning_content")
        if reasoning:
            emit("reasoning", {"delta": reasoning})
        self._take(*self._think.feed(piece.text))

    def flush(self) -> None:
        self._take(*self._think.flush())
        self._show(self.parser.flush())

    def draft(self, outcome: Outcome) -> Draft:
        return {
            "text": self.parser.answer,
            "message_id": self._message_id or uuid.uuid4().hex,
            "outcome": outcome,
            "citations": self._citations,
            "grounding": grounding(self._claims, self._citations),
            "usage": self._usage,
        }

    def _note(self, piece: AIMessageChunk) -> None:
        metadata = piece.response_metadata
        reason = metadata.get("finish_reason") or metadata.get("stop_reason") or metadata.get("done_reason")
        if isinstance(reason, str):
            self.finish_reason = reason
        if piece.usage_metadata:
            self._usage["input_tokens"] += piece.usage_metadata["input_tokens"]
            self._usage["output_tokens"] += piece.usage_metadata["output_tokens"]

    def _take(self, reasoning: str, text: str) -> None:
        if reasoning:
            emit("reasoning", {"delta": reasoning})
        if text:
            self._show(self.parser.feed(text))

    def _show(self, found: Iterable[Text | Claim]) -> None:
        for item in found:
            if isinstance(item, Text):
                emit("message", {"delta": item.delta})
                continue
            self._claims.append(item)
            for citation in cite(item, self._passages, self._words):
                self._citations.append(citation)
                emit("citation", citation)


def _outcome(stream: ModelStream, answer: _Answer) -> Outcome:
    """How the answer ended. Raises ModelMisbehaved when the model ended without a word."""
    if stream.stopped:
        return "stopped"
    if not answer.parser.answer.strip() and answer.finish_reason not in COMPLETE_REASONS:
        raise ModelMisbehaved("the model's server ended without an answer. Try again.")
    return "completed" if answer.finish_reason in COMPLETE_REASONS else "incomplete"
