"""The upstream of these tests: each question chooses the fault that answers it."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.upstream import Upstream, run_upstream

NONCE = re.compile(r"nonce-\w+")
FOX = "Where does the fox sleep?"


class Requests(list[dict[str, Any]]):
    """The requests of an upstream. One whose question has a planned nonce is answered by the model of that plan."""

    def __init__(self) -> None:
        self.planned: dict[str, str] = {}
        self.embeddings_down = False
        """Whether requests for embeddings find their connection reset."""

    def append(self, body: dict[str, Any]) -> None:
        """Take in a request, before the upstream looks at it."""
        if "input" in body:
            if self.embeddings_down:
                raise ConnectionResetError
        else:
            body["model"] = self.planned.get(nonce_of(body), body["model"])
        super().append(body)


class Faults:
    """An upstream of tests/upstream.py, and what a test asks of it."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.requests = Requests()
        upstream.requests = self.requests
        self._opened = self._finished = self._closed = 0

    def question(self, model: str, text: str = FOX) -> str:
        """A question that this model of tests/upstream.py will answer."""
        nonce = f"nonce-{uuid.uuid4().hex[:12]}"
        self.requests.planned[nonce] = model
        return f"{text} {nonce}"

    def calls(self, question: str) -> list[dict[str, Any]]:
        """The prompts for the answer to a question."""
        nonce = nonce_in(question)
        return [body for body in self.requests if nonce_of(body) == nonce and not is_help(body)]

    def prompts(self) -> list[dict[str, Any]]:
        """All prompts so far."""
        return [body for body in self.requests if "messages" in body]

    def mark(self) -> None:
        """Count from here on."""
        self._opened, self._finished = self.upstream.opened, self.upstream.finished
        self._closed = self.upstream.closed_early

    @property
    def opened(self) -> int:
        return self.upstream.opened - self._opened

    @property
    def finished(self) -> int:
        return self.upstream.finished - self._finished

    @property
    def closed_early(self) -> int:
        return self.upstream.closed_early - self._closed

    @property
    def open(self) -> int:
        return self.upstream.open


@contextmanager
def run_faults() -> Iterator[Faults]:
    """The upstream, until the block ends."""
    with run_upstream() as upstream:
        yield Faults(upstream)


def nonce_in(question: str) -> str:
    return str(NONCE.findall(question)[-1])


def nonce_of(body: dict[str, Any]) -> str:
    """The nonce of the question that a prompt asks."""
    found = NONCE.findall(_last(body))
    return found[-1] if found else ""


def is_help(body: dict[str, Any]) -> bool:
    """Whether a prompt asks for a standalone question or a summary, and not for an answer."""
    return _last(body).endswith(("Standalone question:", "Summary:"))


def is_legal(body: dict[str, Any]) -> bool:
    """Whether a prompt's roles are those of a conversation: one system message at most, then user and assistant."""
    roles = [message["role"] for message in body["messages"]]
    turns = roles[1:] if roles[0] == "system" else roles
    wanted = ["user" if number % 2 == 0 else "assistant" for number in range(len(turns))]
    return turns == wanted and turns[-1] == "user" and all(message["content"] for message in body["messages"])


def _last(body: dict[str, Any]) -> str:
    """The last message of a prompt; nothing for a request that is none."""
    return str(body["messages"][-1]["content"]) if "messages" in body else ""
