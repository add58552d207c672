"""Further tries: only before the first word, only where they can help, and never for long."""

import time

import httpx2
import pytest
from langchain_openai.chat_models.base import OpenAIRateLimitError

from graph.errors import ModelError, ModelRateLimited
from graph.models import provider_errors
from tests.graph.asking import ask, openai
from tests.graph.conftest import OpenWith
from tests.upstream import ANSWER, SECRET, Upstream


@pytest.fixture(params=["fast", "library"])
def openai_client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("model", ["flaky:429:2", "flaky:500:1", "flaky:503:2"])
async def test_a_model_that_fails_at_first_is_called_again(open_with: OpenWith, upstream: Upstream, model: str) -> None:
    async with open_with(**openai(upstream, model)) as resources:
        run = await ask(resources)
    assert (run.status, run.answer) == ("completed", ANSWER)
    assert run.output["turn"]["usage"]["output_tokens"] == 13
    assert len(upstream.requests) == int(model[-1]) + 1


@pytest.mark.parametrize(
    ("model", "code"),
    [("status:429", "model_rate_limited"), ("status:503", "model_unavailable"), ("drop:0", "model_unavailable")],
)
async def test_a_model_that_goes_on_failing_is_called_three_times(
    open_with: OpenWith, upstream: Upstream, model: str, code: str
) -> None:
    async with open_with(**openai(upstream, model)) as resources:
        with pytest.raises(ModelError) as caught:
            await ask(resources)
    assert caught.value.code == code
    assert SECRET not in caught.value.message
    assert len(upstream.requests) == 3


@pytest.mark.parametrize(("asked_s", "told_s"), [(30, 30), (3600, 60)])
async def test_a_provider_that_asks_for_a_long_wait_is_not_called_again(
    open_with: OpenWith, upstream: Upstream, asked_s: int, told_s: int
) -> None:
    async with open_with(**openai(upstream, f"retryafter:{asked_s}")) as resources:
        started = time.monotonic()
        with pytest.raises(ModelRateLimited) as caught:
            await ask(resources)
    assert time.monotonic() - started < 5
    assert caught.value.retry_after_s == told_s
    assert len(upstream.requests) == 1


async def test_a_short_wait_that_a_provider_asks_for_is_kept(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "retryafter:1")) as resources:
        started = time.monotonic()
        with pytest.raises(ModelRateLimited):
            await ask(resources)
    assert 2 <= time.monotonic() - started < 6
    assert len(upstream.requests) == 3


async def test_the_time_for_the_first_content_includes_further_tries(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "retryafter:2", first_content_timeout_s=1.5)) as resources:
        with pytest.raises(ModelRateLimited):
            await ask(resources)
    assert len(upstream.requests) == 1


async def test_the_time_of_the_run_includes_further_tries(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "retryafter:2")) as resources:
        with pytest.raises(ModelRateLimited):
            await ask(resources, within_s=1.5)
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1.5", 1.5),
        ("-3", 0),
        ("inf", 60),
        ("nan", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 60),
        (None, None),
    ],
)
def test_what_a_provider_says_about_waiting_is_read_as_seconds(header: str | None, seconds: float | None) -> None:
    request = httpx2.Request("POST", "http://127.0.0.1/v1")
    response = httpx2.Response(429, headers={"retry-after": header} if header else {}, request=request)
    with pytest.raises(ModelRateLimited) as caught, provider_errors():
        raise OpenAIRateLimitError("slow down", response=response, body=None)
    assert caught.value.retry_after_s == seconds
