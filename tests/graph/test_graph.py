"""The whole graph over a real index, with the built-in answerer and with a real OpenAI-compatible server."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from pydantic import SecretStr

from graph.build import build_graph
from graph.errors import CitestreamError, ModelError, SettingsError
from graph.events import stop_event
from graph.library import Library
from graph.models import open_chat_model
from graph.resources import Resources
from graph.retrieval.embeddings import MiniLM
from graph.settings import Settings
from graph.state.context import TurnContext
from tests.graph.conftest import OpenWith
from tests.upstream import ANSWER, SECRET, STANDALONE, Upstream, run_upstream

STEPS = [
    ("condense", "start"), ("condense", "end"), ("retrieve", "start"), ("retrieve", "end"),
    ("cite_and_generate", "start"), ("cite_and_generate", "end"), ("finalize", "start"), ("finalize", "end"),
]  # fmt: skip
FOX = "Where does the fox sleep?"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with run_upstream() as running:
        yield running


class Run:
    """What a run said, and its final state."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.output: dict[str, Any] = {}

    def of(self, name: str) -> list[Any]:
        return [data for event, data in self.events if event == name]

    @property
    def answer(self) -> str:
        return "".join(data["delta"] for data in self.of("message"))


async def ask(resources: Resources, question: str = FOX, history: Sequence[AnyMessage] = (), **context: Any) -> Run:
    run = Run()
    stream = build_graph(resources).astream_events(
        {"messages": [*history, HumanMessage(question)]},
        version="v2",
        stream_mode=["custom"],
        context=TurnContext(**context),
    )
    async with aclosing(stream) as events:
        async for event in events:
            if event["parent_ids"]:
                continue
            if event["event"] == "on_chain_stream":
                _, payload = event["data"]["chunk"]
                run.events.append((payload["event"], payload["data"]))
            elif event["event"] == "on_chain_end":
                run.output = event["data"]["output"]
    return run


async def test_a_question_is_answered_with_sources_first_and_every_sentence_cited(open_with: OpenWith) -> None:
    async with open_with() as resources:
        run = await ask(resources)
        names = [name for name, _ in run.events]
        assert names.index("source") < names.index("message")
        assert [(s["node"], s["state"]) for s in run.of("status")] == STEPS
        assert run.answer.startswith("The fox sleeps in a den. [1]")
        assert run.output["messages"][-1].text == run.answer
        assert run.output["turn"]["status"] == "completed"
        assert run.output["turn"]["grounding"] == "full"
        texts = {document.id: resources.library.text(document.id) for document in resources.library.documents()}
        for citation in run.of("citation"):
            document = texts[citation["source_id"].split(".")[0]]
            assert document[citation["span"]["start"] : citation["span"]["end"]] == citation["quote"]
            assert citation["verified"] == "exact"


async def test_what_the_documents_do_not_hold_is_not_answered(open_with: OpenWith) -> None:
    async with open_with() as resources:
        run = await ask(resources, "What is the capital of France?")
        states = [(s["node"], s["state"]) for s in run.of("status")]
        assert states == [*STEPS[:4], ("cite_and_generate", "skip"), *STEPS[6:]]
        assert run.output["turn"]["status"] == "abstained"
        assert run.answer == resources.prompts.abstain_en
        assert run.of("citation") == []


async def test_the_abstention_speaks_the_language_of_the_question(open_with: OpenWith) -> None:
    async with open_with() as resources:
        run = await ask(resources, "火星上的水有多少升？")
        assert run.answer == resources.prompts.abstain_zh


async def test_a_follow_up_is_understood_from_its_history(open_with: OpenWith) -> None:
    async with open_with() as resources:
        history = [HumanMessage("Tell me about SQLite backups"), AIMessage("Backups are easy [1].")]
        run = await ask(resources, "And may it be copied?", history)
        assert run.of("source")[0]["sources"][0]["metadata"]["source"] == "sqlite.txt"


async def test_only_as_many_passages_as_asked_for_are_shown(open_with: OpenWith) -> None:
    async with open_with() as resources:
        assert len((await ask(resources, top_k=1)).of("source")[0]["sources"]) == 1


async def test_a_small_context_budget_takes_fewer_passages(open_with: OpenWith) -> None:
    async with open_with(context_budget_tokens=500, max_output_tokens=400) as resources:
        assert len((await ask(resources)).of("source")[0]["sources"]) == 1


def openai(upstream: Upstream, model: str, **more: Any) -> dict[str, Any]:
    return {"model": f"openai:{model}", "openai_base_url": upstream.base_url, "openai_api_key": SecretStr("k"), **more}


async def test_a_language_model_is_given_fenced_passages_and_its_markers_become_citations(
    open_with: OpenWith, upstream: Upstream
) -> None:
    async with open_with(**openai(upstream, "say")) as resources:
        run = await ask(resources)
    assert run.answer == ANSWER
    assert [c["verified"] for c in run.of("citation")] == ["exact", "unsupported"]
    assert run.output["turn"]["usage"] == {"input_tokens": 11, "output_tokens": 13}
    prompt = upstream.requests[0]["messages"][-1]["content"]
    assert '<passage n="1" from="foxes — Animals">' in prompt
    assert "near Oxford \\[12]" in prompt
    assert len(upstream.requests) == 1


