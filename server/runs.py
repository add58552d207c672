"""Runs: a question on its way to an answer, in a task of its own. Connections only read what it logs."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast
from weakref import WeakValueDictionary

import anyio
import orjson
import structlog
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables.schema import StreamEvent
from langgraph.graph.state import CompiledStateGraph
from sqlalchemy.exc import SQLAlchemyError

from graph.events import stop_event
from graph.state.context import TurnContext
from server.ask import Ask
from server.errors import RunConflict, RunNotFound, ShuttingDown, ThreadNotFound
from server.eventlog import EventLog, LogGone
from server.reader import Reader
from server.record import Failure, Record, now
from server.run import Run, failure_of
from server.sse import encode_json
from server.threads import Threads

log = structlog.get_logger(__name__)

STOP_PATIENCE_S = 2.0
"""How long the graph may take to end by itself once it was asked to stop."""
CANCEL_INTERVAL_S = 0.05
"""A single cancel can get lost between LangGraph's tasks, so it is repeated until the task has ended."""
CLIENT_EVENTS = frozenset({"status", "source", "message", "reasoning", "citation", "suggest"})


Graph = CompiledStateGraph[Any, TurnContext, Any, Any]


@dataclass(eq=False)
class _Queue:
    """Runs of one thread wait here, in the order in which they were started."""

    door: anyio.Lock = field(default_factory=anyio.Lock)
    """Held while a turn is stored as running, so that turns are stored in that order too."""
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    """Held until the turn is stored as ended."""


