"""Source code: verbatim, cut where definitions begin."""

import re
from collections.abc import Iterator

from graph.library import Block
from ingest.loaders import Loaded
from ingest.loaders.encoding import decode
from ingest.loaders.language import language_of
from ingest.loaders.outline import Outline
from ingest.loaders.text import Line, lines_of

# A definition, by the words that many languages begin one with: def f(, async def, class C, fn, func, function,
# interface, struct, enum, trait, impl, module, type T, CREATE TABLE; and its name.
DEFINITION = re.compile(
    r"(?P<indent>[ \t]*)(?:(?:export|default|public|private|protected|internal|static|final|abstract|async"
    r"|pub(?:\([^)]*\))?"
    r"|unsafe|extern|override|virtual|inline|const|sealed|data|open)\s+)*"
    r"(?:def|class|fn|func|fun|function\*?|interface|struct|enum|trait|impl(?:<[^>]*>)?|module|mod|namespace"
    r"|protocol|object|type|record|sub|proc|defmodule|(?i:CREATE\s+(?:OR\s+REPLACE\s+)?(?:TABLE|VIEW|FUNCTION|INDEX)))\s+"
    r"(?:\([^)]*\)\s*)?(?P<name>[\w.$:]+)"
)
# What stands above a definition and belongs to it.
ABOVE = re.compile(r"[ \t]*(?:@|#\[|//|#(?!include|define|if|end|pragma)|/?\*|--|\"\"\")")
TAB = 4


def load(data: bytes, name: str) -> Loaded:
    """Read code as it is written; the names of the definitions around a place are its headings."""
    text = decode(data)
    lines = lines_of(text)
    blocks = tuple(_blocks(text, lines))
    return Loaded(text, name, language_of(text), "code", blocks)


def _blocks(text: str, lines: list[Line]) -> Iterator[Block]:
    outline = Outline()
    start = 0
    if lines and (found := DEFINITION.match(lines[0].text)):
        outline.enter(found["name"], 1)
    for index in range(1, len(lines) + 1):
        found = DEFINITION.match(lines[index].text) if index < len(lines) else None
        if found is None and index < len(lines):
            continue
        first = _first_above(lines, start, index)
        if first > start:
            yield from _code(lines[start:first], outline)
            start = first
        if found is not None:
            outline.enter(found["name"], 1 + len(found["indent"].expandtabs(TAB)))


def _first_above(lines: list[Line], start: int, index: int) -> int:
    """The first line of a definition at `index`: its decorators and the comment above it are part of it."""
    if index == len(lines):
        return index
    first = index
    while first > start + 1 and ABOVE.match(lines[first - 1].text):
        first -= 1
    return first


def _code(lines: list[Line], outline: Outline) -> Iterator[Block]:
    visible = [line for line in lines if line.text.strip()]
    if visible:
        yield Block(visible[0].start, visible[-1].end, "code", outline.path)
