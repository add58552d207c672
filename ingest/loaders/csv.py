"""CSV: records by the names of their columns, whatever separates them."""

import csv
import sys
from collections.abc import Iterator
from io import StringIO

from ingest.loaders import Loaded, Unreadable
from ingest.loaders.encoding import decode
from ingest.loaders.language import language_of
from ingest.loaders.pieces import assemble
from ingest.loaders.rows import Row, pieces_of_rows

SAMPLE_CHARS = 16_384
SEPARATORS = ",;\t|"

# The default refuses a cell of more than 128 KB, which notes in exports have.
csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


def load(data: bytes, name: str) -> Loaded:
    """Read records; a row's number counts records, as spreadsheets show them, not lines."""
    text, blocks = assemble(pieces_of_rows(_rows(decode(data), name)))
    return Loaded(text, name, language_of(text), "csv", tuple(blocks))


def _rows(text: str, name: str) -> Iterator[Row]:
    try:
        reader = csv.reader(StringIO(text, newline=""), _dialect(text, name))
        yield from enumerate(reader, start=1)
    except csv.Error as exc:
        raise Unreadable("malformed", "not separated values that can be read") from exc


def _dialect(text: str, name: str) -> type[csv.Dialect]:
    if name.lower().endswith((".tsv", ".tab")):
        return csv.excel_tab
    try:
        return csv.Sniffer().sniff(text[:SAMPLE_CHARS], SEPARATORS)
    except csv.Error:  # one column, or too few rows to tell
        return csv.excel
