"""Threads and turns: the truth about conversations."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncEngine

from server.database import threads, turns
from server.errors import InvalidRequest, ThreadNotFound
from server.record import RUNNING, Failure, Record, now

LOCAL_OWNER = "local"
TITLE_CHARS = 60
ABANDONED_EVENT = 2**31 - 1
"""Number of the terminal event of a turn whose log died with its process: past all that were sent."""
HISTORY_TURNS = 100
"""Newest turns that a thread hands to a new one; the graph takes from them what fits its budget."""

_OUTCOME = (
    "query",
    "status",
    "answer",
    "sources",
    "citations",
    "statuses",
    "cited",
    "grounding",
    "usage",
    "timings",
    "error",
    "last_event",
)
_ASKED = ("run_id", "thread_id", "message_id", "model", "question")


@dataclass(frozen=True)
class Thread:
    """A conversation, without its turns."""

    id: str
    title: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Threads:
    """The threads of one owner. What belongs to another owner is not found."""

    engine: AsyncEngine
    owner: str = LOCAL_OWNER

    async def begin_turn(self, record: Record, *, new_thread: bool) -> None:
        """Store a turn as running, and its thread when that is new. Raises ThreadNotFound."""
        asked = {name: getattr(record, name) for name in _ASKED + _OUTCOME}
        at = _text(record.created_at)
        async with self.engine.begin() as connection:
            if new_thread:
                thread = {"id": record.thread_id, "owner": self.owner, "title": title_of(record.question)}
                await connection.execute(insert(threads).values(**thread, created_at=at, updated_at=at))
            elif (await connection.execute(self._update(record.thread_id).values(updated_at=at))).rowcount == 0:
                raise ThreadNotFound(record.thread_id or "")
            await connection.execute(insert(turns).values(**asked, owner=self.owner, created_at=at))

    async def end_turn(self, record: Record) -> None:
        """Store what became of a turn. Nothing happens when its thread was deleted meanwhile."""
        mine = (turns.c.owner == self.owner) & (turns.c.run_id == record.run_id)
        outcome = {name: getattr(record, name) for name in _OUTCOME}
        async with self.engine.begin() as connection:
            await connection.execute(update(turns).where(mine).values(**outcome))
            await connection.execute(self._update(record.thread_id).values(updated_at=_text(now())))

    async def turn(self, run_id: str) -> Record | None:
        """The turn of a run, if it was stored."""
        query = select(turns).where(turns.c.owner == self.owner, turns.c.run_id == run_id)
        async with self.engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _record(row)

    async def turns(self, thread_id: str) -> list[Record]:
        """All turns of a thread in order."""
        async with self.engine.connect() as connection:
            rows = await connection.execute(self._turns(thread_id).order_by(turns.c.position))
            return [_record(row) for row in rows]

    async def history(self, thread_id: str) -> list[tuple[str, str]]:
        """Question and answer of the newest ended turns that have an answer, in order."""
        query = self._turns(thread_id, turns.c.question, turns.c.answer)
        query = query.where(turns.c.status != RUNNING, turns.c.answer != "")
        async with self.engine.connect() as connection:
            rows = await connection.execute(query.order_by(turns.c.position.desc()).limit(HISTORY_TURNS))
            return [(row.question, row.answer) for row in rows][::-1]

    async def thread(self, thread_id: str) -> Thread:
        """One thread. Raises ThreadNotFound."""
        query = select(threads).where(threads.c.owner == self.owner, threads.c.id == thread_id)
        async with self.engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise ThreadNotFound(thread_id)
        return _thread(row)

    async def page(self, cursor: str | None, limit: int) -> tuple[list[Thread], str | None]:
        """A page of threads, newest first, and the cursor of the next page. Raises InvalidRequest."""
        key = tuple_(threads.c.updated_at, threads.c.id)
        query = select(threads).where(threads.c.owner == self.owner)
        if cursor is not None:
            query = query.where(key < _parse_cursor(cursor))
        query = query.order_by(threads.c.updated_at.desc(), threads.c.id.desc()).limit(limit + 1)
        async with self.engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        more = _cursor(rows[limit - 1]) if len(rows) > limit else None
        return [_thread(row) for row in rows[:limit]], more

    async def rename(self, thread_id: str, title: str) -> Thread:
        """Give a thread another title. Raises ThreadNotFound."""
        async with self.engine.begin() as connection:
            query = self._update(thread_id).values(title=title).returning(threads)
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise ThreadNotFound(thread_id)
        return _thread(row)

    async def delete(self, thread_id: str) -> list[str]:
        """Erase a thread with its turns; returns their run ids. Raises ThreadNotFound."""
        mine = (turns.c.owner == self.owner) & (turns.c.thread_id == thread_id)
        gone = delete(threads).where(threads.c.owner == self.owner, threads.c.id == thread_id)
        async with self.engine.begin() as connection:
            run_ids = (await connection.execute(delete(turns).where(mine).returning(turns.c.run_id))).scalars()
            found = list(run_ids)
            if (await connection.execute(gone)).rowcount == 0:
                raise ThreadNotFound(thread_id)
        return found

    async def fail_running(self, failure: Failure) -> None:
        """End the turns that a process left running when it died."""
        query = update(turns).where(turns.c.status == RUNNING)
        async with self.engine.begin() as connection:
            await connection.execute(query.values(status="failed", error=failure, last_event=ABANDONED_EVENT))

    async def check(self) -> None:
        """Raise SQLAlchemyError when the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(select(threads.c.id).limit(1))

    def _update(self, thread_id: str | None) -> Any:
        return update(threads).where(threads.c.owner == self.owner, threads.c.id == thread_id)

    def _turns(self, thread_id: str, *columns: Any) -> Select[Any]:
        query = select(*columns) if columns else select(turns)
        return query.where(turns.c.owner == self.owner, turns.c.thread_id == thread_id)


def title_of(question: str) -> str:
    """A thread's first question as its title: one line, shortened at a word's end."""
    line = " ".join(question.split())
    if len(line) <= TITLE_CHARS:
        return line
    cut = line[: TITLE_CHARS - 1]
    words, space, _ = cut.rpartition(" ")
    return (words if space and not line[TITLE_CHARS - 1].isspace() else cut).rstrip() + "…"


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def _thread(row: Row[Any]) -> Thread:
    created_at, updated_at = datetime.fromisoformat(row.created_at), datetime.fromisoformat(row.updated_at)
    return Thread(row.id, row.title, created_at, updated_at)


def _record(row: Row[Any]) -> Record:
    fields = {name: getattr(row, name) for name in _ASKED + _OUTCOME}
    return Record(**fields, created_at=datetime.fromisoformat(row.created_at))


def _cursor(row: Row[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([row.updated_at, row.id]).encode()).decode()


def _parse_cursor(cursor: str) -> Sequence[str]:
    try:
        updated_at, thread_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return str(updated_at), str(thread_id)
    except (binascii.Error, ValueError, TypeError) as exc:
        raise InvalidRequest("the cursor is not one that this list gave. Start again without it.") from exc
