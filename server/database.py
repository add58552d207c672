"""The database of the conversations: its tables, opening it, and bringing its schema up to date."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    URL,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.ext.asyncio import create_async_engine

from graph.errors import SettingsError
from graph.settings import Settings
from server.errors import DatabaseNewer

FILE_NAME = "threads.db"
MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 3_000
CONNECT_TIMEOUT_S = 5
COMMAND_TIMEOUT_S = 8
POOL_SIZE = 10
"""Connections to PostgreSQL that a process keeps; under load it opens as many again."""
SQLITE_THREADS = 4
"""Transactions in SQLite at a time; one of them may write."""
WRITE_PATIENCE_S = 5.0
"""How long a write waits for those of its process before it; then for other processes (BUSY_TIMEOUT_MS)."""
WRITES_AT_ONCE = 50
"""Writes in one commit at most."""
WRITES = "citestream_writes"
"""Execution option of a connection that is going to write."""
MIGRATION_LOCK = 0x63697465
"""PostgreSQL's advisory lock while a process migrates: "cite" in ASCII."""

metadata = MetaData()
threads = Table(
    "threads",
    metadata,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False, server_default="local"),
    Column("title", String, nullable=False),
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("summary", Text),
    Column("summary_position", Integer),
    Index("threads_newest", "owner", "updated_at", "id"),
)
"""`version` grows whenever the history that a new turn sees changes. `summary` tells the turns up to and with the
position `summary_position`."""
turns = Table(
    "turns",
    metadata,
    Column("position", Integer, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("owner", String, nullable=False, server_default="local"),
    Column("thread_id", ForeignKey("threads.id", ondelete="CASCADE"), nullable=False),
    Column("message_id", String, nullable=False, unique=True),
    Column("model", String, nullable=False),
    Column("question", Text, nullable=False),
    Column("query", Text),
    Column("status", String, nullable=False),
    Column("answer", Text, nullable=False),
    Column("sources", JSON(none_as_null=True)),
    Column("citations", JSON, nullable=False),
    Column("statuses", JSON, nullable=False),
    Column("cited", JSON, nullable=False),
    Column("grounding", String),
    Column("usage", JSON(none_as_null=True)),
    Column("timings", JSON(none_as_null=True)),
    Column("error", JSON(none_as_null=True)),
    Column("last_event", Integer, nullable=False),
    Column("created_at", String, nullable=False),
    Column("worker", String),
    Column("replaces", Integer),
    Column("feedback_score", Integer),
    Column("feedback_comment", Text),
    Column("feedback_at", String),
    UniqueConstraint("owner", "run_id", name="turns_run"),
    Index("turns_of_thread", "thread_id", "position"),
    Index(
        "turns_running", "status", sqlite_where=text("status = 'running'"), postgresql_where=text("status = 'running'")
    ),
    sqlite_autoincrement=True,
)
"""Times are ISO 8601 in UTC with microseconds, so that they sort as text. `worker` is the server process that answers;
`replaces` the position of the turn that this one takes the place of, with all that followed it. Feedback stands with
the turn, as it says nothing without the answer that it is about, and leaves with it when that is replaced or erased."""
workers = Table(
    "workers",
    metadata,
    Column("id", String, primary_key=True),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("seen_at", Float, nullable=False),
)
"""Server processes; `seen_at` is in seconds of the Unix epoch, by the database's clock."""


T = TypeVar("T")
Work = Callable[[Connection], T]
"""What a transaction does, as a plain function: it blocks, and is run where that is allowed."""


class Database(Protocol):
    """Runs transactions. What a database raises goes through."""

    @property
    def engine(self) -> Engine:
        """What the connections come from; its dialect tells the kind of the database."""

    async def read(self, work: Work[T]) -> T:
        """Run a transaction that writes nothing."""

    async def write(self, work: Work[T]) -> T:
        """Run a transaction and commit it, unless it raises."""

    async def close(self) -> None:
        """Close all connections."""


@dataclass(eq=False)
class _Write:
    work: Work[Any]
    done: "asyncio.Future[Any]"
    taken: bool = False


class SqliteDatabase:
    """A file. A transaction is one visit to a thread; over aiosqlite it would be one for each call of the driver.

    SQLite lets one write at a time, and makes others poll. Here they queue, and all that wait are one visit and one
    commit: where searches keep the interpreter busy, a visit can take longer than its work.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.engine = create_engine(f"sqlite:///{path}", pool_size=SQLITE_THREADS)
        event.listen(self.engine, "connect", _set_pragmas)
        event.listen(self.engine, "begin", _begin)
        self._threads = anyio.CapacityLimiter(SQLITE_THREADS)
        self._waiting: deque[_Write] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def read(self, work: Work[T]) -> T:
        """Run a transaction that writes nothing."""

        def run() -> T:
            with self.engine.connect() as connection:
                return work(connection)

        return await anyio.to_thread.run_sync(run, limiter=self._threads)

    async def write(self, work: Work[T]) -> T:
        """Run a transaction and commit it, unless it raises; then it has done nothing.

        Raises TimeoutError when those before it take WRITE_PATIENCE_S.
        """
        write = _Write(work, asyncio.get_running_loop().create_future())
        self._waiting.append(write)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all(), name="writer of the database")
        try:
            await asyncio.wait({write.done}, timeout=WRITE_PATIENCE_S)
        finally:
            if not write.taken:
                write.done.cancel()
        if not write.taken:
            raise TimeoutError
        result: T = await write.done
        return result

    async def close(self) -> None:
        """Close all connections, once what waits is written."""
        if self._writer is not None:
            await asyncio.wait({self._writer})
        await anyio.to_thread.run_sync(self.engine.dispose)

    async def _write_all(self) -> None:
        try:
            while batch := self._next_batch():
                await self._write(batch)
        finally:
            self._writer = None

    def _next_batch(self) -> list[_Write]:
        """The next writes that somebody still waits for; none when there are no others."""
        batch: list[_Write] = []
        while self._waiting and len(batch) < WRITES_AT_ONCE:
            write = self._waiting.popleft()
            if not write.done.cancelled():
                write.taken = True
                batch.append(write)
        return batch

    async def _write(self, batch: Sequence[_Write]) -> None:
        """Write and say what became of each."""
        outcomes: Sequence[tuple[Any, Exception | None]]
        try:
            outcomes = await anyio.to_thread.run_sync(self._run, [write.work for write in batch], limiter=self._threads)
        except Exception as exc:  # noqa: BLE001  # handed on to each of those who wait
            outcomes = [(None, exc)] * len(batch)
        for write, (result, error) in zip(batch, outcomes, strict=True):
            if write.done.done():
                continue  # nobody waits any more
            if error is None:
                write.done.set_result(result)
            else:
                write.done.set_exception(error)

    def _run(self, works: Sequence[Work[Any]]) -> list[tuple[Any, Exception | None]]:
        writing = self.engine.connect().execution_options(**{WRITES: True})
        with writing as connection, connection.begin():
            if len(works) == 1:
                return [(works[0](connection), None)]
            return [_attempt(work, connection) for work in works]


def _attempt(work: Work[Any], connection: Connection) -> tuple[Any, Exception | None]:
    """What a part of a transaction gave, or why it came to nothing; the other parts go on."""
    try:
        with connection.begin_nested():
            return work(connection), None
    except Exception as exc:  # noqa: BLE001  # handed on to whoever waits for it
        return None, exc


class PostgresDatabase:
    """A server, over asyncpg."""

    def __init__(self, url: URL) -> None:
        query = {("ssl" if key == "sslmode" else key): value for key, value in url.query.items()}
        self._engine = create_async_engine(
            url.set(drivername="postgresql+asyncpg", query=query),
            pool_pre_ping=True,
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            pool_timeout=CONNECT_TIMEOUT_S,
            connect_args={"timeout": CONNECT_TIMEOUT_S, "command_timeout": COMMAND_TIMEOUT_S},
        )

    @property
    def engine(self) -> Engine:
        """What the connections come from."""
        return self._engine.sync_engine

    async def read(self, work: Work[T]) -> T:
        """Run a transaction that writes nothing."""
        async with self._engine.connect() as connection:
            return await connection.run_sync(work)

    async def write(self, work: Work[T]) -> T:
        """Run a transaction and commit it."""
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncGenerator[Database]:
    """The conversations' database, made or migrated when needed.

    Raises DatabaseNewer when a newer citestream wrote it, and SettingsError when it cannot be reached.
    """
    database = _database(settings)
    try:
        await _migrate(database)
        yield database
    finally:
        await database.close()


def _database(settings: Settings) -> Database:
    if settings.database_url is None:
        return SqliteDatabase(settings.data_dir / FILE_NAME)
    try:
        url = make_url(settings.database_url.get_secret_value())
    except ArgumentError:
        raise SettingsError("CITESTREAM_DATABASE_URL is no URL. Write postgresql://USER:PASSWORD@HOST/NAME.") from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise SettingsError(
            f"CITESTREAM_DATABASE_URL: {url.get_backend_name()}:// is not known. Write "
            "postgresql://USER:PASSWORD@HOST/NAME, or leave it out for SQLite."
        )
    try:
        return PostgresDatabase(url)
    except ModuleNotFoundError as exc:
        raise SettingsError('CITESTREAM_DATABASE_URL needs asyncpg: pip install "citestream[postgres]".') from exc


async def _migrate(database: Database) -> None:
    """Bring the database to the newest schema. Raises DatabaseNewer, and SettingsError when it cannot be reached."""
    try:
        await database.write(migrate)
    except (OSError, TimeoutError, DatabaseError) as exc:
        where = database.engine.url.render_as_string(hide_password=True)
        raise SettingsError(
            f"the database {where} cannot be reached or used ({type(exc).__name__}). "
            "Check that it runs, and CITESTREAM_DATABASE_URL or CITESTREAM_DATA_DIR."
        ) from exc


def migrate(connection: Connection) -> None:
    """Bring the schema up to date inside the connection's transaction. Raises DatabaseNewer."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in known:
        where = connection.engine.url.render_as_string(hide_password=True)
        raise DatabaseNewer(
            f"{where} was written by a newer citestream (schema {found}). Upgrade citestream, or set "
            "CITESTREAM_DATA_DIR or CITESTREAM_DATABASE_URL to another place."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _begin(connection: Connection) -> None:
    """Begin a transaction: the driver would not before a savepoint. A write takes its lock at once, so it can wait."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # _begin does it
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
