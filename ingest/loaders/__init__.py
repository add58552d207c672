"""Documents as canonical text: bytes in, text with titled, ordered blocks out.

A loader is a pure function of bytes and a file name, so that it can run in another process.
"""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, Literal

LOADER_VERSION: Final = "3"
"""Counts changes that make the canonical text or the blocks of some document differ."""

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_CHARS: Final = 20_000_000
SNIFF_BYTES: Final = 1024
"""How much of a file `format_of` wants to see."""

Format = Literal["markdown", "text", "html", "pdf"]
Kind = Literal["heading", "paragraph", "list", "code", "table"]
Reason = Literal["empty", "binary", "encoding", "malformed", "encrypted", "no-text", "unsupported", "too-large"]

FORMATS: Final[dict[str, Format]] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".text": "text",
    ".rst": "text",
    ".log": "text",
    ".html": "html",
    ".htm": "html",
    ".pdf": "pdf",
}


@dataclass(frozen=True)
class Block:
    """A stretch of the canonical text, half-open, in code points.

    `heading` is the path of titles it stands under; a heading's own title ends its path. `page` counts from 1
    and is None where a format has no pages. A block never spans two pages.
    """

    start: int
    end: int
    kind: Kind
    heading: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True)
class Loaded:
    """A document as it is stored and cited.

    `blocks` are ordered and do not overlap. Text outside of them (front matter, rules, repeated page
    heads, pages of contents) can be read in the document but is not searched.
    """

    text: str
    title: str
    lang: str
    format: Format
    blocks: tuple[Block, ...]


class Unreadable(Exception):
    """A file that gives no text, with a `reason` that programs can switch on and a `detail` for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason: Reason = reason
        self.detail = detail


def load(data: bytes, name: str) -> Loaded:
    """Turn the bytes of the file called `name` into canonical text and blocks, or raise Unreadable.

    The result always has a character that is not white space.
    """
    if len(data) > MAX_BYTES:
        raise Unreadable("too-large", f"larger than {MAX_BYTES // 2**20} MB")
    if not data:
        raise Unreadable("empty", "the file has no bytes")
    loaded = _load(data, name, format_of(data[:SNIFF_BYTES], name))
    if len(loaded.text) > MAX_CHARS:
        raise Unreadable("too-large", f"more than {MAX_CHARS:,} characters of text")
    if not any(loaded.text[block.start : block.end].strip() for block in loaded.blocks):
        raise Unreadable("empty", "there is no text in the file")
    return loaded


def format_of(head: bytes, name: str) -> Format | None:
    """The format of a file by its first bytes, then by its extension; None when it is not supported.

    The start of a PDF outweighs any extension, as does the start of a web page where there is none.
    """
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
    if start.startswith(b"%pdf-"):
        return "pdf"
    suffix = PurePath(name).suffix.lower()
    if not suffix and start.startswith((b"<!doctype html", b"<html")):
        return "html"
    return FORMATS.get(suffix)


def _load(data: bytes, name: str, format: Format | None) -> Loaded:
    # A parser is imported when the first file of its format comes: together they would delay every command.
    match format:
        case "markdown":
            from ingest.loaders import markdown

            return markdown.load(data, name)
        case "text":
            from ingest.loaders import text

            return text.load(data, name)
        case "html":
            from ingest.loaders import html

            return html.load(data, name)
        case "pdf":
            from ingest.loaders import pdf

            return pdf.load(data, name)
        case None:
            raise Unreadable("unsupported", "no loader for this kind of file")
