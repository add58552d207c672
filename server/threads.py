"""Threads and turns: the truth about conversations."""

import base64
import binascii
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeVar

import structlog
from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, insert, or_, select, tuple_, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from server.database import Database, Work, threads, turns, workers
from server.errors import DatabaseUnavailable, InvalidRequest, MessageNotFound, ThreadBusy, ThreadNotFound
from server.events import Failure
from server.record import RUNNING, Feedback, Record, now

log = structlog.get_logger(__name__)

LOCAL_OWNER = "local"
TITLE_CHARS = 60
ABANDONED_EVENT = 2**31 - 1
"""Number of the terminal event of a turn whose log died with its process: past all that were sent."""
HISTORY_TURNS = 400
"""Newest turns that a thread hands to a new one; the graph takes from them what fits its budget."""
MAX_WAITING = 8
"""Turns of one thread that may be running or waiting at a time."""

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

# Statements of every turn are made once: to make one takes longer than to run it.
_NEW_THREAD = insert(threads)
_NEW_TURN = insert(turns).returning(turns.c.position)
_END_TURN = (
    update(turns)
    .where(
        turns.c.owner == bindparam("of_owner"),
        turns.c.run_id == bindparam("of_run"),
        turns.c.status == RUNNING,
        turns.c.worker == bindparam("of_worker"),
    )
    .values({name: bindparam(name) for name in _OUTCOME})
    .returning(turns.c.position, turns.c.replaces)
)
_GROW_THREAD = (
    update(threads)
    .where(threads.c.owner == bindparam("of_owner"), threads.c.id == bindparam("of_thread"))
    .values(updated_at=bindparam("updated_at"), version=threads.c.version + 1)
    .returning(threads.c.version, threads.c.summary_position)
)

T = TypeVar("T")
OnBusy = Literal["queue", "reject", "interrupt"]


@dataclass(frozen=True)
class Thread:
    """A conversation, without its turns."""

    id: str
    title: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Place:
    """Where a turn stands in its thread: after all turns of a lower position."""

    position: int
    replaces: int | None = None
    """Position of the turn that leaves the thread, with all that followed it, once this one has an answer."""

    @property
    def history_end(self) -> int:
        """Turns before this position are this one's history."""
        return self.position if self.replaces is None else self.replaces


class PastTurn(NamedTuple):
    """A question and its answer."""

    position: int
    question: str
    answer: str


@dataclass(frozen=True)
class History:
    """What was said in a thread, at one of its versions."""

    version: int
    turns: tuple[PastTurn, ...] = ()
    """Ended turns with an answer, oldest first, at most HISTORY_TURNS of them."""
    summary: str | None = None
    """What the turns up to and with `summary_position` were about."""
    summary_position: int = 0


