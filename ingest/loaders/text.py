"""Plain text: verbatim, in paragraphs, with headings where a line is underlined."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from graph.library import Block, Kind
from ingest.loaders import Loaded
from ingest.loaders.encoding import decode
from ingest.loaders.language import language_of
from ingest.loaders.outline import Outline

LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
UNDERLINE = re.compile(r"([=\-~^\"'`*+#:.])\1{2,}[ \t]*\Z")
# "::" at the end of a paragraph, and a code directive, announce indented literal text (reStructuredText).
LITERAL = re.compile(r"(?:\s*\.\. (?:code|code-block|sourcecode|parsed-literal)::.*|.*::\s*)\Z", re.DOTALL)
TABLE = re.compile(r"[ \t]*(?:\+[-=+]{3,}|\|.*\||=+(?: +=+)+)[ \t]*\Z")


class Line(NamedTuple):
    """A line without its end, and where it is."""

    start: int
    end: int
    text: str


def load(data: bytes, name: str) -> Loaded:
    """Read text as it is: the canonical text is the decoded file, line ends included."""
    text = decode(data)
    blocks = tuple(_blocks(_paragraphs(lines_of(text))))
    titles = (block.heading[0] for block in blocks if block.heading)
    return Loaded(text=text, title=next(titles, name), lang=language_of(text), format="text", blocks=blocks)


def lines_of(text: str) -> list[Line]:
    """The lines of `text`, ended by CRLF, CR or LF."""
    return [Line(found.start(1), found.end(1), found[1]) for found in LINE.finditer(text)]


def _paragraphs(lines: list[Line]) -> Iterator[list[Line]]:
    paragraph: list[Line] = []
    for line in lines:
        if line.text.strip():
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []
    if paragraph:
        yield paragraph


def _blocks(paragraphs: Iterator[list[Line]]) -> Iterator[Block]:
    outline = Outline()
    styles: list[tuple[str, bool]] = []
    literal = False
    for paragraph in paragraphs:
        for lines, kind in _split_headings(paragraph):
            if kind == "heading":
                outline.enter(_title(lines), _level(lines, styles))
                yield _block(lines, kind, outline.path)
                literal = False
                continue
            literal = literal and all(line.text[:1].isspace() for line in lines)
            yield _block(lines, "code" if literal else kind, outline.path)
            literal = literal or bool(LITERAL.match(lines[0].text) or LITERAL.match(lines[-1].text))


def _split_headings(paragraph: list[Line]) -> Iterator[tuple[list[Line], Kind]]:
    """Take an underlined title, with or without a line above it, off the front of a paragraph."""
    rest = paragraph
    if len(rest) >= 3 and _is_underline(rest[0], rest[1]) and _is_underline(rest[2], rest[1]):
        yield rest[:3], "heading"
        rest = rest[3:]
    elif len(rest) >= 2 and _is_underline(rest[1], rest[0]):
        yield rest[:2], "heading"
        rest = rest[2:]
    if rest:
        yield rest, "table" if TABLE.match(rest[0].text) and TABLE.match(rest[-1].text) else "paragraph"


def _is_underline(line: Line, title: Line) -> bool:
    words = title.text.strip()
    if not UNDERLINE.match(line.text) or not any(char.isalnum() for char in words):
        return False
    return len(line.text.strip()) >= 0.8 * len(words) and len(words) <= 200


def _title(lines: list[Line]) -> str:
    return lines[-2].text.strip()


def _level(lines: list[Line], styles: list[tuple[str, bool]]) -> int:
    """Level of a heading: its style counts in the order in which the document first uses it."""
    style = (lines[-1].text.strip()[0], len(lines) == 3)
    if style not in styles:
        styles.append(style)
    return styles.index(style)


def _block(lines: list[Line], kind: Kind, heading: tuple[str, ...]) -> Block:
    first, last = lines[0], lines[-1]
    start = first.start + len(first.text) - len(first.text.lstrip())
    return Block(start, last.start + len(last.text.rstrip()), kind, heading)
