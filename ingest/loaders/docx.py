"""DOCX: paragraphs, lists and tables in the order of the document, with headings by their styles."""

import re
from collections.abc import Iterator
from io import BytesIO
from itertools import count
from typing import Any

from docx import Document
from docx.oxml import parse_xml
from docx.oxml.ns import qn

from ingest.loaders import Loaded
from ingest.loaders.language import language_of
from ingest.loaders.packages import foreign_parser, open_package
from ingest.loaders.pieces import Piece, assemble

HEADING = re.compile(r"(?:heading|überschrift|titre|标题|見出し)\s*(\d)", re.IGNORECASE)
NOTES = ("footnotes", "endnotes")
# What stands in a paragraph but is no text of it: boxes have paragraphs of their own, the fallback repeats them.
BOX, FALLBACK = qn("w:txbxContent"), "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
PARAGRAPH, TABLE = qn("w:p"), qn("w:tbl")
CHARACTERS = {qn("w:tab"): " ", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
TEXT = qn("w:t")


def load(data: bytes, name: str) -> Loaded:
    """Read the body with its text boxes, then foot- and endnotes. Deleted text of tracked changes is left out."""
    with open_package(data, "[Content_Types].xml"), foreign_parser("a Word document (Strict Open XML is none)"):
        document = Document(BytesIO(data))
        reader = _Reader({style.style_id: style.name or "" for style in document.styles})
        pieces = [*reader.pieces(document.element.body), *reader.notes(document)]
    text, blocks = assemble(pieces)
    first = next((piece.text for piece in pieces if piece.kind == "heading"), "")
    title = " ".join((document.core_properties.title or "").split()) or first or name
    return Loaded(text, title, language_of(text), "docx", tuple(blocks))


class _Reader:
    def __init__(self, styles: dict[str, str]) -> None:
        self._styles = styles
        self._groups = count(1)
        self._list = 0

    def pieces(self, element: Any) -> Iterator[Piece]:
        """The paragraphs and tables below an element, outermost first."""
        for child in element:
            if child.tag == PARAGRAPH:
                yield from self._paragraph(child)
                for box in _boxes(child):
                    yield from self.pieces(box)
            elif child.tag == TABLE:
                self._list = 0
                yield from _rows(child, next(self._groups))
            elif child.tag != FALLBACK:
                yield from self.pieces(child)

    def notes(self, document: Any) -> Iterator[Piece]:
        for relation in document.part.rels.values():
            if not relation.is_external and relation.reltype.rsplit("/", 1)[-1] in NOTES:
                yield from self.pieces(parse_xml(relation.target_part.blob))

    def _paragraph(self, element: Any) -> Iterator[Piece]:
        text = " ".join(_text(element).split(" ")).strip()
        if not text:
            return
        level, listed = self._level(element), element.find(f".//{qn('w:numPr')}") is not None
        if level:
            self._list = 0
            yield Piece("heading", " ".join(text.split()), level=level)
        elif listed or self._style(element).lower().startswith("list"):
            self._list = self._list or next(self._groups)
            yield Piece("list", f"- {text}", self._list)
        else:
            self._list = 0
            yield Piece("paragraph", text, next(self._groups))

    def _style(self, element: Any) -> str:
        style = element.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
        return self._styles.get(style.get(qn("w:val")), "") if style is not None else ""

    def _level(self, element: Any) -> int:
        """1 for a title and for the first level of headings, 0 for text."""
        name = self._style(element)
        found = HEADING.match(name)
        outline = element.find(f"{qn('w:pPr')}/{qn('w:outlineLvl')}")
        if found:
            return int(found[1])
        if outline is not None and outline.get(qn("w:val"), "9").isdecimal() and int(outline.get(qn("w:val"), "9")) < 9:
            return int(outline.get(qn("w:val"))) + 1
        return int(name.lower() == "title")


def _rows(table: Any, group: int) -> Iterator[Piece]:
    for row in table.iter(qn("w:tr")):
        if next(row.iterancestors(TABLE)) is not table:
            continue  # of a table in a cell, whose text the cell has
        cells = [" ".join(_text(cell).split()) for cell in row.iterchildren(qn("w:tc"))]
        if any(cells):
            yield Piece("table", " | ".join(cells), group)


def _boxes(paragraph: Any) -> Iterator[Any]:
    for box in paragraph.iter(BOX):
        above = list(box.iterancestors())
        inside = above[: above.index(paragraph)]
        if not any(element.tag in (FALLBACK, BOX) for element in inside):
            yield box


def _text(element: Any) -> str:
    """The text in an element; paragraphs within, as in a cell, are lines."""
    parts: list[str] = []

    def walk(node: Any) -> None:
        for child in node:
            if child.tag == TEXT:
                parts.append(child.text or "")
            elif child.tag in CHARACTERS:
                parts.append(CHARACTERS[child.tag])
            elif child.tag not in (BOX, FALLBACK):
                walk(child)
                if child.tag == PARAGRAPH:
                    parts.append("\n")

    walk(element)
    return "".join(parts)
