"""The server processes on one database: each shows that it lives, and what a dead one left running is ended."""

import os
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, literal_column, select, update

from server.database import Database, workers
from server.threads import available

BEAT_S = 3.0
"""How often a process shows that it lives."""
LEASE_S = 15.0
"""A process that has not been seen for so long is dead; one of this machine that is gone is dead at once."""


class Workers:
    """The processes, and this one among them. Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self.id = uuid.uuid4().hex[:12]
        self._database = database
        self._host = host_of_this_process()
        self._now = _clock(database.engine.dialect.name)
        self._beaten_at = -float("inf")
        self._steady_since = time.monotonic()

    async def beat(self) -> None:
        """Show that this process lives."""
        seen = update(workers).where(workers.c.id == self.id).values(seen_at=self._now)
        row: dict[str, Any] = {"id": self.id, "host": self._host, "pid": os.getpid(), "seen_at": self._now}

        def work(connection: Connection) -> None:
            if connection.execute(seen).rowcount == 0:
                connection.execute(insert(workers).values(**row))

        async with available():
            await self._database.write(work)
        if time.monotonic() - self._beaten_at > 2 * BEAT_S:
            self._steady_since = time.monotonic()
        self._beaten_at = time.monotonic()

    async def bury(self) -> None:
        """Take out the processes that are dead. One that was only asleep comes back with its next beat.

        After a database that was away, or its own sleep, a process gives the others as long as it would have needed.
        """
        query = select(workers.c.id, workers.c.host, workers.c.pid, (self._now - workers.c.seen_at).label("silent_s"))
        others = query.where(workers.c.id != self.id)
        async with available():
            rows = await self._database.read(lambda connection: connection.execute(others).all())
        lease_s = LEASE_S if time.monotonic() - self._steady_since > LEASE_S else float("inf")
        dead = [row.id for row in rows if row.silent_s > lease_s or (row.host == self._host and not _lives(row.pid))]
        if dead:
            await self._delete(workers.c.id.in_(dead))

    async def living(self) -> set[str]:
        """Ids of the processes that were not buried."""
        async with available():
            return await self._database.read(lambda connection: set(connection.execute(select(workers.c.id)).scalars()))

    async def leave(self) -> None:
        """Say that this process ends."""
        await self._delete(workers.c.id == self.id)

    async def _delete(self, which: ColumnElement[bool]) -> None:
        async with available():
            await self._database.write(lambda connection: connection.execute(delete(workers).where(which)).close())


def host_of_this_process() -> str:
    """What a process id is unique in: this boot of the machine and its process namespace; else the machine's name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _lives(pid: int) -> bool:
    """Whether another process has this id; ours would be one that had it before."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _clock(dialect: str) -> ColumnElement[Any]:
    """Seconds of the Unix epoch by the database's clock, so that those of the machines need not agree."""
    if dialect == "postgresql":
        return func.extract("epoch", func.clock_timestamp())
    return literal_column("(julianday('now') - 2440587.5) * 86400.0")
