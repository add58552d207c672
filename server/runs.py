"""Runs: a question on its way to an answer, in a task of its own. Connections only read what it logs."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import orjson
import structlog
from sqlalchemy.exc import IntegrityError

from graph.settings import Settings
from server.ask import Ask
from server.conductor import Conductor, Graph
from server.errors import (
    DatabaseUnavailable,
    RunConflict,
    RunNotFound,
    ServerRestart,
    ShuttingDown,
    TooManyRuns,
)
from server.eventlog import EventsUnavailable, LogEnded, LogGone
from server.events import Failure
from server.metrics import ACTIVE_READERS, ACTIVE_RUNS, DROPPED_READERS
from server.reader import Reader
from server.record import Record, now
from server.run import Run, StopReason, failure_of
from server.sse import encode_json
from server.stores import Stores
from server.workers import BEAT_S

log = structlog.get_logger(__name__)

SERVER_RESTART: Failure = {"code": ServerRestart.code, "message": ServerRestart().message, "retryable": True}
STOP_ELSEWHERE_S = 15.0
"""How long to wait for the end of a run that another process was asked to stop."""


class Runs:
    """Starts runs, finds them again and ends them. Open with `open_runs`."""

    def __init__(
        self, graph: Graph, model_name: str, stores: Stores, settings: Settings, tasks: asyncio.TaskGroup
    ) -> None:
        self.closing = False
        self._model_name = model_name
        self._threads = stores.threads
        self._histories = stores.histories
        self._summaries = stores.summaries
        self._log = stores.event_log
        self._bus = stores.bus
        self._workers = stores.workers
        self._settings = settings
        self._tasks = tasks
        self._active: dict[str, Run] = {}
        self._conductor = Conductor(graph, stores, settings, self._active.get)
        self._over = asyncio.Event()
        self._readers = 0
        self._reading_elsewhere: Counter[str] = Counter()
        """Run id -> readers here of a run that another process may be working on."""

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
        """Start a run for an ask that was checked, and return its id; its turn is stored as running.

        Raises ShuttingDown, TooManyRuns, RunConflict, ThreadNotFound, MessageNotFound, ThreadBusy, DatabaseUnavailable
        and EventsUnavailable.
        """
        if self.closing:
            raise ShuttingDown
        if len(self._active) >= self._settings.max_runs:
            raise TooManyRuns
        record = Record(
            run_id=ask.run_id or uuid.uuid4().hex,
            thread_id=None if ask.stateless else ask.thread_id or uuid.uuid4().hex,
            message_id=uuid.uuid4().hex,
            question=ask.question,
            created_at=now(),
            model=self._model_name,
        )
        header = {
            "question": record.question,
            "created_at": record.created_at.isoformat(),
            "worker": self._workers.id,
        }
        if not await self._log.create(record.run_id, header):
            # Another request with this run_id came first.
            return await self.find(ask) or record.run_id
        run = Run(ask, record, self._settings.disconnect_grace_s)
        self._active[record.run_id] = run
        ACTIVE_RUNS.inc()
        try:
            await self._interrupt_others(ask)
            await self._store_begin(run)
        except IntegrityError:
            # Its log has expired, its turn has not.
            await self._give_up(run)
            return await self.find(ask) or record.run_id
        except BaseException:
            await self._give_up(run)
            raise
        self._tasks.create_task(self._conduct(run), name=f"run {record.run_id}")
        return record.run_id

    def read(self, run_id: str, after: int = 0) -> Reader:
        """A reader of the run's events past `after`. Its maker must call `leave()`."""
        run = self._active.get(run_id)
        if run is not None:
            run.join()
        else:
            self._join_elsewhere(run_id)
        self._readers += 1
        ACTIVE_READERS.inc()
        log.info("stream_opened", run_id=run_id, active=self._readers)

        def on_leave() -> None:
            self._readers -= 1
            ACTIVE_READERS.dec()
            log.info("stream_closed", run_id=run_id, active=self._readers)
            if run is not None:
                run.leave()
            else:
                self._leave_elsewhere(run_id)

        return Reader(self._log, run_id, after, on_leave, DROPPED_READERS.inc)

    async def record(self, run_id: str) -> Record:
        """What is known of a run now: from its task, its stored turn or its log. Raises RunNotFound."""
        if run_id in self._active:
            return self._active[run_id].record
        if run_id in self._conductor.unsaved:
            return self._conductor.unsaved[run_id]
        stored = await self._threads.turn(run_id)
        if stored is None or stored.running:
            # The log of a run that another process is working on knows more than its turn.
            stored = await self._logged(run_id) or stored
        if stored is None:
            raise RunNotFound(run_id)
        return stored

    async def stop(self, run_id: str, reason: StopReason = "asked") -> Record:
        """Stop a run and wait for its end. One that has ended stays as it is. Raises RunNotFound."""
        run = self._active.get(run_id)
        if run is not None:
            run.stop(reason)
            await run.ended.wait()
            return run.record
        record = await self.record(run_id)
        if record.running:
            await self._tell("stop", run_id, reason)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._read_to_end(run_id), STOP_ELSEWHERE_S)
            record = await self.record(run_id)
        return record

    async def erase_thread(self, thread_id: str) -> None:
        """Stop what runs in a thread, then erase it with its events. Raises ThreadNotFound."""
        await self._threads.thread(thread_id)
        while running := await self._threads.running(thread_id):
            for run_id in running:
                await self.stop(run_id)
            await self.bury_the_dead()
        for run_id in await self._threads.delete(thread_id):
            await self._log.drop(run_id)
        await self._histories.forget(thread_id)

    async def close(self) -> None:
        """Take no more runs, let the active ones end by themselves for the grace, then end them; all is kept."""
        self.closing = True
        ends = [asyncio.create_task(run.ended.wait()) for run in self._active.values()]
        if not ends:
            return
        await asyncio.wait(ends, timeout=self._settings.shutdown_grace_s)
        for run in list(self._active.values()):
            run.stop("shutdown")
        await asyncio.wait(ends)

    async def tend(self) -> None:
        """What a process does all the time: show that it lives, end the runs of the dead, store what was not stored."""
        while not await self._is_over(BEAT_S):
            try:
                await self._workers.beat()
                await self.bury_the_dead()
                await self._conductor.save_again()
            except (DatabaseUnavailable, EventsUnavailable) as exc:
                log.warning("tending_failed", code=exc.code)
            except Exception as exc:  # it must go on: others would take this process for dead
                log.error("tending_failed", exc_info=exc)
            for run in list(self._active.values()):
                run.forget_silent_workers()
            for run_id in list(self._reading_elsewhere):
                await self._tell("reading", run_id)

    def stop_tending(self) -> None:
        """Let `tend` return after its round; a cancel would leave the database driver's threads behind."""
        self._over.set()

    async def _is_over(self, within_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._over.wait()
        return self._over.is_set()

    async def listen(self) -> None:
        """Do what other processes ask for, until cancelled."""
        await self._bus.listen(self._hear)

    def _hear(self, message: Mapping[str, str]) -> None:
        run = self._active.get(message.get("run_id", ""))
        match message:
            case _ if run is None:
                return
            case {"kind": "stop", "reason": "asked" | "interrupted" as reason}:
                run.stop(reason)
            case {"kind": "reading", "worker": worker}:
                run.join_elsewhere(worker)
            case {"kind": "left", "worker": worker}:
                run.leave_elsewhere(worker)

    async def bury_the_dead(self) -> None:
        """End the runs of processes that died: the stored turns first, then the logs."""
        await self._workers.bury()
        for run_id in await self._threads.fail_orphans(SERVER_RESTART):
            log.warning("run_orphaned", run_id=run_id)
        living = await self._workers.living()
        for run_id, header in (await self._log.running()).items():
            if header.get("worker") not in living:
                await self._end_log(run_id)

    async def _end_log(self, run_id: str) -> None:
        """Append the terminal event of a run whose process died, unless it did so itself."""
        with suppress(LogGone, LogEnded):
            failed: dict[str, object] = dict(SERVER_RESTART)
            count, _ = await self._log.size(run_id)
            if count:
                begin = orjson.loads((await self._log.read(run_id, 0))[0].data)
                failed["message_id"] = begin["message_id"]
            await self._log.append(run_id, "failed", encode_json(failed), last=True)

    async def _conduct(self, run: Run) -> None:
        structlog.contextvars.bind_contextvars(run_id=run.record.run_id)
        try:
            await self._conductor.conduct(run)
            # The first turn of a thread never falls out of the budget.
            if run.ask.thread_id is not None and run.record.answer:
                self._summaries.look_after(run.ask.thread_id)
        except Exception as exc:  # noqa: BLE001  # the edge of a run: nothing may end the other ones
            failure_of(exc)
            await self._drop_log(run)
        finally:
            self._forget(run)

    async def _give_up(self, run: Run) -> None:
        """Undo the beginning of a run whose turn could not be stored."""
        await self._drop_log(run)
        self._forget(run)

    async def _drop_log(self, run: Run) -> None:
        with suppress(EventsUnavailable):
            await self._log.drop(run.record.run_id)

    def _forget(self, run: Run) -> None:
        del self._active[run.record.run_id]
        ACTIVE_RUNS.dec()
        run.end()

    async def _store_begin(self, run: Run) -> None:
        if run.record.thread_id is not None:
            run.place = await self._threads.begin_turn(
                run.record,
                self._workers.id,
                new_thread=run.ask.thread_id is None,
                replaces=run.ask.replace,
                on_busy=self._settings.on_busy,
            )

    async def _interrupt_others(self, ask: Ask) -> None:
        """Where a new question interrupts, stop what its thread is answering."""
        if self._settings.on_busy == "interrupt" and ask.thread_id is not None:
            for run_id in await self._threads.running(ask.thread_id):
                await self.stop(run_id, "interrupted")

    async def _logged(self, run_id: str) -> Record | None:
        """The record of a run folded from its log: of a stateless one, or of one in another process."""
        try:
            header = await self._log.header(run_id)
            size, _ = await self._log.size(run_id)
            entries = list(await self._log.read(run_id, 0))
            while len(entries) < size:
                entries += await self._log.read(run_id, len(entries))
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

    async def _read_to_end(self, run_id: str) -> None:
        after = 0
        with suppress(LogGone):
            while entries := await self._log.read(run_id, after):
                after = entries[-1].number

    def _join_elsewhere(self, run_id: str) -> None:
        self._reading_elsewhere[run_id] += 1
        if self._reading_elsewhere[run_id] == 1:
            self._tasks.create_task(self._tell("reading", run_id))

    def _leave_elsewhere(self, run_id: str) -> None:
        self._reading_elsewhere[run_id] -= 1
        if not self._reading_elsewhere[run_id]:
            del self._reading_elsewhere[run_id]
            self._tasks.create_task(self._tell("left", run_id))

    async def _tell(self, kind: str, run_id: str, reason: str = "") -> None:
        message = {"kind": kind, "run_id": run_id, "worker": self._workers.id, "reason": reason}
        with suppress(EventsUnavailable):
            await self._bus.publish(message)


@asynccontextmanager
async def open_runs(graph: Graph, model_name: str, stores: Stores, settings: Settings) -> AsyncGenerator[Runs]:
    """The registry of runs; at the end all of them are ended and stored. What dead processes left is ended first."""
    async with asyncio.TaskGroup() as tasks:
        runs = Runs(graph, model_name, stores, settings, tasks)
        await stores.workers.beat()
        await runs.bury_the_dead()
        tending = tasks.create_task(runs.tend(), name="tend")
        listening = tasks.create_task(runs.listen(), name="listen")
        try:
            yield runs
        finally:
            await runs.close()
            await stores.summaries.close()
            listening.cancel()
            runs.stop_tending()
            await asyncio.wait({tending})
            with suppress(DatabaseUnavailable):
                await stores.workers.leave()
