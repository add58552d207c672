"""The conductor: takes a run from its first event to its terminal one, whatever happens on the way."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any

import orjson
import structlog
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.graph.state import CompiledStateGraph
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from graph.errors import CitestreamError
from graph.events import read_emitted, run_deadline, stop_event
from graph.settings import Settings
from graph.state.context import TurnContext
from server.errors import DatabaseUnavailable, ServerRestart
from server.eventlog import EventsUnavailable, LogEnded, LogGone
from server.events import Failure
from server.history import to_messages
from server.metrics import CANCEL_SECONDS, ENDED_RUNS, LEAKED_RUNS, UNSAVED_TURNS
from server.record import Record
from server.run import Run, failure_of
from server.sse import encode_json
from server.stores import Stores
from server.threads import Place

log = structlog.get_logger(__name__)

STOP_PATIENCE_S = 2.0
"""How long the graph may take to end by itself once it was asked to stop."""
DEADLINE_SLACK_S = 1.0
"""How long after its deadline the graph may take to notice it by itself."""
CANCEL_INTERVAL_S = 0.05
"""A single cancel can get lost between LangGraph's tasks, so it is repeated until the task has ended."""
CANCEL_PATIENCE_S = 5.0
"""A task that does not end for so long is given up: the run ends without it, and an operator is told."""
SAVE_PATIENCE_S = 4.0
"""How long the end of a turn waits for a database that does not answer. A try may take some seconds itself."""
WAIT_INTERVAL_S = 0.2
"""How often to look whether a turn that another process is answering has ended."""

Graph = CompiledStateGraph[Any, TurnContext, Any, Any]


