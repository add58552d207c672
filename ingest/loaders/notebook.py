"""Notebooks: Markdown and code cell by cell, with the text that the code has printed."""

from collections.abc import Iterator
from typing import Any

from ingest.loaders import Loaded, Unreadable, markdown
from ingest.loaders.encoding import decode
from ingest.loaders.json import parsed, shown
from ingest.loaders.language import language_of
from ingest.loaders.pieces import Piece, assemble

OUTPUT_CHARS = 4000
"""Of what a cell has printed: a table or a message, no logs of hours."""


def load(data: bytes, name: str) -> Loaded:
    """Read the cells in order; a cell's number is its place. Pictures and other data are left out."""
    notebook = parsed(decode(data))
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise Unreadable("malformed", "not a notebook of format 4; open it in Jupyter and save it anew")
    pieces = [piece for number, cell in enumerate(cells, start=1) for piece in _cell(cell, number)]
    text, blocks = assemble(pieces)
    first = next((piece.text for piece in pieces if piece.kind == "heading"), "")
    return Loaded(text, first or name, language_of(text), "notebook", tuple(blocks))


def _cell(cell: dict[str, Any], number: int) -> Iterator[Piece]:
    place = f"cell {number}"
    source = shown(_joined(cell.get("source")))
    if cell.get("cell_type") == "markdown":
        for kind, text, level in markdown.outermost(source):
            yield Piece(kind, text, level=level, place="" if level else place)
    else:
        yield Piece("code" if cell.get("cell_type") == "code" else "paragraph", source, place=place)
    for output in cell.get("outputs") or ():
        yield Piece("code", shown(_printed(output))[:OUTPUT_CHARS], place=f"{place}, output")


def _printed(output: Any) -> str:
    if not isinstance(output, dict):
        return ""
    if output.get("output_type") == "stream":
        return _joined(output.get("text"))
    if output.get("output_type") == "error":
        return f"{output.get('ename', '')}: {output.get('evalue', '')}"
    shown_as = output.get("data")
    return _joined(shown_as.get("text/plain")) if isinstance(shown_as, dict) else ""


def _joined(text: Any) -> str:
    """Text that is stored as one string or as a list of lines."""
    if isinstance(text, list):
        return "".join(part for part in text if isinstance(part, str))
    return text if isinstance(text, str) else ""
