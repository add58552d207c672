"""The stores that runs work with, opened together: the database and what lies beside the event log."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from graph.settings import Settings
from server.bus import Bus, open_bus
from server.database import open_database
from server.eventlog import EventLog, open_event_log
from server.history import Histories
from server.shelf import open_shelf
from server.summaries import Summaries, Summarize
from server.threads import Threads
from server.workers import Workers


@dataclass(frozen=True)
class Stores:
    """What outlives a run, and what the server processes tell each other."""

    threads: Threads
    histories: Histories
    summaries: Summaries
    event_log: EventLog
    bus: Bus
    workers: Workers


@asynccontextmanager
async def open_stores(settings: Settings, summarize: Summarize | None) -> AsyncGenerator[Stores]:
    """The stores that the settings name. Raises SettingsError and DatabaseNewer."""
    events_url = settings.events_url.get_secret_value()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        threads = Threads(database)
        yield Stores(
            threads,
            Histories(threads, await stack.enter_async_context(open_shelf(events_url))),
            Summaries(threads, summarize, settings.history_budget_tokens),
            await stack.enter_async_context(open_event_log(events_url)),
            await stack.enter_async_context(open_bus(events_url)),
            Workers(database),
        )
