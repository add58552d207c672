"""XLSX: the rows of every sheet by the names of their columns."""

from collections.abc import Iterator
from datetime import date, datetime, time
from io import BytesIO
from typing import Any

from openpyxl import load_workbook

from ingest.loaders import Loaded, Unreadable
from ingest.loaders.language import language_of
from ingest.loaders.packages import foreign_parser, open_package
from ingest.loaders.pieces import Piece, assemble
from ingest.loaders.rows import Row, pieces_of_rows

MAX_CELLS = 5_000_000
"""Cells looked at in a workbook: one filled cell far away makes a sheet of them."""


def load(data: bytes, name: str) -> Loaded:
    """Read values as last computed; a sheet's name is a heading, and cells without a value show their formula."""
    with open_package(data, "[Content_Types].xml"), foreign_parser("a workbook"):
        pieces = list(_pieces(data))
    text, blocks = assemble(pieces)
    return Loaded(text, name, language_of(text), "xlsx", tuple(blocks))


def _pieces(data: bytes) -> Iterator[Piece]:
    workbook = load_workbook(BytesIO(data), read_only=True, data_only=True)
    formulas: Any = None
    for sheet in workbook.worksheets:
        rows = list(pieces_of_rows(_rows(sheet)))
        if not rows:  # written by a program that computes nothing
            formulas = formulas or load_workbook(BytesIO(data), read_only=True)
            rows = list(pieces_of_rows(_rows(formulas[sheet.title])))
        if rows:
            yield Piece("heading", sheet.title, level=1)
            yield from rows


def _rows(sheet: Any) -> Iterator[Row]:
    looked_at = 0
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        looked_at += len(row) or 1
        if looked_at > MAX_CELLS:
            raise Unreadable("too-large", f"more than {MAX_CELLS:,} cells")
        if any(value is not None for value in row):
            yield number, [_shown(value) for value in row]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime):
        return value.isoformat(" ", "minutes") if value.time() != time() else value.date().isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)
