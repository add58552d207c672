"""Summaries of long threads: what no longer fits a prompt is summed up after the answer, while nobody waits."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from langchain_core.messages import AnyMessage

from graph.errors import CitestreamError
from graph.state.history import fit_history
from server.history import to_messages
from server.threads import Threads

log = structlog.get_logger(__name__)

SUM_UP_AFTER = 3
"""Turns that have fallen out of the budget before they are summed up, so that not every turn costs a call."""
_END = 2**62

Summarize = Callable[[Sequence[AnyMessage]], Awaitable[str]]
"""A history, which may begin with a summary, -> its summary. Raises a CitestreamError."""


class Summaries:
    """Keeps the summaries of threads up to date; does nothing without a `summarize`."""

    def __init__(self, threads: Threads, summarize: Summarize | None, budget_tokens: int) -> None:
        self._threads = threads
        self._summarize = summarize
        self._budget_tokens = budget_tokens
        self._working: dict[str, asyncio.Task[None]] = {}

    def look_after(self, thread_id: str) -> None:
        """Sum up what has become too old in a thread, in a task of its own, one a thread."""
        if self._summarize is None or thread_id in self._working:
            return
        task = asyncio.create_task(self._update(thread_id, self._summarize), name=f"summary {thread_id}")
        self._working[thread_id] = task
        task.add_done_callback(lambda _: self._working.pop(thread_id, None))

    async def close(self) -> None:
        """Give up what is being summed up; the next turn of the thread begins again."""
        tasks = list(self._working.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _update(self, thread_id: str, summarize: Summarize) -> None:
        try:
            history = await self._threads.history(thread_id)
            messages = to_messages(history, _END)
            _, dropped = fit_history(messages, self._budget_tokens)
            if dropped < SUM_UP_AFTER:
                return
            told = [turn for turn in history.turns if turn.position > history.summary_position][:dropped]
            begin = 0 if history.summary is None else 1
            summary = await summarize(messages[: begin + 2 * dropped])
            await self._threads.store_summary(thread_id, history, summary, told[-1].position)
            log.info("thread_summed_up", thread_id=thread_id, turns=dropped)
        except CitestreamError as exc:
            log.warning("summary_failed", thread_id=thread_id, code=exc.code)
        except Exception as exc:  # nobody waits for it, and nothing depends on it
            log.error("summary_failed", thread_id=thread_id, exc_info=exc)
