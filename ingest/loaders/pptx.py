"""PPTX: slide by slide, titles as headings, with tables and the speaker's notes."""

from collections.abc import Iterator
from io import BytesIO
from itertools import count
from typing import Any

from pptx import Presentation

from ingest.loaders import Loaded
from ingest.loaders.language import language_of
from ingest.loaders.packages import foreign_parser, open_package
from ingest.loaders.pieces import Piece, assemble

NOTES = "notes"


def load(data: bytes, name: str) -> Loaded:
    """Read the slides in their order; a slide's number counts as its page."""
    with open_package(data, "[Content_Types].xml"), foreign_parser("a presentation"):
        presentation = Presentation(BytesIO(data))
        groups = count(1)
        pieces = [
            piece
            for number, slide in enumerate(presentation.slides, start=1)
            for piece in _slide(slide, number, groups)
        ]
        title = " ".join((presentation.core_properties.title or "").split())
    text, blocks = assemble(pieces)
    first = next((piece.text for piece in pieces if piece.kind == "heading"), "")
    useless = not title or title.lower() in ("powerpoint presentation", "presentation")
    return Loaded(text, (first or name) if useless else title, language_of(text), "pptx", tuple(blocks))


def _slide(slide: Any, number: int, groups: Iterator[int]) -> Iterator[Piece]:
    title = slide.shapes.title
    heading = " ".join(title.text_frame.text.split()) if title is not None and title.has_text_frame else ""
    # A slide without a title ends the section of the slide before.
    yield Piece("heading", heading or f"Slide {number}", level=1, page=number)
    for shape in _shapes(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            yield from _shape(shape, number, groups)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = _lines(slide.notes_slide.notes_text_frame)
        yield Piece("paragraph", "\n".join(notes), next(groups), page=number, place=NOTES)


def _shapes(shapes: Any) -> Iterator[Any]:
    """Shapes from top to bottom as they were put there, those of groups in place of the group."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _shape(shape: Any, number: int, groups: Iterator[int]) -> Iterator[Piece]:
    group = next(groups)
    if getattr(shape, "has_table", False):
        for row in shape.table.rows:
            cells = [" ".join(cell.text_frame.text.split()) for cell in row.cells]
            yield Piece("table", " | ".join(cells) if any(cells) else "", group, page=number)
    elif getattr(shape, "has_chart", False):
        yield Piece("table", "\n".join(_chart(shape.chart)), group, page=number)
    elif shape.has_text_frame:
        lines = _lines(shape.text_frame)
        if len(lines) > 1:
            yield from (Piece("list", f"- {line}", group, page=number) for line in lines)
        else:
            yield from (Piece("paragraph", line, group, page=number) for line in lines)


def _lines(frame: Any) -> list[str]:
    lines = (" ".join(paragraph.text.split()) for paragraph in frame.paragraphs)
    return [line for line in lines if line]


def _chart(chart: Any) -> Iterator[str]:
    """A chart as a table: a line a series."""
    if chart.has_title and chart.chart_title.has_text_frame:
        yield chart.chart_title.text_frame.text
    for plot in chart.plots:
        categories = [str(category) for category in plot.categories]
        for series in plot.series:
            values = ("" if value is None else f"{value:g}" for value in series.values)
            named = zip(categories, values, strict=False)
            yield f"{series.name}: " + " | ".join(f"{category}: {value}" for category, value in named)
