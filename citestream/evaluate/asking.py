"""Asking a question of the real graph, in this process or over HTTP, and all that is known of the answer."""

import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from citestream.evaluate.questions import Said
from graph.build import build_graph
from graph.errors import SettingsError
from graph.events import read_emitted
from graph.resources import Resources
from graph.state.context import TurnContext
from graph.state.evidence import Citation

TIMEOUT_S = 180.0


@dataclass(frozen=True)
class Ranked:
    """A passage as it was shown: where it stands, and its text."""

    id: str
    source: str
    score: float
    start: int
    end: int
    text: str


@dataclass
class Answered:
    """What came of a question."""

    ranked: list[Ranked] = field(default_factory=list)
    query: str = ""
    answer: str = ""
    status: str = ""
    citations: list[Citation] = field(default_factory=list)
    confidence: float | None = None
    """How likely the passages were taken to hold the answer; None where nothing was searched for."""
    ms: float = 0.0


@dataclass(frozen=True)
class Choice:
    """How every question is asked."""

    collections: tuple[str, ...]
    top_k: int | None = None


class Asker(Protocol):
    """Asks one question after the other."""

    async def ask(self, history: Sequence[Said], question: str, choice: Choice) -> Answered:
        """The answer. Raises CitestreamError."""
        ...


class InProcess:
    """Runs the graph as the server does."""

    def __init__(self, resources: Resources) -> None:
        self._graph = build_graph(resources)
        self._library = resources.library

    async def ask(self, history: Sequence[Said], question: str, choice: Choice) -> Answered:
        """The answer. Raises CitestreamError."""
        roles = {"user": HumanMessage, "assistant": AIMessage}
        messages: list[AnyMessage] = [roles[said.role](said.text) for said in history]
        context = TurnContext(collections=list(choice.collections), top_k=choice.top_k)
        answered = Answered()
        began = time.perf_counter()
        stream = read_emitted(self._graph, [*messages, HumanMessage(question)], context)
        async with aclosing(stream) as events:
            async for event in events:
                if event["event"] == "on_custom_event":
                    _take(answered, event["name"], event["data"])
                elif event["event"] == "on_chain_end":
                    answered.status = event["data"]["output"]["turn"]["status"]
        answered.ms = 1000 * (time.perf_counter() - began)
        texts = self._library.passages([passage.id for passage in answered.ranked])
        answered.ranked = [_with_text(passage, texts.get(passage.id, passage.text)) for passage in answered.ranked]
        return answered


class OverHttp:
    """Asks a running server: stateless calls, the passages out of the runs' records."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def ask(self, history: Sequence[Said], question: str, choice: Choice) -> Answered:
        """The answer. Raises SettingsError."""
        body: dict[str, Any] = {
            "question": question,
            "history": [{"role": said.role, "content": said.text} for said in history],
            "collections": list(choice.collections),
        }
        if choice.top_k is not None:
            body["top_k"] = choice.top_k
        began = time.perf_counter()
        answer = await self._call("POST", "/v1/chat", body)
        ms = 1000 * (time.perf_counter() - began)
        record = await self._call("GET", f"/v1/runs/{answer['run_id']}")
        answered = Answered(answer=answer["answer"], status=answer["status"], citations=answer["citations"], ms=ms)
        for status in record["statuses"]:
            _take(answered, "status", status)
        answered.ranked = [_ranked(passage) for passage in record["passages"]]
        return answered

    async def _call(self, method: str, path: str, body: object = None) -> Any:
        try:
            response = await self._client.request(method, path, json=body)
            found = response.json()
        except (httpx2.HTTPError, ValueError) as exc:
            raise SettingsError(
                f"{self._client.base_url} does not answer ({type(exc).__name__}). Is it running?"
            ) from exc
        if response.status_code != 200:
            raise SettingsError(f"{self._client.base_url} refuses a question: {found['error']['message']}")
        return found


def open_client(url: str) -> httpx2.AsyncClient:
    """A client for the server at `url`."""
    return httpx2.AsyncClient(base_url=url, timeout=TIMEOUT_S)


def _take(answered: Answered, event: str, data: Any) -> None:
    match event:
        case "source":
            answered.ranked = [_ranked(source) for source in data["sources"]]
        case "message":
            answered.answer += data["delta"]
        case "citation":
            answered.citations.append(data)
        case "status":
            detail = data.get("detail") or {}
            answered.query = detail.get("question", answered.query)
            answered.confidence = detail.get("confidence", answered.confidence)


def _ranked(source: Any) -> Ranked:
    place = source["metadata"]
    return Ranked(source["id"], place["source"], source["score"], place["start"], place["end"], source["text"])


def _with_text(passage: Ranked, text: str) -> Ranked:
    return Ranked(passage.id, passage.source, passage.score, passage.start, passage.end, text)
