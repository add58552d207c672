"""What the app opened at its start, and how a route gets at it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Protocol, TypeVar

import anyio
from fastapi import Depends
from starlette.requests import Request

from graph.library import Library
from server.eventlog import EventLog
from server.runs import Runs
from server.summaries import Summarize
from server.threads import Threads
from server.uploads import Uploads

LIBRARY_THREADS = 8

T = TypeVar("T")


class Backend(Protocol):
    """What the server itself uses of `graph.resources.Resources`."""

    @property
    def summarizer(self) -> Summarize | None:
        """What sums up turns that have become too old, where there is a language model."""

    @property
    def library(self) -> Library:
        """The documents."""

    @property
    def model_name(self) -> str:
        """Who answers, as clients see it."""

    def is_searchable(self, collections: Sequence[str]) -> bool:
        """Whether it is certain, without a look into a file, that the library has these and something in it."""


@dataclass(frozen=True)
class AppState:
    """Everything a route works with; opened and closed by the app's lifespan."""

    backend: Backend
    threads: Threads
    event_log: EventLog
    runs: Runs
    uploads: Uploads
    library_threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(LIBRARY_THREADS))

    async def in_library(self, look: Callable[[Library], T]) -> T:
        """Look something up in the library, whose calls block, on a thread."""
        return await anyio.to_thread.run_sync(look, self.backend.library, limiter=self.library_threads)


async def state_of(request: Request) -> AppState:
    """The state of the app that serves this request. FastAPI would ask a function that is not async on a thread."""
    state: AppState = request.app.state.opened
    return state


App = Annotated[AppState, Depends(state_of)]
