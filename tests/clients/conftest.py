"""Clients of other people against the command itself, through a proxy that breaks their connections."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import sync_playwright

from tests.acceptance.recorder import ACCEPTANCE
from tests.clients.proxy import Cut, Proxy, Request, run_proxy
from tests.clients.readers import (
    CHROMIUM,
    CLIENTS,
    NODE_PACKAGES,
    Ask,
    Event,
    Heard,
    Listening,
    Open,
    install_packages,
    open_in_chromium,
    open_in_node,
)
from tests.clients.service import Service
from tests.e2e.browser import ARGUMENTS
from tests.e2e.browser import CHROMIUM as BINARY
from tests.e2e.conftest import answered_by, environment, indexed  # noqa: F401  # a fixture
from tests.services import need
from tests.upstream import Upstream, run_upstream

QUIET_S = 15 if ACCEPTANCE else 4
"""How long nobody may ask again after the end. A client that wants to does so after 1 s."""
WAIT_S = 60
GRACE_S = 30
"""How long a run goes on without a reader: a busy machine may take its time to come back."""
QUESTION = "猫每天睡多久？"


@dataclass(frozen=True)
class Outcome:
    """What one question came to."""

    heard: Heard
    requests: Sequence[Request]
    cuts_left: Sequence[Cut]
    calls: int
    """Of the model."""
    record: Mapping[str, Any]
    replay: Sequence[Event]
    """The run's events as the service tells them afterwards."""

    @property
    def resumed_after(self) -> list[int]:
        """The number of each request's Last-Event-ID; 0 without one."""
        return [int((request.last_event_id or ":0").rpartition(":")[2]) for request in self.requests]

    @property
    def statuses(self) -> list[int | None]:
        return [request.status for request in self.requests]


class Stage:
    """A service, the proxy before it, the model behind it, and the clients that are there."""

    def __init__(
        self,
        service: Service,
        proxy: Proxy,
        upstream: Upstream,
        clients: Mapping[str, Open],
        missing: Mapping[str, str],
    ) -> None:
        self.service = service
        self.proxy = proxy
        self.clients = clients
        self._upstream = upstream
        self._missing = missing

    def need(self, client: str) -> None:
        """Skip the test, or fail it, where a client is not there."""
        need(client in self.clients, self._missing.get(client, ""))

    def ask(self, *cuts: Cut) -> Ask:
        """A new question, whose connections will break like this."""
        run_id = uuid.uuid4().hex
        self.proxy.plan(run_id, cuts)
        return Ask(run_id, f"{QUESTION} ({run_id})")

    def frames(self) -> list[bytes]:
        """The frames of a run that nothing happens to."""
        response = httpx2.post(
            f"{self.service.address}/v1/chat/stream", json=self.ask()._asdict(), timeout=WAIT_S
        ).raise_for_status()
        return [frame + b"\n\n" for frame in response.content.split(b"\n\n")[:-1]]

    def calls(self, ask: Ask) -> int:
        """How often the model was called for this question."""
        return sum(ask.run_id in json.dumps(body) for body in self._upstream.requests)

    def outcome(self, listening: Listening, ask: Ask) -> Outcome:
        """What the question came to by now. It has to have ended."""
        return Outcome(
            heard=listening.heard(ask.run_id),
            requests=self.proxy.requests_of(ask.run_id),
            cuts_left=self.proxy.uncut(ask.run_id),
            calls=self.calls(ask),
            record=self.service.get(f"/v1/runs/{ask.run_id}"),
            replay=self._replay(ask),
        )

    def _replay(self, ask: Ask) -> list[Event]:
        headers = {"accept": "application/x-ndjson"}
        response = httpx2.get(f"{self.service.address}/v1/runs/{ask.run_id}/events", headers=headers)
        lines = response.raise_for_status().content.splitlines()
        # The data as it was sent, not as a parser here would write it again.
        return [
            Event(
                id=(told := json.loads(line))["id"],
                name=told["event"],
                data=line.decode().partition(',"data":')[2].removesuffix("}"),
            )
            for line in lines
        ]


Asked = Mapping[tuple[str, str], tuple[Listening, Ask]]
"""Who listens to which question, by client and case."""
Outcomes = Mapping[tuple[str, str], Outcome]


@contextmanager
def ask_everywhere(stage: Stage, clients: Iterable[str], cases: Mapping[str, Sequence[Cut]]) -> Iterator[Asked]:
    """Every client asks once for each case, whose connections break like that."""
    asked: dict[tuple[str, str], tuple[Listening, Ask]] = {}
    with ExitStack() as stack:
        for client in clients:
            asks = {case: stage.ask(*cuts) for case, cuts in cases.items()}
            listening = stack.enter_context(stage.clients[client](stage.proxy.address, list(asks.values())))
            asked |= {(client, case): (listening, ask) for case, ask in asks.items()}
        yield asked


def wait_for_all(asked: Asked, condition: Callable[[Listening, Ask], bool], case: str | None = None) -> None:
    """Wait until it holds for every client, of one case or of all."""
    for (_, of_case), (listening, ask) in asked.items():
        if case in (None, of_case):
            wait_until(partial(condition, listening, ask))


def listen_to_the_end(stage: Stage, asked: Asked) -> Outcomes:
    """What they all came to, long after the end."""
    wait_for_all(asked, lambda listening, ask: listening.heard(ask.run_id).closed)
    refused = [
        request for _, ask in asked.values() for request in stage.proxy.requests_of(ask.run_id) if request.refusal
    ]
    assert refused == []
    time.sleep(QUIET_S)
    return {place: stage.outcome(listening, ask) for place, (listening, ask) in asked.items()}


def wait_until(condition: Callable[[], Any], wait_s: float = WAIT_S) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with run_upstream() as server:
        yield server


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Why the packages of npm are not there; nothing when they are."""
    try:
        install_packages(tmp_path_factory.getbasetemp().parent / "npm.lock")
    except ConnectionError as exc:
        return f"the npm registry ({exc})"
    return ""


OpenStage = Callable[..., Any]


@pytest.fixture(scope="module")
def open_stage(
    indexed: Path,  # noqa: F811
    upstream: Upstream,
    packages: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> OpenStage:
    """Start a service that a model of tests/upstream.py answers in, with some settings changed."""

    @contextmanager
    def start(model: str, **settings: object) -> Iterator[Stage]:
        folder = tmp_path_factory.mktemp("clients")
        chosen = {**answered_by(upstream, model), "disconnect_grace_s": GRACE_S, **settings}
        with ExitStack() as stack:
            clients: dict[str, Open] = {}
            missing: dict[str, str] = {}
            if packages:
                missing |= dict.fromkeys(NODE_PACKAGES, packages)
            else:
                clients |= {name: partial(open_in_node, name, folder) for name in NODE_PACKAGES}
            if BINARY.exists():
                playwright = stack.enter_context(sync_playwright())
                browser = playwright.chromium.launch(executable_path=BINARY, args=ARGUMENTS)
                stack.callback(browser.close)
                clients[CHROMIUM] = partial(open_in_chromium, browser)
            else:
                missing[CHROMIUM] = str(BINARY)
            service = Service(folder, environment(indexed, **chosen))
            stack.callback(service.end)
            service.start()
            proxy = stack.enter_context(run_proxy())
            proxy.aim(service.address)
            yield Stage(service, proxy, upstream, clients, missing)

    return start


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)
