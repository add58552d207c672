"""The database of the conversations: its tables, opening it, and bringing its schema up to date."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    Column,
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
)
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from server.errors import DatabaseNewer

FILE_NAME = "threads.db"
MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 5_000

metadata = MetaData()
threads = Table(
    "threads",
    metadata,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False, server_default="local"),
    Column("title", String, nullable=False),
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    Index("threads_newest", "owner", "updated_at", "id"),
)
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
    UniqueConstraint("owner", "run_id", name="turns_run"),
    Index("turns_of_thread", "thread_id", "position"),
    sqlite_autoincrement=True,
)
"""Times are ISO 8601 in UTC with microseconds, so that they sort as text."""


@asynccontextmanager
async def open_database(data_dir: Path) -> AsyncGenerator[AsyncEngine]:
    """The conversations' database in `data_dir`, made or migrated when needed.

    Raises DatabaseNewer when a newer citestream wrote it.
    """
    path = data_dir / FILE_NAME
    await anyio.to_thread.run_sync(migrate, path)
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    event.listen(engine.sync_engine, "connect", _set_pragmas)
    try:
        yield engine
    finally:
        await engine.dispose()


def migrate(path: Path) -> None:
    """Bring the database at `path` to the newest schema. Raises DatabaseNewer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _set_pragmas)
    try:
        with engine.begin() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
            if found is not None and found not in known:
                raise DatabaseNewer(
                    f"{path} was written by a newer citestream (schema {found}). "
                    "Upgrade citestream, or set CITESTREAM_DATA_DIR to another folder."
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
