"""A registry of runs without HTTP, for tests."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from graph.settings import Settings
from server.bus import Bus, NoBus
from server.database import open_database
from server.eventlog import EventLog
from server.eventlog.memory import MemoryEventLog
from server.history import Histories, Shelf
from server.runs import Runs, open_runs
from server.shelf import NoShelf
from server.stores import Stores
from server.summaries import Summaries, Summarize
from server.threads import Threads
from server.workers import Workers
from tests.fakes import Answerer


@asynccontextmanager
async def open_registry(
    settings: Settings,
    answerer: Answerer | None = None,
    event_log: EventLog | None = None,
    bus: Bus | None = None,
    shelf: Shelf | None = None,
    summarize: Summarize | None = None,
) -> AsyncIterator[Runs]:
    """The registry of one process on the database of the settings."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        graph: Any = (answerer or Answerer()).build()
        threads = Threads(database)
        stores = Stores(
            threads,
            Histories(threads, shelf or NoShelf()),
            Summaries(threads, summarize, settings.history_budget_tokens),
            event_log or MemoryEventLog(),
            bus or NoBus(),
            Workers(database),
        )
        yield await stack.enter_async_context(open_runs(graph, "fake", stores, settings))


async def read(runs: Runs, run_id: str, after: int = 0) -> list[str]:
    """The names of a run's events."""
    reader = runs.read(run_id, after)
    names = [entry.event async for entry in reader]
    reader.leave()
    return names