async def test_a_follow_up_is_rewritten_by_the_model_and_the_rewrite_is_not_shown(
    open_with: OpenWith, upstream: Upstream
) -> None:
    async with open_with(**openai(upstream, "say")) as resources:
        run = await ask(resources, "And where?", [HumanMessage("Does the fox sleep?"), AIMessage("Yes [1].")])
    assert len(upstream.requests) == 2
    assert run.of("status")[1]["detail"]["question"] == STANDALONE
    assert run.answer == ANSWER


@pytest.mark.parametrize("model", ["think", "reasoning"])
async def test_what_a_model_thinks_is_not_part_of_the_answer(
    open_with: OpenWith, upstream: Upstream, model: str
) -> None:
    async with open_with(**openai(upstream, model)) as resources:
        run = await ask(resources)
    assert run.answer.strip() == ANSWER
    assert "".join(data["delta"] for data in run.of("reasoning")).strip() in ("Let me see.", "I think so.")


@pytest.mark.parametrize(
    ("model", "code", "calls"),
    [
        ("status:401", "model_refused", 1),
        ("status:400", "model_refused", 1),
        ("status:404", "model_refused", 1),
        ("status:429", "model_rate_limited", 3),
        ("status:500", "model_unavailable", 3),
        ("drop:0", "model_unavailable", None),
        ("hang:0", "model_timeout", 1),
    ],
)
async def test_a_model_that_fails_before_its_first_word_gives_a_typed_error_without_the_provider_s_text(
    open_with: OpenWith, upstream: Upstream, model: str, code: str, calls: int | None
) -> None:
    patience_s = 0.5 if model.startswith("hang") else 20
    async with open_with(**openai(upstream, model, idle_timeout_s=patience_s)) as resources:
        with pytest.raises(ModelError) as caught:
            await ask(resources)
    assert caught.value.code == code
    assert SECRET not in caught.value.message
    assert calls is None or len(upstream.requests) == calls


@pytest.mark.parametrize("model", ["drop:3", "nofinish", "length", "error", "garbage", "hang:3"])
async def test_an_answer_that_breaks_off_is_kept_as_incomplete(
    open_with: OpenWith, upstream: Upstream, model: str
) -> None:
    async with open_with(**openai(upstream, model, idle_timeout_s=0.5)) as resources:
        run = await ask(resources)
    assert run.output["turn"]["status"] == "incomplete"
    assert run.answer
    assert ANSWER.startswith(run.answer)
    assert len(upstream.requests) == 1


async def test_a_model_that_cannot_be_reached_is_said_so(open_with: OpenWith) -> None:
    changed = {"model": "openai:x", "openai_base_url": "http://127.0.0.1:9/v1"}
    async with open_with(**changed) as resources:
        with pytest.raises(CitestreamError) as caught:
            await ask(resources)
    assert caught.value.code == "model_unavailable"


async def test_stop_ends_the_model_s_stream_and_keeps_what_was_said(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "slow:500:0.01")) as resources:
        stop = asyncio.Event()
        stop_event.set(stop)
        asking = asyncio.create_task(ask(resources))
        while upstream.words_sent < 5:  # noqa: ASYNC110  # another thread counts
            await asyncio.sleep(0.01)
        stop.set()
        stopped_at = time.monotonic()
        run = await asking
        assert time.monotonic() - stopped_at < 0.5
        while upstream.open:
            await asyncio.sleep(0.01)
            assert time.monotonic() - stopped_at < 1
    assert run.output["turn"]["status"] == "stopped"
    assert run.answer.startswith("word0 word1")
    assert run.output["messages"][-1].text == run.answer
    assert upstream.closed_early == 1


async def test_status_ends_also_when_a_node_fails(open_with: OpenWith, upstream: Upstream) -> None:
    seen: list[Any] = []

    async def listen(resources: Resources) -> None:
        question: Any = {"messages": [HumanMessage(FOX)]}
        async for _, payload in build_graph(resources).astream(question, stream_mode=["custom"], context=TurnContext()):
            seen.append(payload["data"])

    async with open_with(**openai(upstream, "status:401")) as resources:
        with pytest.raises(ModelError):
            await listen(resources)
    assert (seen[-1]["node"], seen[-1]["state"], seen[-1]["detail"]) == ("cite_and_generate", "end", {"failed": True})


@pytest.mark.parametrize("model", ["openai:gpt", "nobody:knows", "nonsense"])
def test_a_model_that_cannot_be_made_is_refused_at_the_start(model: str) -> None:
    with pytest.raises(SettingsError, match="CITESTREAM_MODEL"):
        open_chat_model(Settings.load(model=model), MiniLM())


async def test_nodes_get_only_what_they_read(open_with: OpenWith) -> None:
    async with open_with() as resources:
        graph = build_graph(resources)
        assert set(graph.get_input_jsonschema()["properties"]) == {"messages"}
        assert list(graph.nodes) == ["__start__", "condense", "retrieve", "cite_and_generate", "finalize"]
        assert isinstance(resources.library, Library)
