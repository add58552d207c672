"""What a failing, silent or endless model costs: one typed error, or an answer that is kept as incomplete."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from graph.errors import CitestreamError, ModelError, ModelTimeout
from tests.graph.asking import Run, ask, openai, until
from tests.graph.conftest import OpenWith
from tests.upstream import ANSWER, SECRET, Upstream

PATIENCE_S = 0.5
ROOM_S = 1.5
"""What a busy machine may add to a limit."""


@pytest.fixture(params=["fast", "library"])
def openai_client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("model", ["hanghead", "hang:0", "comment", "empty"])
async def test_a_model_that_never_begins_is_given_up_after_the_time_for_the_first_content(
    open_with: OpenWith, upstream: Upstream, model: str
) -> None:
    async with open_with(**openai(upstream, model, first_content_timeout_s=PATIENCE_S)) as resources:
        started = time.monotonic()
        with pytest.raises(ModelTimeout, match="FIRST_CONTENT"):
            await ask(resources)
        assert PATIENCE_S <= time.monotonic() - started < PATIENCE_S + ROOM_S
        await until(lambda: upstream.open == 0, 1)
    assert (len(upstream.requests), upstream.closed_early) == (1, 1)


@pytest.mark.parametrize("model", ["hang:3", "comment:3", "empty:3"])
async def test_a_model_that_falls_silent_is_given_up_after_the_time_between_two_pieces(
    open_with: OpenWith, upstream: Upstream, model: str
) -> None:
    async with open_with(**openai(upstream, model, idle_timeout_s=PATIENCE_S)) as resources:
        started = time.monotonic()
        run = await ask(resources)
        assert PATIENCE_S <= time.monotonic() - started < PATIENCE_S + ROOM_S
        await until(lambda: upstream.open == 0, 1)
    assert run.status == "incomplete"
    assert run.answer == "The fox sleeps"
    assert (len(upstream.requests), upstream.closed_early) == (1, 1)


async def test_the_first_word_may_take_longer_than_the_next_one(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "late:0.6", idle_timeout_s=0.2)) as resources:
        assert (await ask(resources)).status == "completed"


async def test_thoughts_are_signs_of_life(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "reasoning", first_content_timeout_s=5)) as resources:
        run = await ask(resources)
    assert (run.status, len(run.of("reasoning"))) == ("completed", 3)


async def test_an_endless_answer_ends_with_the_time_of_the_run(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "endless:0.01")) as resources:
        started = time.monotonic()
        run = await ask(resources, within_s=2 * PATIENCE_S)  # the search counts as well
        assert time.monotonic() - started < 2 * PATIENCE_S + ROOM_S
        await until(lambda: upstream.open == 0, 1)
    assert run.status == "incomplete"
    assert run.answer.startswith("word0 word1")


async def test_without_a_server_the_time_of_the_run_counts_from_the_call_of_the_model(
    open_with: OpenWith, upstream: Upstream
) -> None:
    async with open_with(**openai(upstream, "endless:0.01", run_timeout_s=PATIENCE_S)) as resources:
        assert (await ask(resources)).status == "incomplete"


async def test_a_silent_model_ends_with_the_time_of_the_run(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "hang:0")) as resources:
        with pytest.raises(ModelTimeout, match="RUN_TIMEOUT"):
            await ask(resources, within_s=PATIENCE_S)


async def test_a_run_without_time_left_does_not_call_the_model(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "say")) as resources:
        with pytest.raises(CitestreamError):
            await ask(resources, within_s=-1)
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("model", "answer"),
    [("endless", "".join(f"word{number} " for number in range(50))), ("big:100:100", "x" * 16 * 50)],
)
async def test_a_server_that_ignores_the_limit_of_output_is_cut_off(
    open_with: OpenWith, upstream: Upstream, model: str, answer: str
) -> None:
    async with open_with(**openai(upstream, model, max_output_tokens=50)) as resources:
        run = await ask(resources)
        await until(lambda: upstream.open == 0, 1)
    assert run.status == "incomplete"
    assert run.answer == answer


@pytest.mark.parametrize("model", ["slow:50:0", "big:50:16", "big:300:1"])
async def test_an_answer_within_the_limit_of_output_is_never_cut(
    open_with: OpenWith, upstream: Upstream, model: str
) -> None:
    async with open_with(**openai(upstream, model, max_output_tokens=50)) as resources:
        assert (await ask(resources)).status == "completed"


async def test_a_piece_that_is_longer_than_a_whole_answer_may_be_is_not_shown(
    open_with: OpenWith, upstream: Upstream
) -> None:
    async with open_with(**openai(upstream, "big:3:100000")) as resources:
        with pytest.raises(ModelError, match="MAX_OUTPUT_TOKENS"):
            await ask(resources)
    assert len(upstream.requests) == 1


async def test_thoughts_count_as_output(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "reasoning", max_output_tokens=2)) as resources:
        with pytest.raises(ModelError, match="MAX_OUTPUT_TOKENS"):
            await ask(resources)


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("status:400", "model_refused"),
        ("status:401", "model_refused"),
        ("status:403", "model_refused"),
        ("status:404", "model_refused"),
        ("status:413", "model_refused"),
        ("status:422", "model_refused"),
        ("nofinish:0", "model_misbehaved"),
        ("slow:0:0", "model_misbehaved"),
        ("length:0", "model_misbehaved"),
        ("contentfilter:0", "model_refused"),
        ("toolcalls:0", "model_misbehaved"),
        ("error:0", "model_misbehaved"),
        ("garbage:0", "model_misbehaved"),
        ("badutf8:0", "model_misbehaved"),
    ],
)
async def test_a_model_that_ends_before_its_first_word_gives_one_typed_error_and_is_called_once(
    open_with: OpenWith, upstream: Upstream, model: str, code: str
) -> None:
    run = Run()
    async with open_with(**openai(upstream, model)) as resources:
        with pytest.raises(ModelError) as caught:
            await ask(resources, run=run)
    assert caught.value.code == code
    assert run.answer == ""
    assert SECRET not in f"{caught.value.message}{run.events}"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("ending", ["drop", "nofinish", "length", "contentfilter", "toolcalls", "error", "garbage"])
@pytest.mark.parametrize("words", [3, 9])
async def test_an_answer_that_breaks_off_is_kept_as_incomplete_with_its_citations(
    open_with: OpenWith, upstream: Upstream, ending: str, words: int
) -> None:
    async with open_with(**openai(upstream, f"{ending}:{words}")) as resources:
        run = await ask(resources)
    assert run.status == "incomplete"
    assert run.answer == " ".join(ANSWER.split(" ")[:words])
    assert run.output["messages"][-1].text == run.answer
    assert len(run.of("citation")) == (1 if words == 9 else 0)
    assert run.output["turn"]["cited"] == [citation["index"] for citation in run.of("citation")]
    assert SECRET not in str(run.events)
    assert len(upstream.requests) == 1


async def test_broken_characters_end_an_answer_as_incomplete(open_with: OpenWith, upstream: Upstream) -> None:
    async with open_with(**openai(upstream, "badutf8:3")) as resources:
        assert (await ask(resources)).status == "incomplete"


async def test_a_closed_port_is_said_to_be_unavailable(open_with: OpenWith) -> None:
    changed = {"model": "openai:x", "openai_base_url": "http://127.0.0.1:9/v1"}
    async with open_with(**changed) as resources:
        with pytest.raises(CitestreamError) as caught:
            await ask(resources)
    assert caught.value.code == "model_unavailable"


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port that takes no more connections: the queue of its listener is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.socket()))
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(8):
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


async def test_a_host_that_does_not_answer_at_all_is_said_to_be_unavailable_after_five_seconds(
    open_with: OpenWith, full_port: int
) -> None:
    changed = {"model": "openai:x", "openai_base_url": f"http://127.0.0.1:{full_port}/v1"}
    async with open_with(**changed) as resources:
        started = time.monotonic()
        with pytest.raises(CitestreamError) as caught:
            await ask(resources)
    assert caught.value.code == "model_unavailable"
    assert 4 < time.monotonic() - started < 8
