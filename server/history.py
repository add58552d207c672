"""What a turn knows of its thread: the newest turns as they were, and a summary of those before.

Histories are kept in this process, and beside the event log for all processes; the thread's version, which the
database gives, tells whether a kept one still holds.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Protocol

import orjson
import structlog
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage

from server.eventlog import EventsUnavailable
from server.record import Record
from server.threads import History, PastTurn, Place, Threads

log = structlog.get_logger(__name__)

MAX_KEPT = 500
"""Threads whose history a process keeps."""
MAX_AGE_S = 900.0
MAX_KEPT_CHARS = 64_000
"""A longer history is read from the database each time."""


class Shelf(Protocol):
    """Where processes leave things for each other. Both methods may raise EventsUnavailable."""

    async def get(self, key: str) -> bytes | None:
        """What was put there, if it is still there."""

    async def put(self, key: str, value: bytes | None, ttl_s: float) -> None:
        """Leave a value for some time; None takes it away."""


@dataclass
class _Kept:
    history: History
    until: float


class Histories:
    """The histories of threads."""

    def __init__(self, threads: Threads, shelf: Shelf) -> None:
        self._threads = threads
        self._shelf = shelf
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def at(self, thread_id: str, version: int) -> History:
        """The history of a thread at its present version. Raises ThreadNotFound and DatabaseUnavailable."""
        if (kept := self._find(thread_id)) is not None and kept.version == version:
            return kept
        if (shared := await self._fetch(thread_id)) is not None and shared.version == version:
            return shared
        history = await self._threads.history(thread_id)
        await self._keep(thread_id, history)
        return history

    async def add(self, record: Record, place: Place, version: int) -> None:
        """Take in a turn that was stored, which gave the thread its new version."""
        thread_id = record.thread_id or ""
        before = self._find(thread_id)
        if before is None or before.version != version - 1:
            return
        turns = before.turns
        if record.answer:
            turns = tuple(turn for turn in turns if turn.position < place.history_end)
            turns += (PastTurn(place.position, record.question, record.answer),)
        after = replace(before, version=version, turns=turns)
        if before.summary_position >= place.history_end:
            after = replace(after, summary=None, summary_position=0)
        await self._keep(thread_id, after)

    async def forget(self, thread_id: str) -> None:
        """Erase what is kept of a thread."""
        self._kept.pop(thread_id, None)
        try:
            await self._shelf.put(_key(thread_id), None, 0)
        except EventsUnavailable as exc:
            log.warning("history_not_shared", code=exc.code)

    def _find(self, thread_id: str) -> History | None:
        kept = self._kept.get(thread_id)
        if kept is None or kept.until < time.monotonic():
            return None
        self._kept.move_to_end(thread_id)
        return kept.history

    async def _fetch(self, thread_id: str) -> History | None:
        try:
            data = await self._shelf.get(_key(thread_id))
        except EventsUnavailable as exc:
            log.warning("history_not_shared", code=exc.code)
            return None
        if data is None:
            return None
        fields = orjson.loads(data)
        turns = tuple(PastTurn(*turn) for turn in fields.pop("turns"))
        history = History(turns=turns, **fields)
        self._keep_here(thread_id, history)
        return history

    async def _keep(self, thread_id: str, history: History) -> None:
        if sum(len(turn.question) + len(turn.answer) for turn in history.turns) > MAX_KEPT_CHARS:
            self._kept.pop(thread_id, None)
            return
        self._keep_here(thread_id, history)
        try:
            await self._shelf.put(_key(thread_id), orjson.dumps(_fields(history)), MAX_AGE_S)
        except EventsUnavailable as exc:
            log.warning("history_not_shared", code=exc.code)

    def _keep_here(self, thread_id: str, history: History) -> None:
        self._kept[thread_id] = _Kept(history, time.monotonic() + MAX_AGE_S)
        self._kept.move_to_end(thread_id)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)


def to_messages(history: History, end: int) -> list[AnyMessage]:
    """The conversation before position `end`: a summary where there is one, then turns as they were."""
    summary = history.summary if history.summary_position < end else None
    first = history.summary_position if summary else 0
    messages: list[AnyMessage] = [SystemMessage(summary)] if summary else []
    for turn in history.turns:
        if first < turn.position < end:
            messages += [HumanMessage(turn.question), AIMessage(turn.answer)]
    return messages


def _key(thread_id: str) -> str:
    return f"history:{thread_id}"


def _fields(history: History) -> dict[str, object]:
    return {
        "version": history.version,
        "turns": [tuple(turn) for turn in history.turns],
        "summary": history.summary,
        "summary_position": history.summary_position,
    }
