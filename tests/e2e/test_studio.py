"""The LangGraph server as `make studio` starts it, beside `citestream serve`: two ways to ask one graph."""

import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient

from graph.build import STEPS
from graph.state.context import TurnContext
from tests.e2e.conftest import ROOT, Process, Serve, answered_by, environment, running
from tests.server.client import parse_frames
from tests.upstream import ANSWER, STANDALONE, Upstream

pytestmark = pytest.mark.timeout(300)

QUESTION = "Where does the fox sleep?"
FOLLOW_UP = "And where was it seen?"
UNANSWERABLE = "What is the capital of France?"
LOG_TAIL_CHARS = 6000
SHARED_EVENTS = {"status", "source", "message", "citation", "suggest"}

Event = tuple[str, Any]


@dataclass
class Heard:
    """What a run in the LangGraph server said, by stream mode."""

    custom: list[Event] = field(default_factory=list)
    tokens: list[dict[str, Any]] = field(default_factory=list)

    @property
    def token_text(self) -> str:
        return "".join(message["content"] for message in self.tokens)


class Studio:
    """A client of the LangGraph server."""

    def __init__(self, client: SyncLangGraphClient, process: Process) -> None:
        self.client = client
        self._process = process

    def ask(self, question: str, thread_id: str | None = None, **context: Any) -> Heard:
        heard = Heard()
        messages: Any = [{"role": "user", "content": question}]
        parts = self.client.runs.stream(
            thread_id,  # type: ignore[arg-type]  # its two overloads take a text or None, not either
            "citestream",
            input={"messages": messages},
            stream_mode=["custom", "messages-tuple"],
            context=context,
        )
        for part in parts:
            if part.event == "error":
                pytest.fail(f"{part.data}\n{self._process.output[-LOG_TAIL_CHARS:]}")
            if part.event == "custom":
                heard.custom.append((part.data["event"], part.data["data"]))
            elif part.event == "messages":
                heard.tokens.append(part.data[0])
        return heard

    def messages(self, thread_id: str) -> list[dict[str, Any]]:
        values = self.client.threads.get_state(thread_id)["values"]
        assert isinstance(values, dict)
        return list(values["messages"])


@dataclass
class Service:
    """A client of `citestream serve`."""

    http: httpx2.Client

    def ask(self, question: str, thread_id: str | None = None) -> list[Event]:
        body = {"question": question} if thread_id is None else {"question": question, "thread_id": thread_id}
        response = self.http.post("/v1/chat/stream", json=body)
        assert response.status_code == 200, response.text
        return [(event.event, event.data) for event in parse_frames(response.text)]


@dataclass
class Conversation:
    """A question and a follow-up, asked both ways in a thread each."""

    model: str
    studio: list[Heard]
    service: list[list[Event]]
    messages: list[dict[str, Any]]
    """The thread in the LangGraph server afterwards."""
    model_calls: int

    @property
    def answers(self) -> list[str]:
        return [of("done", events)[0]["answer"] for events in self.service]


def of(name: str, events: list[Event]) -> list[Any]:
    return [data for event, data in events if event == name]


def comparable(events: list[Event]) -> tuple[str, list[Event]]:
    """The answer's text, and the other events that both servers send, without the time that was taken.

    How the text is cut, and so what stands between its parts, depends on how much of it came at once.
    """
    text, others = "", []
    for event, data in events:
        if event == "message":
            text += data["delta"]
        elif event in SHARED_EVENTS:
            others.append((event, {key: value for key, value in data.items() if key != "ms"}))
        if event == "citation":
            assert data["answer"]["end"] <= len(text)
    return text, others


