"""The whole graph over a real index, with the built-in answerer and with a real OpenAI-compatible server."""

from dataclasses import replace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from graph.build import build_graph
from graph.errors import ModelError, SettingsError
from graph.library import Library
from graph.models import open_chat_model
from graph.resources import Resources
from graph.retrieval.embeddings import MiniLM
from graph.retrieval.hybrid import Found
from graph.retrieval.writer import open_writer
from graph.settings import Settings
from graph.state.context import TurnContext
from tests.graph.asking import FOX, ask, openai
from tests.graph.conftest import OpenWith, version
from tests.upstream import ANSWER, STANDALONE, Upstream

STEPS = [
    ("condense", "start"), ("condense", "end"), ("retrieve", "start"), ("retrieve", "end"),
    ("cite_and_generate", "start"), ("cite_and_generate", "end"), ("finalize", "start"), ("finalize", "end"),
]  # fmt: skip


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


@pytest.mark.parametrize("code", ["zebra --quick --daemon /var/lib/zebra\nzebra --status", "zebra -q"])
async def test_a_block_of_code_is_proved_like_the_sentence_that_leads_to_it(
    index: Settings, open_with: OpenWith, code: str
) -> None:
    block = f"```sh\n{code}\n```"
    with open_writer(index) as writer:
        writer.begin("default", chunker="test/1")
        writer.put(version("zebra.md", f"To start the zebra daemon in quick mode, use this command:\n\n{block}\n"))
        writer.publish()
    async with open_with() as resources:
        run = await ask(resources, "How do I start the zebra daemon in quick mode?")
        assert run.answer.startswith(f"To start the zebra daemon in quick mode, use this command: [1]\n\n{block}")
        assert run.output["turn"]["grounding"] == "full"
        found = [citation for citation in run.of("citation") if citation["origin"] == "found"]
        assert [(c["verified"], code in c["quote"]) for c in found] == [("exact", True)]
        assert run.answer[found[0]["answer"]["start"] : found[0]["answer"]["end"]] == block


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


@pytest.mark.parametrize(("said", "text"), [("Hi there!", "greeting_en"), ("谢谢", "thanks_zh")])
async def test_small_talk_gets_a_friendly_line_and_searches_for_nothing(
    open_with: OpenWith, upstream: Upstream, said: str, text: str
) -> None:
    async with open_with(**openai(upstream, "say")) as resources:
        run = await ask(resources, said, [HumanMessage("Does the fox sleep?"), AIMessage("Yes [1].")])
        assert run.answer == getattr(resources.prompts, text)
    states = [(s["node"], s["state"]) for s in run.of("status")]
    assert states == [*STEPS[:2], ("retrieve", "skip"), ("cite_and_generate", "skip"), *STEPS[6:]]
    assert run.of("source") == [{"sources": []}]
    assert run.output["turn"]["status"] == "abstained"
    assert upstream.requests == []


async def test_a_greeting_is_no_part_of_what_a_question_means(open_with: OpenWith) -> None:
    async with open_with() as resources:
        greeted = await ask(resources, FOX, [HumanMessage("Hello!"), AIMessage("Hello! Ask me something.")])
        assert greeted.of("source") == (await ask(resources)).of("source")
        assert greeted.detail("condense")["question"] == FOX


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


@pytest.mark.parametrize(
    ("model", "budget", "least", "most"), [("extractive", 6000, 0, 0), ("say", 6000, 400, 400), ("say", 1500, 1, 399)]
)
async def test_a_language_model_gets_passages_with_their_surroundings_as_far_as_its_context_goes(
    open_with: OpenWith, upstream: Upstream, model: str, budget: int, least: int, most: int
) -> None:
    settings = {} if model == "extractive" else openai(upstream, model)
    async with open_with(context_budget_tokens=budget, **settings) as resources:
        rooms: list[int] = []
        search = resources.retriever.search

        class Searcher:
            def search(self, *arguments: Any, room_tokens: int, **more: Any) -> Found:
                rooms.append(room_tokens)
                return search(*arguments, room_tokens=room_tokens, **more)

            idf = staticmethod(resources.retriever.idf)

        await ask(replace(resources, retriever=Searcher()))
    assert least <= rooms[0] <= most


async def test_what_a_model_says_without_a_marker_gets_a_citation_where_a_passage_supports_it(
    open_with: OpenWith, upstream: Upstream
) -> None:
    said = "The fox sleeps in a den. Elephants never forget a friend. Yes."
    async with open_with(**openai(upstream, f"text:{said}")) as resources:
        run = await ask(resources)
    [citation] = run.of("citation")
    assert run.answer == said
    assert (citation["origin"], citation["verified"]) == ("found", "exact")
    assert citation["quote"] == "The fox sleeps in a den."
    assert said[citation["answer"]["start"] : citation["answer"]["end"]] == citation["quote"]
    assert run.output["turn"]["cited"] == [citation["index"]]
    assert run.output["turn"]["grounding"] == "partial"


async def test_markers_of_other_habits_become_ours(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(
        **openai(upstream, "text:The fox sleeps in a den【1†source】. It was seen (Source 1).")
    ) as resources:
        run = await ask(resources)
    assert run.answer == "The fox sleeps in a den[1]. It was seen [1]."
    assert {citation["origin"] for citation in run.of("citation")} == {"claimed"}


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


async def test_custom_events_and_the_custom_stream_tell_the_same(open_with: OpenWith) -> None:
    """What the server reads, and what the LangGraph server shows."""
    async with open_with() as resources:
        run = await ask(resources, FOX)
        question: Any = {"messages": [HumanMessage(FOX)]}
        stream = build_graph(resources).astream(question, stream_mode=["custom"], context=TurnContext())
        told = [(payload["event"], payload["data"]) async for _, payload in stream]
    assert {event for event, _ in told} >= {"status", "source", "message", "citation"}
    assert [_timeless(*item) for item in run.events] == [_timeless(*item) for item in told]


def _timeless(event: str, data: Any) -> tuple[str, Any]:
    return event, {key: value for key, value in data.items() if key != "ms"}


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
