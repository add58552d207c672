"""The registry of runs, where HTTP has no part in it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from graph.events import emit
from graph.settings import Settings
from server import conductor
from server.ask import Ask
from server.errors import DatabaseUnavailable, RunNotFound, ShuttingDown, ThreadBusy, TooManyRuns
from server.eventlog import Entry, EventsUnavailable
from server.eventlog.memory import MemoryEventLog
from server.runs import Runs
from server.threads import Threads
from tests.fakes import Answerer
from tests.server.registry import open_registry, read


class TornLog(MemoryEventLog):
    """Loses the terminal event of its first run."""

    torn = False

    async def append(self, run_id: str, event: str, data: bytes, *, last: bool = False) -> Entry:
        if last and not self.torn:
            self.torn = True
            raise OSError("the log is gone")
        return await super().append(run_id, event, data, last=last)


def threads_of(runs: Runs) -> Threads:
    return runs._threads


async def until(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come true")


async def test_a_run_that_breaks_ends_its_readers_and_no_other_run(settings: Settings) -> None:
    async with open_registry(settings, event_log=TornLog()) as runs:
        broken = await read(runs, await runs.start(Ask(question="Cats?")))
        whole = await read(runs, await runs.start(Ask(question="Dogs?")))

    assert broken[-1] == "message"
    assert whole[-1] == "done"


async def test_a_graph_that_ends_without_a_turn_is_an_internal_failure(settings: Settings) -> None:
    class Silent(Answerer):
        async def _answer(self, state: Any, runtime: Any) -> Any:
            return {"messages": []}

    async with open_registry(settings, Silent()) as runs:
        run_id = await runs.start(Ask(question="Cats?"))
        assert await read(runs, run_id) == ["run", "failed"]
        record = await runs.record(run_id)

    assert record.error is not None
    assert record.error["code"] == "internal"


async def test_events_that_clients_do_not_know_are_kept_back(settings: Settings) -> None:
    class Chatty(Answerer):
        async def _answer(self, state: Any, runtime: Any) -> Any:
            emit("debug", {"secret": True})  # type: ignore[call-overload]  # a name that does not exist
            emit("message", {"delta": ""})
            return await super()._answer(state, runtime)

    async with open_registry(settings, Chatty()) as runs:
        names = await read(runs, await runs.start(Ask(question="Cats?")))

    assert names == ["run", "status", "status", "source", "message", "message", "message", "done"]


async def test_a_closed_registry_takes_no_runs(settings: Settings) -> None:
    async with open_registry(settings) as runs:
        await runs.close()
        with pytest.raises(ShuttingDown):
            await runs.start(Ask(question="Cats?"))
        with pytest.raises(RunNotFound):
            await runs.record("run-of-mine")


async def test_more_runs_than_the_process_may_work_on_are_refused_and_leave_nothing(settings: Settings) -> None:
    settings = settings.model_copy(update={"max_runs": 1})
    async with open_registry(settings, Answerer(pause_s=5)) as runs:
        first = await runs.start(Ask(question="Cats?"))
        with pytest.raises(TooManyRuns):
            await runs.start(Ask(question="Dogs?", run_id="dogs-run"))
        with pytest.raises(RunNotFound):
            await runs.record("dogs-run")
        await runs.stop(first)
        await runs.start(Ask(question="Dogs?"))


async def test_a_question_that_interrupts_stops_the_running_answer_which_is_kept(settings: Settings) -> None:
    settings = settings.model_copy(update={"on_busy": "interrupt"})
    answerer = Answerer(pause_s=0.05, words=("Cats ", *["sleep "] * 200))
    async with open_registry(settings, answerer) as runs:
        first = await runs.start(Ask(question="Cats?"))
        await until(lambda: runs._active[first].record.answer)
        thread = runs._active[first].record.thread_id
        answerer.words = ("Dogs.",)
        second = await runs.start(Ask(question="Dogs?", thread_id=thread))
        await read(runs, second)
        stopped, done = await runs.record(first), await runs.record(second)

    assert (stopped.status, done.status) == ("stopped", "completed")
    assert stopped.answer.startswith("Cats ")
    assert answerer.asked[1][:2] == [("human", "Cats?"), ("ai", stopped.answer)]


async def test_a_busy_thread_rejects_before_there_is_a_run(settings: Settings) -> None:
    settings = settings.model_copy(update={"on_busy": "reject"})
    async with open_registry(settings, Answerer(pause_s=5)) as runs:
        first = await runs.start(Ask(question="Cats?"))
        thread = runs._active[first].record.thread_id
        with pytest.raises(ThreadBusy):
            await runs.start(Ask(question="Dogs?", thread_id=thread, run_id="dogs-run"))
        with pytest.raises(RunNotFound):
            await runs.record("dogs-run")


async def test_an_answer_that_takes_too_long_is_incomplete_and_keeps_what_it_has(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conductor, "DEADLINE_SLACK_S", 0.0)
    settings = settings.model_copy(update={"run_timeout_s": 0.3})
    async with open_registry(settings, Answerer(pause_s=0.05, words=["word "] * 100)) as runs:
        run_id = await runs.start(Ask(question="Cats?"))
        await read(runs, run_id)
        record = await runs.record(run_id)
    assert record.status == "incomplete"
    assert record.answer.startswith("word ")

    async with open_registry(settings, Answerer(pause_s=5)) as runs:
        run_id = await runs.start(Ask(question="Cats?"))
        await read(runs, run_id)
        record = await runs.record(run_id)
    assert record.error is not None
    assert (record.status, record.error["code"]) == ("failed", "run_timeout")


async def test_a_task_that_does_not_end_is_given_up_and_counted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conductor, "STOP_PATIENCE_S", 0.05)
    monkeypatch.setattr(conductor, "CANCEL_PATIENCE_S", 0.2)
    let_go = asyncio.Event()

    class Immortal(Answerer):
        """Its graph is a stream of events that does not hear a cancel."""

        name = "immortal"

        def build(self) -> Any:
            return self

        async def astream_events(self, *_args: Any, **_named: Any) -> AsyncIterator[Any]:
            yield {"event": "on_custom_event", "name": "message", "data": {"delta": "Cats"}}
            while not let_go.is_set():
                try:
                    await let_go.wait()
                except asyncio.CancelledError:
                    continue

    async with open_registry(settings, Immortal()) as runs:
        run_id = await runs.start(Ask(question="Cats?"))
        await until(lambda: runs._active[run_id].record.answer)
        record = await runs.stop(run_id)
        leaked = len(runs._conductor._leaked)
        let_go.set()
        await until(lambda: not runs._conductor._leaked)
    assert (record.status, leaked) == ("stopped", 1)


async def test_a_turn_that_the_database_does_not_take_is_stored_when_it_does(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conductor, "SAVE_PATIENCE_S", 0.1)
    away = True
    end_turn = Threads.end_turn

    async def end_turn_if_there(self: Threads, record: Any, worker: str) -> int | None:
        if away:
            raise DatabaseUnavailable
        return await end_turn(self, record, worker)

    monkeypatch.setattr(Threads, "end_turn", end_turn_if_there)
    async with open_registry(settings) as runs:
        run_id = await runs.start(Ask(question="Cats?"))
        assert (await read(runs, run_id))[-1] == "done"
        told = await runs.record(run_id)
        stored = await threads_of(runs).turn(run_id)
        assert stored is not None
        assert (told.status, stored.status) == ("incomplete", "running")
        away = False
        await runs._conductor.save_again()
        assert await threads_of(runs).turn(run_id) == told
        assert not runs._conductor.unsaved


async def test_a_run_whose_events_cannot_be_kept_ends_with_its_turn_stored(settings: Settings) -> None:
    class Unreachable(MemoryEventLog):
        async def append(self, run_id: str, event: str, data: bytes, *, last: bool = False) -> Entry:
            if event == "message" or last:
                raise EventsUnavailable("test")
            return await super().append(run_id, event, data, last=last)

    async with open_registry(settings, event_log=Unreachable()) as runs:
        run_id = await runs.start(Ask(question="Cats?"))
        run = runs._active[run_id]
        await asyncio.wait_for(run.ended.wait(), 5)
        stored = await threads_of(runs).turn(run_id)

    assert stored is not None
    assert stored.error is not None
    assert (stored.status, stored.error["code"]) == ("failed", "events_unavailable")


async def test_a_shutdown_lets_answers_end_by_themselves_for_the_grace(settings: Settings) -> None:
    settings = settings.model_copy(update={"shutdown_grace_s": 5})
    async with open_registry(settings, Answerer(pause_s=0.05)) as runs:
        run_id = await runs.start(Ask(question="Cats?"))
        await runs.close()
        assert (await runs.record(run_id)).status == "completed"

    settings = settings.model_copy(update={"shutdown_grace_s": 0.1})
    async with open_registry(settings, Answerer(pause_s=0.05, words=["word "] * 500)) as runs:
        run_id = await runs.start(Ask(question="Cats?"))
        await runs.close()
        record = await runs.record(run_id)
    assert record.status == "stopped"
    assert record.answer


async def test_turns_that_are_too_old_are_summed_up_once_for_several_turns(settings: Settings) -> None:
    settings = settings.model_copy(update={"history_budget_tokens": 30})
    answerer = Answerer(words=["Cats ", "sleep ", "a lot."])
    told: list[list[str]] = []

    async def summarize(history: Any) -> str:
        told.append([message.text for message in history])
        return f"Summary {len(told)}."

    async with open_registry(settings, answerer, summarize=summarize) as runs:
        thread = None
        for n in range(9):
            run_id = await runs.start(Ask(question=f"Question {n}?", thread_id=thread))
            await read(runs, run_id)
            thread = (await runs.record(run_id)).thread_id
            await until(lambda: not runs._summaries._working)
        assert thread is not None
        history = await threads_of(runs).history(thread)

    assert len(told) == 2
    assert told[0][0] == "Question 0?"
    assert told[1][0] == "Summary 1."
    assert told[1][1] == f"Question {len(told[0]) // 2}?"
    assert history.summary == "Summary 2."
    assert answerer.asked[-1][0] == ("system", "Summary 1.")
    assert ("human", "Question 0?") not in answerer.asked[-1]


async def test_a_summary_that_fails_leaves_the_thread_as_it_is(settings: Settings) -> None:
    settings = settings.model_copy(update={"history_budget_tokens": 1})

    async def summarize(_history: Any) -> str:
        raise RuntimeError("no model")

    async with open_registry(settings, summarize=summarize) as runs:
        thread = None
        for n in range(5):
            run_id = await runs.start(Ask(question=f"Question {n}?", thread_id=thread))
            assert (await read(runs, run_id))[-1] == "done"
            thread = (await runs.record(run_id)).thread_id
        assert thread is not None
        assert (await threads_of(runs).history(thread)).summary is None
