"""cite_and_generate: the model's answer streams, and each sentence is bound to the characters that support it."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, HumanMessage
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from graph.citations import CitationParser, Claim, Text
from graph.errors import ModelError, ModelMisbehaved, ModelRefused
from graph.events import emit, stop_event
from graph.extractive import as_evidence
from graph.model_stream import Limits, ModelStream, Piece, open_model_stream
from graph.models import is_language_model
from graph.prompts import Prompts
from graph.reasoning import ThinkParser
from graph.settings import Settings
from graph.state.channels import Draft, Outcome, Usage
from graph.state.context import TurnContext
from graph.state.evidence import Citation, Passage, SearchQuery
from graph.terms import terms
from graph.verification import cite, find_citation, grounding

log = structlog.get_logger(__name__)

LABEL = "Writing the answer"
WITHHELD_REASONS = frozenset({"content_filter", "refusal", "SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "RECITATION"})
LENGTH_REASONS = frozenset({"length", "max_tokens", "MAX_TOKENS"})


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
        """Answer as far as the model gets. Raises a ModelError when it ends before it said anything."""
        stop = stop_event.get()
        if self.skips(state) and not (stop is not None and stop.is_set()):
            return {"draft": self._abstain(state["query"])}
        collections = (runtime.context or TurnContext()).collections
        words = _Words(self.statistics, collections)
        answer = _Answer(state["passages"], words, is_language_model(self.model))
        messages, limits = self._messages(state, words), Limits.of(self.settings)
        async with open_model_stream(self.model, messages, limits, answer.add) as stream:
            try:
                await stream.end()
            except ModelError as exc:
                if not answer.text:
                    raise
                log.warning("answer_broke_off", code=exc.code)
            answer.flush()
        return {"draft": answer.draft(_outcome(stream, answer.text))}

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

    def __init__(self, passages: Sequence[Passage], words: _Words, free: bool) -> None:
        """`free`: a language model writes, in words and with markers of its own; else passages are quoted."""
        self._parser = CitationParser(sources=len(passages), style="any" if free else "plain")
        self._passages = passages
        self._words = words
        self._think = ThinkParser()
        self._claims: list[Claim] = []
        self._citations: list[Citation] = []
        self._message_id = ""
        self._usage: Usage = {"input_tokens": 0, "output_tokens": 0}

    @property
    def text(self) -> str:
        """What was shown, white space alone not counted."""
        return self._parser.answer if self._parser.answer.strip() else ""

    def add(self, piece: Piece) -> None:
        self._message_id = self._message_id or piece.message_id or ""
        if piece.usage:
            self._usage["input_tokens"] += piece.usage["input_tokens"]
            self._usage["output_tokens"] += piece.usage["output_tokens"]
        if piece.reasoning:
            emit("reasoning", {"delta": piece.reasoning})
        self._take(*self._think.feed(piece.text))

    def flush(self) -> None:
        self._take(*self._think.flush())
        self._show(self._parser.flush())

    def draft(self, outcome: Outcome) -> Draft:
        return {
            "text": self._parser.answer,
            "message_id": self._message_id or uuid.uuid4().hex,
            "outcome": outcome,
            "citations": self._citations,
            "grounding": grounding(self._claims, self._citations),
            "usage": self._usage,
        }

    def _take(self, reasoning: str, text: str) -> None:
        if reasoning:
            emit("reasoning", {"delta": reasoning})
        if text:
            self._show(self._parser.feed(text))

    def _show(self, found: Iterable[Text | Claim]) -> None:
        for item in found:
            if isinstance(item, Text):
                emit("message", {"delta": item.delta})
                continue
            self._claims.append(item)
            for citation in self._cite(item):
                self._citations.append(citation)
                emit("citation", citation)

    def _cite(self, claim: Claim) -> list[Citation]:
        if not claim.markers:
            return find_citation(claim, self._passages, self._words)
        return cite(claim, self._passages, self._words)


def _outcome(stream: ModelStream, text: str) -> Outcome:
    """How the answer ended. Without text that was shown, raises the ModelError that fits the model's reason."""
    if stream.stopped:
        return "stopped"
    if text:
        return "completed" if stream.complete else "incomplete"
    if stream.finish_reason in WITHHELD_REASONS:
        raise ModelRefused("the model's provider withheld the answer. Ask in other words.")
    if stream.cut or stream.finish_reason in LENGTH_REASONS:
        raise ModelMisbehaved(
            "the model used up its tokens before it answered. The operator must raise CITESTREAM_MAX_OUTPUT_TOKENS."
        )
    raise ModelMisbehaved("the model's server ended without an answer. Try again.")
