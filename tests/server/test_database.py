"""The database of the conversations: made, migrated, and refused when it is from the future."""

import asyncio
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, event, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from graph.errors import SettingsError
from graph.settings import Settings
from server.database import FILE_NAME, SqliteDatabase, Work, metadata, open_database, threads
from server.errors import DatabaseNewer


async def test_migrations_make_the_tables_from_nothing_and_run_again_without_harm(conversations: Settings) -> None:
    for _ in range(2):
        async with open_database(conversations) as database:
            found = await database.read(lambda connection: set(inspect(connection).get_table_names()))
            assert {"threads", "turns", "workers", "alembic_version"} <= found


async def test_migrations_lead_to_the_tables_that_the_code_uses(conversations: Settings) -> None:
    def compare(connection: Connection) -> list[Any]:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    async with open_database(conversations) as database:
        assert await database.read(compare) == []


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(conversations: Settings) -> None:
    newer = text("update alembic_version set version_num = '9999'")
    async with open_database(conversations) as database:
        await database.write(lambda connection: connection.execute(newer).close())

    with pytest.raises(DatabaseNewer, match="9999"):
        async with open_database(conversations):
            pytest.fail("it was opened")
    with pytest.raises(DatabaseNewer, match="9999"):
        async with open_database(conversations):
            pytest.fail("it was opened")


async def test_processes_that_start_at_once_migrate_one_after_the_other(postgres: Settings) -> None:
    async def open_and_look() -> int:
        async with open_database(postgres) as database:
            count = text("select count(*) from turns")
            return int(await database.read(lambda connection: connection.execute(count).scalar_one()))

    assert await asyncio.gather(*(open_and_look() for _ in range(5))) == [0] * 5


async def test_a_first_version_s_conversations_are_kept(tmp_path: Path) -> None:
    """The schema as 0001 left it, with a turn that ended and one that was running."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    from server.database import MIGRATIONS
    from server.threads import Threads

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    engine = create_engine(f"sqlite:///{tmp_path / FILE_NAME}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text("insert into threads values ('t', 'local', 'Cats?', '2026', '2026')"))
        for position, status, answer in ((1, "completed", "They sleep."), (2, "running", "")):
            connection.execute(
                text(
                    "insert into turns (position, run_id, owner, thread_id, message_id, model, question, status,"
                    " answer, citations, statuses, cited, last_event, created_at) values"
                    f" ({position}, 'run-{position}', 'local', 't', 'm{position}', 'fake', 'Q?', '{status}',"
                    f" '{answer}', '[]', '[]', '[]', 3, '2026-11-01T00:00:00+00:00')"
                )
            )
    engine.dispose()

    async with open_database(Settings(data_dir=tmp_path)) as opened:
        store = Threads(opened)
        failed = await store.fail_orphans({"code": "server_restart", "message": "gone", "retryable": True})
        assert failed == ["run-2"]
        assert (await store.history("t")).turns == ((1, "Q?", "They sleep."),)
        assert await store.give_feedback("m1", {"score": 1, "comment": None})


async def test_connections_wait_for_locks_and_keep_foreign_keys(tmp_path: Path) -> None:
    def look(connection: Connection) -> list[Any]:
        names = ("journal_mode", "busy_timeout", "foreign_keys")
        return [connection.execute(text(f"pragma {name}")).scalar_one() for name in names]

    async with open_database(Settings(data_dir=tmp_path)) as database:
        values = await database.read(look)

    assert values == ["wal", 3000, 1]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://u:hidden-word@127.0.0.1:1/x", "cannot be reached"),
        ("mysql://u:hidden-word@h/x", "mysql:// is not known"),
        ("hidden-word", "is no URL"),
    ],
)
async def test_a_database_that_cannot_be_had_is_told_without_its_password(
    tmp_path: Path, url: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        async with open_database(Settings(data_dir=tmp_path, database_url=url)):
            pytest.fail("it was opened")
    assert "hidden-word" not in caught.value.message


async def test_a_file_that_is_no_database_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 200)
    with pytest.raises(SettingsError, match=FILE_NAME):
        async with open_database(Settings(data_dir=tmp_path)):
            pytest.fail("it was opened")


def test_the_sqlite_file_can_be_read_by_others(tmp_path: Path) -> None:
    async def make() -> None:
        async with open_database(Settings(data_dir=tmp_path / "100% new")):
            pass

    asyncio.run(make())
    with sqlite3.connect(tmp_path / "100% new" / FILE_NAME) as connection:
        assert connection.execute("select count(*) from threads").fetchone() == (0,)
    connection.close()


async def test_writes_that_wait_share_a_commit_and_one_that_fails_takes_no_other_with_it(
    conversations: Settings,
) -> None:
    made: list[str] = []

    def adding(name: str, *, fails: bool = False) -> Work[str]:
        def work(connection: Connection) -> str:
            row = {"id": name, "title": name, "created_at": "2026", "updated_at": "2026"}
            connection.execute(insert(threads).values(**row))
            if fails:
                raise LookupError(name)
            return name

        return work

    async with open_database(conversations) as database:
        if isinstance(database, SqliteDatabase):
            event.listen(database.engine, "commit", lambda _connection: made.append("commit"))
        works = [adding(str(n), fails=n % 3 == 1) for n in range(20)]
        outcomes = await asyncio.gather(*map(database.write, works), return_exceptions=True)
        kept = await database.read(lambda connection: set(connection.execute(select(threads.c.id)).scalars()))
        with pytest.raises(IntegrityError):
            await database.write(adding("0"))
    assert kept == {str(n) for n in range(20) if n % 3 != 1}
    assert [isinstance(outcome, LookupError) for outcome in outcomes] == [n % 3 == 1 for n in range(20)]
    assert len(made) <= 2


async def test_a_write_whose_caller_has_gone_is_not_begun(tmp_path: Path) -> None:
    """One that stayed in the queue kept the event loop busy for ever, which no timeout of a test may end unseen."""
    began = time.monotonic()
    begun: list[int] = []
    begins, goes_on = threading.Event(), threading.Event()

    def first(_: Connection) -> None:
        begins.set()
        goes_on.wait(10)

    async with open_database(Settings(data_dir=tmp_path)) as database:
        slow = asyncio.create_task(database.write(first))
        await asyncio.to_thread(begins.wait, 10)
        writing = [asyncio.create_task(database.write(lambda _, n=n: begun.append(n))) for n in range(3)]  # type: ignore[misc]
        await asyncio.sleep(0)
        writing[1].cancel()
        await asyncio.sleep(0)
        goes_on.set()
        await asyncio.wait([slow, *writing])
        last = asyncio.create_task(database.write(lambda _: None))
        await asyncio.sleep(0)
        last.cancel()
        await asyncio.wait([last])
    assert begun == [0, 2]
    assert time.monotonic() - began < 60
