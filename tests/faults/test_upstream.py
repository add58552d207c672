"""Whatever the model's server does, a run has one typed end in bounded time, and its text reaches nobody."""

import asyncio
import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.recorder import Measured, bar, many
from tests.e2e.conftest import COMMAND, DOCUMENTS, START_S, environment, write_documents
from tests.faults.client import ask, call, get, request
from tests.faults.conftest import Start
from tests.faults.faults import FOX, Faults
from tests.faults.processes import Server, server_on
from tests.upstream import ANSWER, SECRET

LIMIT_S = 2
"""First content and idle time that the server is given here."""


@dataclass(frozen=True)
class Case:
    """A fault, and what has to become of it."""

    model: str
    event: str
    outcome: str
    """Status of `done`, or code of `failed`."""
    calls: int = 1
    within_s: float = 10
    answer: str | None = None


HELD = LIMIT_S + 1
CASES = {
    "F15": [
        Case("flaky:429:2", "done", "completed", calls=3, answer=ANSWER),
        Case("flaky:503:1", "done", "completed", calls=2, answer=ANSWER),
        Case("status:500", "failed", "model_unavailable", calls=3),
        Case("status:429", "failed", "model_rate_limited", calls=3),
        Case("status:401", "failed", "model_refused"),
        Case("status:400", "failed", "model_refused"),
    ],
    "F16": [
        Case("retryafter:30", "failed", "model_rate_limited"),
        Case("retryafter:3600", "failed", "model_rate_limited"),
    ],
    "F17": [
        Case("hanghead", "failed", "model_timeout", within_s=HELD),
        Case("hang", "failed", "model_timeout", within_s=HELD),
        Case("hang:3", "done", "incomplete", within_s=HELD, answer="The fox sleeps"),
        Case("comment", "failed", "model_timeout", within_s=HELD),
        Case("comment:3", "done", "incomplete", within_s=HELD, answer="The fox sleeps"),
        Case("empty:3", "done", "incomplete", within_s=HELD, answer="The fox sleeps"),
        Case("endless:0.01", "done", "incomplete", within_s=20),
    ],
    "F20": [
        Case("length", "done", "incomplete", answer=ANSWER),
        Case("length:0", "failed", "model_misbehaved"),
        Case("contentfilter:3", "done", "incomplete", answer="The fox sleeps"),
        Case("contentfilter:0", "failed", "model_refused"),
        Case("toolcalls:3", "done", "incomplete", answer="The fox sleeps"),
        Case("toolcalls:0", "failed", "model_misbehaved"),
        Case("nofinish", "done", "incomplete", answer=ANSWER),
    ],
    "F21": [
        Case("garbage:3", "done", "incomplete", answer="The fox sleeps"),
        Case("garbage:0", "failed", "model_misbehaved"),
        Case("badutf8:3", "done", "incomplete", answer="The fox sleeps"),
        Case("badutf8:0", "failed", "model_misbehaved"),
        Case("error:3", "done", "incomplete", answer="The fox sleeps"),
        Case("error:0", "failed", "model_misbehaved", calls=3),
        Case("drop:3", "done", "incomplete", answer="The fox sleeps"),
        Case("drop", "failed", "model_unavailable", calls=3),
    ],
}


@pytest.fixture(scope="module", params=["fast", "library"])
def server(request: pytest.FixtureRequest, start: Start) -> Iterator[Server]:
    """A server for each way of reading the model."""
    limits = {"first_content_timeout_s": LIMIT_S, "idle_timeout_s": LIMIT_S, "max_output_tokens": 200}
    with start(**limits, openai_client=request.param) as running:
        yield running


@pytest.mark.parametrize("fault", CASES)
async def test_every_fault_of_the_model_has_one_typed_end(
    server: Server, faults: Faults, measured: Measured, fault: str
) -> None:
    """F15, F16, F17, F20, F21: each way in which a model's server can fail."""
    cases = CASES[fault] * many(1, 10)
    measured.count = len(cases)
    logged = len(server.log)
    # A few at a time: their bars are about the server, not about the machine.
    at_once = asyncio.Semaphore(8)

    async def one(case: Case) -> tuple[float, int]:
        async with at_once:
            return await _check_case(case, server, faults)

    found = await asyncio.gather(*map(one, cases))
    measured.note(slowest_s=max(seconds for seconds, _ in found), most_calls=max(calls for _, calls in found))
    assert SECRET not in server.log[logged:]
    assert "SECRETKEY" not in server.log[logged:]
    server.wait_until(lambda: faults.open == 0 and not server.active(), 5)


