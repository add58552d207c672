"""What servers gave with pages for asking again, kept in the data folder: losing it costs one full fetch."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingest.web.fetch import Validators

FILE_NAME = "web.db"
WAIT_S = 10.0
TABLE = """
CREATE TABLE IF NOT EXISTS pages (
    collection TEXT NOT NULL,
    url TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    etag TEXT NOT NULL,
    last_modified TEXT NOT NULL,
    PRIMARY KEY (collection, url)
)
"""


@dataclass(frozen=True)
class Remembered:
    """The content that validators were given with, by its hash. They hold while the index has just that content."""

    sha256: str
    validators: Validators


class Memory:
    """The pages' validators, by collection and address."""

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / FILE_NAME

    def recall(self, collection: str) -> dict[str, Remembered]:
        """What is remembered of a collection's pages; nothing where the file is damaged, which begins anew."""
        if not self._file.exists():
            return {}
        try:
            with self._open() as connection:
                rows = connection.execute(
                    "SELECT url, sha256, etag, last_modified FROM pages WHERE collection = ?", (collection,)
                )
                return {url: Remembered(sha256, Validators(etag, modified)) for url, sha256, etag, modified in rows}
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self._file.unlink(missing_ok=True)
            return {}

    def keep(self, collection: str, pages: Mapping[str, Remembered], documents: Collection[str]) -> None:
        """Remember pages, and forget those that are neither among them nor among the collection's `documents`."""
        if not pages and not self._file.exists():
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        known = [url for url in self.recall(collection) if url not in documents and url not in pages]
        rows = [
            (collection, url, page.sha256, page.validators.etag, page.validators.last_modified)
            for url, page in pages.items()
        ]
        with self._open() as connection:
            connection.executemany(
                "DELETE FROM pages WHERE collection = ? AND url = ?", [(collection, url) for url in known]
            )
            connection.executemany("INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, timeout=WAIT_S)) as connection, connection:
            connection.execute(TABLE)
            yield connection