@dataclass(frozen=True)
class Threads:
    """The threads of one owner. What belongs to another owner is not found.

    Every method raises DatabaseUnavailable when the database does not answer within seconds.
    """

    database: Database
    owner: str = LOCAL_OWNER

    async def begin_turn(
        self, record: Record, worker: str, *, new_thread: bool, replaces: str | None = None, on_busy: OnBusy = "queue"
    ) -> Place:
        """Store a turn as running, and its thread when that is new; `replaces` is a message id.

        Raises ThreadNotFound, MessageNotFound and ThreadBusy.
        """
        asked = {name: getattr(record, name) for name in _ASKED + _OUTCOME}
        at = _text(record.created_at)

        def work(connection: Connection) -> Place:
            replaced = None
            if new_thread:
                thread = {"id": record.thread_id, "owner": self.owner, "title": title_of(record.question)}
                connection.execute(_NEW_THREAD, {**thread, "created_at": at, "updated_at": at})
            else:
                self._join(connection, record.thread_id or "", at, on_busy)
                replaced = self._position(connection, record.thread_id or "", replaces)
            values = {**asked, "owner": self.owner, "created_at": at, "worker": worker, "replaces": replaced}
            return Place(connection.execute(_NEW_TURN, values).scalar_one(), replaced)

        return await self._write(work)

    async def before(self, thread_id: str, place: Place) -> tuple[list[str], int]:
        """Run ids of the turns before this one that have not ended, and the thread's version. Raises ThreadNotFound."""
        waiting = (turns.c.status == RUNNING) & (turns.c.position < place.position)
        joined = threads.outerjoin(turns, (turns.c.thread_id == threads.c.id) & waiting)
        query = select(threads.c.version, turns.c.run_id).select_from(joined).order_by(turns.c.position)
        query = query.where(threads.c.owner == self.owner, threads.c.id == thread_id)
        rows = await self._read(lambda connection: connection.execute(query).all())
        if not rows:
            raise ThreadNotFound(thread_id)
        return [row.run_id for row in rows if row.run_id is not None], rows[0].version

    async def end_turn(self, record: Record, worker: str) -> int | None:
        """Store what became of a turn; the thread's new version, None when it was not this worker's to end any more.

        With an answer, it takes the place of what it replaces, in the same commit.
        """
        waiting = {"of_owner": self.owner, "of_run": record.run_id, "of_worker": worker}
        outcome = {name: getattr(record, name) for name in _OUTCOME}
        grown = {"of_owner": self.owner, "of_thread": record.thread_id, "updated_at": _text(now())}

        def work(connection: Connection) -> int | None:
            row = connection.execute(_END_TURN, {**waiting, **outcome}).one_or_none()
            if row is None:
                return None
            thread = connection.execute(_GROW_THREAD, grown).one()
            if row.replaces is not None and record.answer:
                gone = (turns.c.position >= row.replaces) & (turns.c.position < row.position)
                connection.execute(delete(turns).where(self._in_thread(record.thread_id), gone))
                if (thread.summary_position or 0) >= row.replaces:
                    connection.execute(self._update(record.thread_id).values(summary=None, summary_position=None))
            return int(thread.version)

        return await self._write(work)

    async def turn(self, run_id: str) -> Record | None:
        """The turn of a run, if it was stored."""
        query = select(turns).where(turns.c.owner == self.owner, turns.c.run_id == run_id)
        row = await self._read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _record(row)

    async def turns(self, thread_id: str) -> list[Record]:
        """All turns of a thread in order."""
        query = self._turns(thread_id).order_by(turns.c.position)
        return [_record(row) for row in await self._read(lambda connection: connection.execute(query).all())]

    async def give_feedback(self, message_id: str, feedback: Feedback) -> bool:
        """Keep what a person thinks of an answer; whether its score is a new one. Raises MessageNotFound."""
        score, comment = feedback["score"], feedback["comment"]
        given = self._answer(message_id).values(
            feedback_score=score, feedback_comment=comment, feedback_at=_text(now())
        )

        def work(connection: Connection) -> bool:
            rescored = given.where(turns.c.feedback_score.is_distinct_from(score))
            if connection.execute(rescored).rowcount:
                return True
            if connection.execute(given).rowcount == 0:
                raise MessageNotFound(message_id)
            return False

        return await self._write(work)

    async def take_feedback_back(self, message_id: str) -> None:
        """Erase what a person thought of an answer, if it was kept. Raises MessageNotFound."""
        none = self._answer(message_id).values(feedback_score=None, feedback_comment=None, feedback_at=None)

        def work(connection: Connection) -> None:
            if connection.execute(none).rowcount == 0:
                raise MessageNotFound(message_id)

        await self._write(work)

    async def running(self, thread_id: str) -> list[str]:
        """Run ids of the turns of a thread that have not ended."""
        query = self._turns(thread_id, turns.c.run_id).where(turns.c.status == RUNNING)
        return await self._read(lambda connection: list(connection.execute(query).scalars()))

    async def history(self, thread_id: str) -> History:
        """What was said in a thread. Raises ThreadNotFound."""
        of_thread = select(threads.c.version, threads.c.summary, threads.c.summary_position)
        of_thread = of_thread.where(threads.c.owner == self.owner, threads.c.id == thread_id)
        query = self._turns(thread_id, turns.c.position, turns.c.question, turns.c.answer)
        query = query.where(turns.c.status != RUNNING, turns.c.answer != "")
        query = query.order_by(turns.c.position.desc()).limit(HISTORY_TURNS)

        def work(connection: Connection) -> tuple[Any, tuple[PastTurn, ...]]:
            # The version first: turns that end in between make the history newer than it says, never older.
            thread = connection.execute(of_thread).one_or_none()
            rows = connection.execute(query)
            return thread, tuple(PastTurn(row.position, row.question, row.answer) for row in rows)[::-1]

        thread, past = await self._read(work)
        if thread is None:
            raise ThreadNotFound(thread_id)
        return History(thread.version, past, thread.summary, thread.summary_position or 0)

    async def store_summary(self, thread_id: str, history: History, summary: str, position: int) -> None:
        """Keep a summary of the turns up to and with `position`, unless the thread has changed since `history`."""
        same = self._update(thread_id).where(threads.c.version == history.version)
        kept = same.values(summary=summary, summary_position=position, version=threads.c.version + 1)
        await self._write(lambda connection: connection.execute(kept).close())

    async def thread(self, thread_id: str) -> Thread:
        """One thread. Raises ThreadNotFound."""
        query = select(threads).where(threads.c.owner == self.owner, threads.c.id == thread_id)
        row = await self._read(lambda connection: connection.execute(query).one_or_none())
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
        rows = await self._read(lambda connection: connection.execute(query).all())
        more = _cursor(rows[limit - 1]) if len(rows) > limit else None
        return [_thread(row) for row in rows[:limit]], more

    async def rename(self, thread_id: str, title: str) -> Thread:
        """Give a thread another title. Raises ThreadNotFound."""
        query = self._update(thread_id).values(title=title).returning(threads)
        row = await self._write(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise ThreadNotFound(thread_id)
        return _thread(row)

    async def delete(self, thread_id: str) -> list[str]:
        """Erase a thread with its turns; returns their run ids. Raises ThreadNotFound."""
        gone = delete(threads).where(threads.c.owner == self.owner, threads.c.id == thread_id)
        erased = delete(turns).where(self._in_thread(thread_id)).returning(turns.c.run_id)

        def work(connection: Connection) -> list[str]:
            found = list(connection.execute(erased).scalars())
            if connection.execute(gone).rowcount == 0:
                raise ThreadNotFound(thread_id)
            return found

        return await self._write(work)

    async def fail_orphans(self, failure: Failure) -> list[str]:
        """End the turns that are running in a process that is no more; returns their run ids."""
        living = select(workers.c.id)
        orphans = (turns.c.status == RUNNING) & or_(turns.c.worker.is_(None), turns.c.worker.not_in(living))
        ended = {"status": "failed", "error": failure, "last_event": ABANDONED_EVENT}
        failed = update(turns).where(orphans).values(**ended).returning(turns.c.run_id)
        return await self._write(lambda connection: list(connection.execute(failed).scalars()))

    async def check(self) -> None:
        """Raise DatabaseUnavailable when the database does not answer."""
        query = select(threads.c.id).limit(1)
        await self._read(lambda connection: connection.execute(query).close())

    def _join(self, connection: Connection, thread_id: str, at: str, on_busy: OnBusy) -> None:
        """Lock the thread for this transaction, and see that it takes another turn."""
        locked = connection.execute(self._update(thread_id).values(updated_at=at))
        if locked.rowcount == 0:
            raise ThreadNotFound(thread_id)
        query = self._turns(thread_id, turns.c.run_id).where(turns.c.status == RUNNING)
        running = connection.execute(query).all()
        if running and on_busy == "reject":
            raise ThreadBusy("the thread is still answering. Ask again when it has ended, or stop it first.")
        if len(running) >= MAX_WAITING:
            raise ThreadBusy(f"{len(running)} questions of this thread are waiting already. Ask again later.")

    def _position(self, connection: Connection, thread_id: str, message_id: str | None) -> int | None:
        if message_id is None:
            return None
        query = self._turns(thread_id, turns.c.position).where(turns.c.message_id == message_id)
        position = connection.execute(query).scalar_one_or_none()
        if position is None:
            raise MessageNotFound(message_id)
        return int(position)

    def _update(self, thread_id: str | None) -> Any:
        return update(threads).where(threads.c.owner == self.owner, threads.c.id == thread_id)

    def _answer(self, message_id: str) -> Any:
        return update(turns).where(turns.c.owner == self.owner, turns.c.message_id == message_id)

    def _in_thread(self, thread_id: str | None) -> ColumnElement[bool]:
        return (turns.c.owner == self.owner) & (turns.c.thread_id == thread_id)

    def _turns(self, thread_id: str, *columns: Any) -> Select[Any]:
        query = select(*columns) if columns else select(turns)
        return query.where(self._in_thread(thread_id))

    async def _read(self, work: Work[T]) -> T:
        async with available():
            return await self.database.read(work)

    async def _write(self, work: Work[T]) -> T:
        async with available():
            return await self.database.write(work)


@asynccontextmanager
async def available() -> AsyncGenerator[None]:
    """Turn what a database that is away, locked or full raises into DatabaseUnavailable; the reason is logged."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, PoolTimeout, OSError, TimeoutError) as exc:
        log.warning("database_unavailable", exc_info=exc)
        raise DatabaseUnavailable from exc


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
    score = row.feedback_score
    feedback: Feedback | None = None if score is None else {"score": score, "comment": row.feedback_comment}
    return Record(**fields, created_at=datetime.fromisoformat(row.created_at), feedback=feedback)


def _cursor(row: Row[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([row.updated_at, row.id]).encode()).decode()


def _parse_cursor(cursor: str) -> Sequence[str]:
    try:
        updated_at, thread_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return str(updated_at), str(thread_id)
    except (binascii.Error, ValueError, TypeError) as exc:
        raise InvalidRequest("the cursor is not one that this list gave. Start again without it.") from exc