def studio_command(port: int) -> tuple[list[str | Path], dict[str, str]]:
    """What `make studio` runs, with another port, and such that nothing is written into the repository."""
    recipe = subprocess.run(
        ["make", "--no-print-directory", "-n", "studio"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    words = shlex.split(recipe[recipe.index("LANGGRAPH_CLI") :].replace("\\\n", " "))
    env = dict(word.split("=", 1) for word in words if "=" in word)
    program, *arguments = [word for word in words if "=" not in word]
    assert Path(program).name == "langgraph"
    arguments[arguments.index("--port") + 1] = str(port)
    return [Path(sys.executable).with_name("langgraph"), *arguments, "--config", ROOT / "langgraph.json"], env


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def is_up(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/ok", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.fixture(scope="module", params=["extractive", "say"])
def settings(request: pytest.FixtureRequest, upstream: Upstream) -> Mapping[str, str]:
    return {"model": "extractive"} if request.param == "extractive" else answered_by(upstream, request.param)


@pytest.fixture(scope="module")
def studio(settings: Mapping[str, str], indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command, env = studio_command(port)
    folder = tmp_path_factory.mktemp("studio")
    with ExitStack() as stack:
        process = stack.enter_context(running(command, cwd=folder, env={**environment(indexed, **settings), **env}))
        process.wait_for(lambda _: is_up(address))
        client = stack.enter_context(get_sync_client(url=address, api_key=None))
        yield Studio(client, process)


@pytest.fixture(scope="module")
def service(settings: Mapping[str, str], serve: Serve) -> Iterator[Service]:
    with serve(**settings) as address, httpx2.Client(base_url=address, timeout=60) as http:
        yield Service(http)


@pytest.fixture(scope="module")
def conversation(settings: Mapping[str, str], studio: Studio, service: Service, upstream: Upstream) -> Conversation:
    calls_before = len(upstream.requests)
    thread_id = studio.client.threads.create()["thread_id"]
    heard = [studio.ask(question, thread_id) for question in (QUESTION, FOLLOW_UP)]
    first = service.ask(QUESTION)
    told = [first, service.ask(FOLLOW_UP, of("run", first)[0]["thread_id"])]
    calls = len(upstream.requests) - calls_before
    return Conversation(settings["model"], heard, told, studio.messages(thread_id), calls)


def test_studio_shows_the_four_nodes_in_their_order_and_the_knobs_of_a_turn(studio: Studio) -> None:
    [assistant] = studio.client.assistants.search()
    drawn = studio.client.assistants.get_graph(assistant["assistant_id"])
    schemas = studio.client.assistants.get_schemas(assistant["assistant_id"])

    names = [name for name, *_ in STEPS]
    following = {edge["source"]: edge["target"] for edge in drawn["edges"]}
    assert assistant["graph_id"] == "citestream"
    assert {node["id"] for node in drawn["nodes"]} == {"__start__", *names, "__end__"}
    assert [following[name] for name in ["__start__", *names]] == [*names, "__end__"]
    assert list((schemas["input_schema"] or {})["properties"]) == ["messages"]
    assert list((schemas["context_schema"] or {})["properties"]) == list(TurnContext.model_fields)


def test_a_run_in_studio_says_the_same_as_the_http_server(conversation: Conversation) -> None:
    for heard, told in zip(conversation.studio, conversation.service, strict=True):
        assert comparable(heard.custom) == comparable(told)
        assert {name for name, _ in told} - {name for name, _ in heard.custom} == {"run", "done"}


def test_the_answer_comes_once_as_tokens(conversation: Conversation) -> None:
    for heard, answer in zip(conversation.studio, conversation.answers, strict=True):
        assert answer
        assert heard.token_text == answer
        assert {message["type"] for message in heard.tokens} == {"AIMessageChunk"}
        assert len({message["id"] for message in heard.tokens}) == 1


def test_a_follow_up_goes_on_in_the_thread_and_its_rewrite_is_no_message(conversation: Conversation) -> None:
    first, second = conversation.answers
    assert [(message["type"], message["content"]) for message in conversation.messages] == [
        ("human", QUESTION),
        ("ai", first),
        ("human", FOLLOW_UP),
        ("ai", second),
    ]
    searched_for = of("status", conversation.studio[1].custom)[1]["detail"]["question"]
    if conversation.model == "extractive":
        assert searched_for == f"{FOLLOW_UP} ({QUESTION})"
        assert conversation.model_calls == 0
    else:
        assert searched_for == STANDALONE
        assert first == second == ANSWER
        assert conversation.model_calls == 2 * (1 + 2)
    assert STANDALONE not in json.dumps(conversation.studio[1].tokens)


def test_a_question_that_the_documents_do_not_answer_gets_one_message_that_says_so(
    studio: Studio, service: Service
) -> None:
    heard = studio.ask(UNANSWERABLE)
    told = service.ask(UNANSWERABLE)
    assert comparable(heard.custom) == comparable(told)
    assert of("done", told)[0]["status"] == "abstained"
    assert heard.token_text == of("done", told)[0]["answer"]


def test_a_knob_of_the_run_is_followed(studio: Studio) -> None:
    [found] = of("source", studio.ask(QUESTION, top_k=1).custom)
    assert len(found["sources"]) == 1