async def _check_case(case: Case, server: Server, faults: Faults) -> tuple[float, int]:
    # `flaky` counts by its name, so each gets a name of its own.
    flaky = case.model.startswith("flaky:")
    question = faults.question(f"{case.model}:{uuid.uuid4().hex}" if flaky else case.model)
    stream = await ask(server.address, question)
    began = time.monotonic()
    await stream.until("source")
    searched = time.monotonic()
    end = await stream.to_end()
    seconds = time.monotonic() - searched
    assert end.event == case.event, (case, end)
    assert end.data["status" if case.event == "done" else "code"] == case.outcome, (case, end)
    assert seconds < (case.within_s if case.within_s == 10 else case.within_s + bar(0.5)), (case, seconds, began)
    assert len(faults.calls(question)) <= case.calls, case
    if case.outcome == "completed":
        assert len(faults.calls(question)) == case.calls, case
    if case.answer is not None:
        assert end.data["answer"] == stream.text == case.answer, (case, end)
    record = await get(server.address, f"/v1/runs/{stream.run_id}")
    thread = await get(server.address, f"/v1/threads/{stream.thread_id}")
    assert record["status"] == thread["turns"][0]["status"] == end.data.get("status", "failed")
    for shown in (stream.raw.decode(), json.dumps(record), json.dumps(thread)):
        assert "SECRETKEY" not in shown
        assert "upstream says" not in shown
        assert "broke:" not in shown
    return seconds, len(faults.calls(question))


async def test_an_answer_at_once_fails_with_a_status(server: Server, faults: Faults, measured: Measured) -> None:
    """F15: the non-streaming call when the model's server fails."""
    wanted = {"status:500": (503, "model_unavailable"), "status:401": (502, "model_refused")}
    measured.count = len(wanted)
    for model, (status, code) in wanted.items():
        response = await request(server.address, "POST", "/v1/chat", {"question": faults.question(model)})
        raw = await response.body()
        assert (response.status, json.loads(raw)["error"]["code"]) == (status, code)
        assert b"SECRETKEY" not in raw
        assert ("retry-after" in response.headers) == (status == 503)


@pytest.fixture
def embedded(faults: Faults, tmp_path: Path) -> Iterator[Server]:
    """A server whose embedding is the upstream's."""
    settings = {
        "model": "openai:say",
        "embedding": "openai:hash-8",
        "openai_base_url": faults.upstream.base_url,
        "openai_api_key": "none",
    }
    write_documents(tmp_path / "documents", DOCUMENTS)
    env = environment(tmp_path / "data", **settings)
    subprocess.run([COMMAND, "ingest", "documents"], cwd=tmp_path, env=env, check=True, timeout=START_S)
    with server_on(tmp_path / "data", tmp_path, env) as running:
        yield running


async def test_embeddings_that_are_down_fail_the_run_before_the_model_is_asked(
    embedded: Server, faults: Faults, measured: Measured
) -> None:
    """F23: the server of the embedding is down, then up again."""
    measured.count = many(3, 30)
    await (await ask(embedded.address, FOX)).to_end()
    faults.requests.embeddings_down = True
    slowest = 0.0
    for _ in range(measured.count):
        question = faults.question("say")
        began = time.monotonic()
        stream = await ask(embedded.address, question)
        failed = await stream.to_end()
        slowest = max(slowest, time.monotonic() - began)
        assert failed.event == "failed", failed
        assert failed.data["code"] == "index_unusable", failed
        assert faults.calls(question) == []
    assert slowest <= bar(5)
    faults.requests.embeddings_down = False
    stream = await ask(embedded.address, faults.question("say"))
    assert (await stream.to_end()).data["status"] == "completed"
    measured.note(slowest_s=slowest)
    status, _ = await call(embedded.address, "GET", "/readyz")
    assert status == 200
