"""The tables of the library, and the SQLite file that holds them."""

from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from sqlalchemy import (
    Column,
    Connection,
    Dialect,
    Engine,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DatabaseError

from graph.disk import full, is_full
from graph.errors import IndexMismatch, IndexUnusable

SCHEMA_VERSION = 3
FILE_NAME = "library.db"
LOCK_NAME = "library.lock"

VersionState = Literal["staged", "live", "replaced", "removed", "kept"]
"""`staged`: seen by nobody; `replaced` and `removed`: no longer live, but still in the indexes; `kept`: text alone."""

ENDED: tuple[VersionState, ...] = ("replaced", "removed")
UNFINISHED: tuple[VersionState, ...] = ("staged", *ENDED)
"""States in which the indexes may have chunks that are not live."""


class Blob(LargeBinary):
    """Bytes as sqlite3 takes and gives them: SQLAlchemy's own wraps each, which costs more than to look for it."""

    def bind_processor(self, dialect: Dialect) -> None:
        """Nothing is done to what is stored."""

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """Nothing is done to what is read."""


metadata = MetaData()
meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", Integer, nullable=False))
collections = Table(
    "collections",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("embedding", String, nullable=False),
    Column("chunker", String, nullable=False),
    Column("created_at", String, nullable=False),
    Column("index_id", String),
)
"""`index_id` names what Chroma and tantivy hold of a collection."""
spare_indexes = Table(
    "spare_indexes",
    metadata,
    Column("id", String, primary_key=True),
    Column("collection_id", ForeignKey("collections.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("embedding", String, nullable=False),
    Column("chunker", String, nullable=False),
    Column("live_until", Integer),
)
"""Indexes beside those in use: one that is being built (`live_until` is null), and ones that a generation replaced."""
documents = Table(
    "documents",
    metadata,
    Column("id", String, primary_key=True),
    Column("collection_id", ForeignKey("collections.id"), nullable=False),
    Column("source", String, nullable=False),
    Column("path", String, nullable=False),
    Column("live_version", String),
    Index("documents_path", "collection_id", "path", unique=True),
    Index("documents_source", "collection_id", "source", unique=True),
)
versions = Table(
    "versions",
    metadata,
    Column("id", String, primary_key=True),
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("state", String, nullable=False),
    Column("format", String, nullable=False),
    Column("title", String, nullable=False),
    Column("lang", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("mtime_ns", Integer, nullable=False),
    Column("loader", String, nullable=False),
    Column("ingested_at", String, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("live_from", Integer),
    Column("live_until", Integer),
    Column("blocks", Blob),
    Index("versions_state", "state"),
)
"""A version is live in the generations from `live_from` on, up to but without `live_until`.

`blocks` is how its text is structured (graph/library/structure.py); null in versions of schema 2.
"""
chunks = Table(
    "chunks",
    metadata,
    Column("id", String, primary_key=True),
    Column("version_id", ForeignKey("versions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("page", Integer),
    Column("heading", String, nullable=False),
    Column("text_hash", Blob),
    Index("chunks_text_hash", "text_hash"),
)
UPGRADES: dict[int, tuple[str, ...]] = {
    2: (
        "ALTER TABLE versions ADD COLUMN live_from INTEGER",
        "ALTER TABLE versions ADD COLUMN live_until INTEGER",
        "UPDATE versions SET live_from = 0 WHERE state != 'staged'",
        "UPDATE versions SET live_until = 0 WHERE state = 'replaced'",
        "CREATE INDEX versions_state ON versions (state)",
        "ALTER TABLE chunks ADD COLUMN text_hash BLOB",
        "CREATE INDEX chunks_text_hash ON chunks (text_hash)",
    ),
    3: (
        "ALTER TABLE collections ADD COLUMN index_id VARCHAR",
        "UPDATE collections SET index_id = id",
        "ALTER TABLE versions ADD COLUMN blocks BLOB",
    ),
}
"""What makes a file of the schema before one of this schema."""


MAPPED_BYTES = 256 * 2**20
"""How much of the file is read where the system has it, not through copies: a search's 110 chunks in 3.8 ms, not 7."""


def open_engine(data_dir: Path) -> Engine:
    """The library's file in `data_dir`, with its tables; both are made when missing.

    Raises IndexMismatch when a newer citestream wrote it, and IndexUnusable when it cannot be opened.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / FILE_NAME
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 10})
    event.listen(engine, "connect", _set_pragmas)
    try:
        # One after the other: two that make tables, or SQLite's WAL mode, in one new file fail.
        with FileLock(data_dir / LOCK_NAME):
            metadata.create_all(engine)
            with engine.begin() as connection:
                _check_schema(connection, path)
    except DatabaseError as exc:
        if is_full(exc, data_dir):
            raise full(data_dir) from exc
        raise IndexUnusable(
            f"{path} cannot be opened: {exc.orig}. If its folder may be written and its disk is not full, the file is "
            "damaged: move the data folder away and ingest again."
        ) from exc
    return engine


_GENERATION = select(meta.c.value).where(meta.c.key == "generation")


def generation_of(connection: Connection) -> int:
    """A number that grows whenever what is live changes."""
    return int(connection.execute(_GENERATION).scalar_one())


def bump_generation(connection: Connection) -> int:
    """Tell readers that what is live has changed; the new number."""
    connection.execute(update(meta).where(meta.c.key == "generation").values(value=meta.c.value + 1))
    return generation_of(connection)


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")


def _check_schema(connection: Connection, path: Path) -> None:
    found = connection.execute(select(meta.c.value).where(meta.c.key == "schema")).scalar_one_or_none()
    if found is None:
        values = [{"key": "schema", "value": SCHEMA_VERSION}, {"key": "generation", "value": 0}]
        connection.execute(insert(meta).prefix_with("OR IGNORE"), values)
    elif found > SCHEMA_VERSION:
        raise IndexMismatch(
            f"{path} was written by a newer citestream (schema {found}, this one knows {SCHEMA_VERSION}). "
            "Upgrade citestream, or set CITESTREAM_DATA_DIR to another folder."
        )
    elif found < SCHEMA_VERSION:
        _upgrade(connection, found)


def _upgrade(connection: Connection, found: int) -> None:
    # In one transaction, which SQLite's ALTER TABLE does not begin by itself.
    connection.execute(update(meta).where(meta.c.key == "schema").values(value=found))
    for schema in range(found + 1, SCHEMA_VERSION + 1):
        for statement in UPGRADES[schema]:
            connection.exec_driver_sql(statement)
    connection.execute(update(meta).where(meta.c.key == "schema").values(value=SCHEMA_VERSION))