class Runs:
    """Starts runs, finds them again and ends them. Open with `open_runs`."""

    def __init__(
        self,
        graph: Graph,
        model_name: str,
        threads: Threads,
        event_log: EventLog,
        tasks: asyncio.TaskGroup,
        disconnect_grace_s: float,
    ) -> None:
        self.closing = False
        self._graph = graph
        self._model_name = model_name
        self._threads = threads
        self._log = event_log
        self._tasks = tasks
        self._disconnect_grace_s = disconnect_grace_s
        self._active: dict[str, Run] = {}
        self._queues: WeakValueDictionary[str, _Queue] = WeakValueDictionary()
        self._readers = 0

    async def find(self, ask: Ask) -> str | None:
        """The run that this ask already has. Raises RunConflict when its run_id answers another question."""
        if ask.run_id is None:
            return None
        try:
            question = (await self.record(ask.run_id)).question
        except RunNotFound:
            return None
        if question != ask.question:
            raise RunConflict(ask.run_id)
        return ask.run_id

    async def start(self, ask: Ask) -> str:
        """Start a run for an ask that was checked, and return its id. Raises ShuttingDown and RunConflict."""
        if self.closing:
            raise ShuttingDown
        record = Record(
            run_id=ask.run_id or uuid.uuid4().hex,
            thread_id=None if ask.stateless else ask.thread_id or uuid.uuid4().hex,
            message_id=uuid.uuid4().hex,
            question=ask.question,
            created_at=now(),
            model=self._model_name,
        )
        header = {"question": record.question, "created_at": record.created_at.isoformat()}
        if not await self._log.create(record.run_id, header):
            # Another request with this run_id came first.
            return await self.find(ask) or record.run_id
        run = Run(ask, record, self._disconnect_grace_s)
        self._active[record.run_id] = run
        self._tasks.create_task(self._conduct(run), name=f"run {record.run_id}")
        return record.run_id

    def read(self, run_id: str, after: int = 0) -> Reader:
        """A reader of the run's events past `after`. Its maker must call `leave()`."""
        run = self._active.get(run_id)
        if run is not None:
            run.join()
        self._readers += 1
        log.info("stream_opened", run_id=run_id, active=self._readers)

        def on_leave() -> None:
            self._readers -= 1
            log.info("stream_closed", run_id=run_id, active=self._readers)
            if run is not None:
                run.leave()

        return Reader(self._log, run_id, after, on_leave)

    async def record(self, run_id: str) -> Record:
        """What is known of a run now: from its task, its log or its stored turn. Raises RunNotFound."""
        if run_id in self._active:
            return self._active[run_id].record
        stored = await self._threads.turn(run_id) or await self._logged(run_id)
        if stored is None:
            raise RunNotFound(run_id)
        return stored

    async def stop(self, run_id: str) -> Record:
        """Stop a run and wait for its end. One that has ended stays as it is. Raises RunNotFound."""
        run = self._active.get(run_id)
        if run is not None:
            run.stop("asked")
            await run.ended.wait()
            return run.record
        return await self.record(run_id)

    async def erase_thread(self, thread_id: str) -> None:
        """Stop what runs in a thread, then erase it with its events. Raises ThreadNotFound."""
        await self._threads.thread(thread_id)
        while running := [run for run in self._active.values() if run.record.thread_id == thread_id]:
            for run in running:
                run.stop("asked")
            for run in running:
                await run.ended.wait()
        for run_id in await self._threads.delete(thread_id):
            await self._log.drop(run_id)

    async def close(self) -> None:
        """Take no more runs and end the active ones; what they have written is kept."""
        self.closing = True
        running = list(self._active.values())
        for run in running:
            run.stop("shutdown")
        for run in running:
            await run.ended.wait()

    async def _logged(self, run_id: str) -> Record | None:
        """The record of a run without a stored turn, folded from its log."""
        try:
            header = await self._log.header(run_id)
            entries = await self._log.read(run_id, 0)
        except LogGone:
            return None
        begin = orjson.loads(entries[0].data)
        record = Record(
            run_id=run_id,
            thread_id=begin["thread_id"],
            message_id=begin["message_id"],
            question=header["question"],
            created_at=datetime.fromisoformat(header["created_at"]),
            model=begin["model"],
        )
        for entry in entries:
            record.add(entry.event, orjson.loads(entry.data))
        return record

    async def _conduct(self, run: Run) -> None:
        """From the first event to the terminal one. Stopping a run does not cancel this task."""
        structlog.contextvars.bind_contextvars(run_id=run.record.run_id)
        queue = self._queues.setdefault(run.record.thread_id or run.record.run_id, _Queue())
        try:
            async with queue.door:
                failure = await self._open(run)
            async with _turn_in(queue, run) as came:
                if came and failure is None:
                    failure = await self._supervise(run)
                await self._close(run, failure)
        except Exception as exc:  # noqa: BLE001  # the edge of a run: nothing may end the other ones
            failure_of(exc)
            await self._log.drop(run.record.run_id)
        finally:
            del self._active[run.record.run_id]
            run.end()

    async def _open(self, run: Run) -> Failure | None:
        """Store the turn as running, then log the `run` event."""
        failure = None
        try:
            await self._store_begin(run)
        except (SQLAlchemyError, ThreadNotFound) as exc:
            failure = failure_of(exc)
        await self._append(run, "run", run.record.run_event())
        return failure

    async def _supervise(self, run: Run) -> Failure | None:
        """Run the graph in a task of its own, and end that task when the run is stopped."""
        work = asyncio.create_task(self._consume(run))
        stopping = asyncio.create_task(run.stopping.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await asyncio.wait({work}, timeout=STOP_PATIENCE_S)
            while not work.done():
                work.cancel()
                await asyncio.wait({work}, timeout=CANCEL_INTERVAL_S)
        finally:
            stopping.cancel()
            work.cancel()
        if work.cancelled() or (error := work.exception()) is None:
            return None
        return failure_of(error)

    async def _consume(self, run: Run) -> None:
        """Iterate over the graph's events to the end, logging those that are for clients."""
        stop_event.set(run.stopping)
        question = {"messages": await self._messages(run)}
        events = self._graph.astream_events(question, version="v2", stream_mode=["custom"], context=run.ask.context())
        # It is a generator, though declared as an iterator.
        async with aclosing(cast("AsyncGenerator[StreamEvent]", events)) as stream:
            async for event in stream:
                if event["parent_ids"]:
                    continue
                if event["event"] == "on_chain_stream":
                    _, payload = event["data"]["chunk"]
                    await self._relay(run, payload["event"], payload["data"])
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
        elif run.ask.thread_id is not None:
            for question, answer in await self._threads.history(run.ask.thread_id):
                messages += [HumanMessage(question), AIMessage(answer)]
        return [*messages, HumanMessage(run.ask.question)]

    async def _relay(self, run: Run, event: str, data: Mapping[str, Any]) -> None:
        """Log a node's event, unless it says nothing."""
        if event not in CLIENT_EVENTS or data.get("delta") == "":
            return
        if event == "message" and run.first_text_at is None:
            run.first_text_at = time.monotonic()
        await self._append(run, event, data)

    async def _append(self, run: Run, event: str, data: Mapping[str, Any]) -> None:
        line = encode_json(data)
        run.record.add(event, orjson.loads(line))
        await self._log.append(run.record.run_id, event, line)

    async def _close(self, run: Run, failure: Failure | None) -> None:
        """Store what became of the turn, then log its terminal event."""
        before = run.record
        event, line = run.conclude(before, failure)
        try:
            await self._store_end(run.record)
        except SQLAlchemyError as exc:
            event, line = run.conclude(before, failure_of(exc))
        await self._log.append(before.run_id, event, line, last=True)
        log.info("run_ended", status=run.record.status, stop_reason=run.stop_reason, **run.timings())

    async def _store_begin(self, run: Run) -> None:
        if run.record.thread_id is not None:
            await self._threads.begin_turn(run.record, new_thread=run.ask.thread_id is None)

    async def _store_end(self, record: Record) -> None:
        if record.thread_id is not None:
            await self._threads.end_turn(record)


@asynccontextmanager
async def _turn_in(queue: _Queue, run: Run) -> AsyncGenerator[bool]:
    """Wait until the runs before it in its thread are stored; False when it was stopped meanwhile."""
    came = await run.wait_for_turn(queue.turn)
    try:
        yield came
    finally:
        if came:
            queue.turn.release()


@asynccontextmanager
async def open_runs(
    graph: Graph, model_name: str, threads: Threads, event_log: EventLog, disconnect_grace_s: float
) -> AsyncGenerator[Runs]:
    """The registry of runs; at the end all of them are ended and stored."""
    async with asyncio.TaskGroup() as tasks:
        runs = Runs(graph, model_name, threads, event_log, tasks, disconnect_grace_s)
        try:
            yield runs
        finally:
            await runs.close()
