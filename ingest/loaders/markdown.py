"""Markdown: verbatim, with the structure that markdown-it finds in its lines."""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from graph.library import Block, Kind
from ingest.loaders import Loaded
from ingest.loaders.encoding import decode
from ingest.loaders.language import language_of
from ingest.loaders.outline import Outline
from ingest.loaders.text import Line, lines_of

# A rule at the top of a text is no front matter: a field has to follow.
FRONT_MATTER = re.compile(
    r"---[ \t]*(?:\r\n?|\n)(?P<fields>(?:#|[\w'-]+[ \t]*:).*?(?:\r\n?|\n))(?:---|\.\.\.)[ \t]*(?=[\r\n]|\Z)",
    re.DOTALL,
)
TITLE_FIELD = re.compile(r"(?:^|(?<=[\r\n]))title:[ \t]*(?P<title>[^\r\n]*)")
# `{#id}`, `{.class}` behind a heading, as Pandoc, Kramdown and MkDocs write them.
ATTRIBUTES = re.compile(r"\{\s*[#.:][^{}]*\}\s*\Z")
KINDS: dict[str, Kind] = {
    "heading_open": "heading",
    "paragraph_open": "paragraph",
    "blockquote_open": "paragraph",
    "html_block": "paragraph",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "fence": "code",
    "code_block": "code",
    "table_open": "table",
}


def load(data: bytes, name: str) -> Loaded:
    """Read Markdown as it is written: the canonical text is the decoded file, markup and line ends too."""
    text = decode(data)
    front = FRONT_MATTER.match(text)
    body = front.end() if front else 0
    parts = list(_parts(text[body:]))
    first = next((part.title for part in parts if part.token.tag == "h1" and part.title), "")
    return Loaded(
        text=text,
        title=_front_title(front) or first or name,
        lang=language_of(text[body:]),
        format="markdown",
        blocks=tuple(_blocks(text, body, parts)),
    )


def outermost(text: str) -> Iterator[tuple[Kind, str, int]]:
    """The outermost blocks of Markdown: kind, text, and the level of a heading, whose text is its title; else 0."""
    lines = lines_of(text)
    for part in _parts(text):
        start, end = _span(text, lines, part.token.map or [0, 0], 0)
        if start < end:
            level = int(part.token.tag[1:]) if part.title is not None else 0
            yield KINDS[part.token.type], part.title or text[start:end], level


class Part(NamedTuple):
    """One of the outermost blocks, and its title as plain text when it is a heading."""

    token: Token
    title: str | None


def _parts(source: str) -> Iterator[Part]:
    environment: dict[str, object] = {}
    tokens = _parser().parse(source, environment)
    for index, token in enumerate(tokens):
        if token.level == 0 and token.nesting >= 0 and token.map is not None and token.type in KINDS:
            is_heading = token.type == "heading_open"
            yield Part(token, _plain(tokens[index + 1].content, environment) if is_heading else None)


def _blocks(text: str, body: int, parts: list[Part]) -> Iterator[Block]:
    # Lines are counted in the text as it is: markdown-it, too, ends a line at CRLF, CR or LF.
    lines = lines_of(text[body:])
    outline = Outline()
    position = body
    for part in parts:
        start, end = _span(text, lines, part.token.map or [0, 0], body)
        if start < position or start >= end:
            continue
        if part.title is not None:
            outline.enter(part.title, int(part.token.tag[1:]))
        yield Block(start, end, KINDS[part.token.type], outline.path)
        position = end


@cache
def _parser() -> MarkdownIt:
    # Only block structure is wanted; inline markup is parsed for headings alone.
    return MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])


def _plain(title: str, environment: dict[str, object]) -> str:
    parser = _parser()
    tokens: list[Token] = []
    parser.inline.parse(ATTRIBUTES.sub("", title), parser, environment, tokens)
    tokens = [token for token in tokens if token.type != "html_inline"]
    shown = (" " if token.type.endswith("break") else token.content for token in tokens)
    return " ".join("".join(shown).split())


def _span(text: str, lines: list[Line], rows: list[int], body: int) -> tuple[int, int]:
    """Characters of the lines `rows[0]` to `rows[1]`, without white space around them."""
    start = body + lines[rows[0]].start
    end = body + lines[min(rows[1], len(lines)) - 1].end
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), start + len(inner.rstrip())


def _front_title(front: re.Match[str] | None) -> str:
    found = TITLE_FIELD.search(front["fields"]) if front else None
    title = found["title"].strip() if found else ""
    if title.startswith((">", "|")):  # the title itself stands in the lines below
        return ""
    quoted = len(title) > 1 and title[0] == title[-1] and title[0] in "\"'"
    return title[1:-1].strip() if quoted else title
