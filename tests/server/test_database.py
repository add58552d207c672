"""The database of the conversations: made, migrated, and refused when it is from the future."""

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from server.app import ABANDONED
from server.database import FILE_NAME, metadata, migrate, open_database
from server.errors import DatabaseNewer
from server.record import Record, now
from server.threads import ABANDONED_EVENT, Threads


def tables(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        found = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
    connection.close()
    return found


def test_migrations_make_the_tables_from_nothing_and_run_again_without_harm(tmp_path: Path) -> None:
    path = tmp_path / "100% new" / FILE_NAME
    migrate(path)
    migrate(path)

    assert {"threads", "turns", "alembic_version"} <= tables(path)


def test_migrations_lead_to_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    migrate(tmp_path / FILE_NAME)
    engine = create_engine(f"sqlite:///{tmp_path / FILE_NAME}")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()

    assert differences == []


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    migrate(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    before = path.read_bytes()

    with pytest.raises(DatabaseNewer, match="9999"):
        migrate(path)
    assert path.read_bytes() == before


async def test_connections_wait_for_locks_and_keep_foreign_keys(tmp_path: Path) -> None:
    async with open_database(tmp_path) as engine, engine.connect() as connection:
        values = [
            (await connection.execute(text(f"pragma {name}"))).scalar_one()
            for name in ("journal_mode", "busy_timeout", "foreign_keys")
        ]

    assert values == ["wal", 5000, 1]


async def test_a_turn_that_was_running_when_its_process_died_has_failed(tmp_path: Path) -> None:
    record = Record("run-of-mine", "thread", "message", "Cats?", now(), "fake")
    async with open_database(tmp_path) as engine:
        await Threads(engine).begin_turn(record, new_thread=True)
    async with open_database(tmp_path) as engine:
        await Threads(engine).fail_running(ABANDONED)
        found = await Threads(engine).turn("run-of-mine")

    assert found is not None
    assert (found.status, found.error, found.last_event) == ("failed", ABANDONED, ABANDONED_EVENT)
