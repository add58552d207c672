import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from graph.errors import ModelError
from tests.graph.asking import openai
from tests.graph.conftest import OpenWith
from tests.upstream import ANSWER, Upstream

HISTORY = [SystemMessage("it was about cats"), HumanMessage("And dogs?"), AIMessage("They sleep less.")]


async def test_a_model_sums_up_a_history_with_the_summary_before_it(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "say")) as resources:
        assert resources.summarizer is not None
        assert await resources.summarizer(HISTORY) == ANSWER
    asked = upstream.requests[-1]["messages"][-1]["content"]
    assert "Earlier in this conversation: it was about cats\nUser: And dogs?\nAssistant: They sleep less." in asked


@pytest.mark.parametrize("fault", ["drop:3", "nofinish", "status:500", "length"])
async def test_a_summary_that_is_not_whole_is_none(open_with: OpenWith, upstream: Upstream, fault: str) -> None:
    async with open_with(**openai(upstream, fault)) as resources:
        assert resources.summarizer is not None
        with pytest.raises(ModelError):
            await resources.summarizer(HISTORY)


async def test_without_a_language_model_nothing_is_summed_up(open_with: OpenWith) -> None:
    async with open_with() as resources:
        assert resources.summarizer is None
