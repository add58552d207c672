"""Pieces: what a loader takes out of a format without lines of its own, and how it becomes canonical text."""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from graph.library import Block, Kind
from ingest.loaders.outline import Outline


class Piece(NamedTuple):
    """Text on its way to a block.

    Neighbours of one kind, `page`, `place` and `group` (0: none) become one block, a line each. A heading has a
    `level` from 1. `place` says where in the document it stands, such as `rows 2-9`; it ends the block's heading.
    """

    kind: Kind
    text: str
    group: int = 0
    level: int = 0
    page: int | None = None
    place: str = ""


def assemble(pieces: Iterable[Piece]) -> tuple[str, list[Block]]:
    """The canonical text of pieces, an empty line between blocks, and the blocks under their headings."""
    outline = Outline()
    parts: list[str] = []
    blocks: list[Block] = []
    position = 0
    previous = Piece("paragraph", "")
    for piece in pieces:
        if not piece.text:
            continue
        joined = bool(piece.group) and piece[2:] == previous[2:] and piece.kind == previous.kind
        gap = "" if not parts else "\n" if joined else "\n\n"
        start = position + len(gap)
        position = start + len(piece.text)
        parts += (gap, piece.text)
        if piece.kind == "heading":
            outline.enter(piece.text, piece.level)
        if joined:
            blocks[-1] = replace(blocks[-1], end=position)
        else:
            heading = (*outline.path, piece.place) if piece.place else outline.path
            blocks.append(Block(start, position, piece.kind, heading, piece.page))
        previous = piece
    return "".join(parts), blocks