class Conductor:
    """Conducts runs of one process. `find_run` knows the ones that are active here."""

    def __init__(self, graph: Graph, stores: Stores, settings: Settings, find_run: Callable[[str], Run | None]) -> None:
        self.unsaved: dict[str, Record] = {}
        """Ended turns that the database did not take, by run id."""
        self._graph = graph
        self._threads = stores.threads
        self._histories = stores.histories
        self._log = stores.event_log
        self._worker = stores.workers.id
        self._settings = settings
        self._find_run = find_run
        self._leaked: set[asyncio.Task[None]] = set()

    async def conduct(self, run: Run) -> None:
        """From the first event to the terminal one. Stopping a run does not cancel this."""
        failure: Failure | None = None
        try:
            await self._append(run, "run", run.record.run_event())
            if await self._comes(run):
                failure = await self._supervise(run)
        except LogEnded:
            failure = failure_of(ServerRestart())
        except CitestreamError as exc:
            failure = failure_of(exc)
        await self._close(run, failure)

    async def save_again(self) -> None:
        """Store the ended turns that the database did not take before. Raises DatabaseUnavailable."""
        for run_id, record in list(self.unsaved.items()):
            await self._threads.end_turn(record, self._worker)
            self._forget_unsaved(run_id)

    async def _comes(self, run: Run) -> bool:
        """Wait until the turns before it in its thread have ended; False when it was stopped meanwhile."""
        if run.place is None or run.record.thread_id is None or run.ask.thread_id is None:
            return True  # nothing stands before it
        while not run.stopping.is_set():
            before, run.thread_version = await self._threads.before(run.record.thread_id, run.place)
            if not before:
                return True
            here = [other.ended for run_id in before if (other := self._find_run(run_id)) is not None]
            waits = [asyncio.create_task(event.wait()) for event in (run.stopping, *here)]
            try:
                # Those of other processes cannot call, so they are asked.
                timeout = None if len(here) == len(before) else WAIT_INTERVAL_S
                await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        return False

    async def _supervise(self, run: Run) -> Failure | None:
        """Run the graph in a task of its own, and end that task when the run is stopped or its time is up."""
        deadline = time.monotonic() + self._settings.run_timeout_s
        work = asyncio.create_task(self._consume(run, deadline))
        stopping = asyncio.create_task(run.stopping.wait())
        try:
            left = deadline + DEADLINE_SLACK_S - time.monotonic()
            await asyncio.wait({work, stopping}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                run.stop("timeout")
                await self._end(run, work)
        finally:
            stopping.cancel()
            work.cancel()
        if not work.done() or work.cancelled() or (error := work.exception()) is None:
            return None
        if isinstance(error, LogEnded):
            raise error
        return failure_of(error)

    async def _end(self, run: Run, work: "asyncio.Task[None]") -> None:
        """Wait for the graph of a stopped run, then cancel it again and again, then give it up."""
        asked = time.monotonic()
        await asyncio.wait({work}, timeout=STOP_PATIENCE_S)
        while not work.done() and time.monotonic() - asked < STOP_PATIENCE_S + CANCEL_PATIENCE_S:
            work.cancel()
            await asyncio.wait({work}, timeout=CANCEL_INTERVAL_S)
        CANCEL_SECONDS.observe(time.monotonic() - asked)
        if work.done():
            return
        log.error("run_leaked", run_id=run.record.run_id, after_s=round(time.monotonic() - asked, 1))
        LEAKED_RUNS.inc()
        self._leaked.add(work)
        work.add_done_callback(self._leak_ended)

    def _leak_ended(self, work: "asyncio.Task[None]") -> None:
        self._leaked.discard(work)
        LEAKED_RUNS.dec()
        if not work.cancelled():
            work.exception()

    async def _consume(self, run: Run, deadline: float) -> None:
        """Iterate over the graph's events to the end, logging those that are for clients."""
        stop_event.set(run.stopping)
        run_deadline.set(deadline)
        events = read_emitted(self._graph, await self._messages(run), run.ask.context())
        async with aclosing(events) as stream:
            async for event in stream:
                if event["event"] == "on_custom_event":
                    await self._relay(run, event["name"], event["data"])
                elif event["event"] == "on_chain_end":
                    self._take_turn(run, event["data"]["output"].get("turn"))

    def _take_turn(self, run: Run, turn: Mapping[str, Any] | None) -> None:
        run.turn = turn
        if turn is not None:
            run.record.query = turn.get("query")

    async def _messages(self, run: Run) -> list[AnyMessage]:
        """The conversation so far and the question."""
        messages: list[AnyMessage] = []
        if run.ask.history is not None:
            roles = {"user": HumanMessage, "assistant": AIMessage}
            messages = [roles[message.role](message.content) for message in run.ask.history]
        elif run.place is not None and run.ask.thread_id is not None:
            history = await self._histories.at(run.ask.thread_id, run.thread_version)
            messages = to_messages(history, run.place.history_end)
        return [*messages, HumanMessage(run.ask.question)]

    async def _relay(self, run: Run, event: str, data: Mapping[str, Any]) -> None:
        """Log a node's event, unless it says nothing."""
        if data.get("delta") == "":
            return
        if event == "message" and run.first_text_at is None:
            run.first_text_at = time.monotonic()
        await self._append(run, event, data)

    async def _append(self, run: Run, event: str, data: Mapping[str, Any]) -> None:
        line = encode_json(data)
        await self._log.append(run.record.run_id, event, line)
        run.record.add(event, orjson.loads(line))

    async def _close(self, run: Run, failure: Failure | None) -> None:
        """Store what became of the turn, then log its terminal event."""
        before = run.record
        event, line = run.conclude(before, failure)
        try:
            if not await self._save(run.record, run.place):
                event, line = run.abandon(before, failure_of(ServerRestart()))
        except DatabaseUnavailable as exc:
            event, line = run.conclude(before, failure_of(exc))
            self.unsaved[before.run_id] = run.record
            UNSAVED_TURNS.set(len(self.unsaved))
        # Where another process has ended the log, or nobody can reach it, the stored turn is what counts.
        with suppress(LogEnded, LogGone, EventsUnavailable):
            await self._log.append(before.run_id, event, line, last=True)
        ENDED_RUNS.labels(run.record.status).inc()
        log.info("run_ended", status=run.record.status, stop_reason=run.stop_reason, **run.timings())

    async def _save(self, record: Record, place: Place | None) -> bool:
        """Store the end of a turn; False when this process does not own it any more."""
        if record.thread_id is None or place is None:
            return True
        tries = AsyncRetrying(
            retry=retry_if_exception_type(DatabaseUnavailable),
            stop=stop_after_delay(SAVE_PATIENCE_S),
            wait=wait_fixed(0.5),
            reraise=True,
        )
        version: int | None = await tries(self._threads.end_turn, record, self._worker)
        if version is None:
            return False
        await self._histories.add(record, place, version)
        return True

    def _forget_unsaved(self, run_id: str) -> None:
        del self.unsaved[run_id]
        UNSAVED_TURNS.set(len(self.unsaved))
