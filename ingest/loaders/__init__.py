"""Documents as canonical text: bytes in, text with titled, ordered blocks out.

A loader is a pure function of bytes and a file name, so that it can run in another process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from pkgutil import resolve_name
from typing import Final, Literal

from graph.library import Block

LOADER_VERSION: Final = "4"
"""Counts changes that make the canonical text or the blocks of some document differ."""

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_CHARS: Final = 20_000_000
SNIFF_BYTES: Final = 1024
"""How much of a file `format_of` wants to see."""

Format = Literal[
    "markdown", "text", "html", "pdf", "docx", "pptx", "xlsx", "csv", "epub", "json", "jsonl", "notebook", "code"
]
Reason = Literal[
    "empty",
    "binary",
    "encoding",
    "malformed",
    "encrypted",
    "no-text",
    "unsupported",
    "too-large",
]

SUFFIXES: Final[dict[Format, str]] = {
    "markdown": ".md .markdown .mdx .qmd .rmd",
    "text": ".txt .text .rst .adoc .asciidoc .org .log .tex .srt .vtt",
    "html": ".html .htm .xhtml",
    "pdf": ".pdf",
    "docx": ".docx .docm .dotx",
    "pptx": ".pptx .pptm .ppsx",
    "xlsx": ".xlsx .xlsm",
    "csv": ".csv .tsv .tab",
    "epub": ".epub",
    "json": ".json .geojson .webmanifest",
    "jsonl": ".jsonl .ndjson",
    "notebook": ".ipynb",
    "code": (
        ".py .pyi .js .mjs .cjs .jsx .ts .tsx .vue .svelte .java .kt .kts .scala .groovy .c .h .cc .cpp .cxx .hh .hpp "
        ".cs .go .rs .swift .m .mm .rb .php .pl .pm .lua .r .jl .dart .ex .exs .erl .hs .clj .ml .fs .vb .sql .sh "
        ".bash .zsh .fish .ps1 .bat .css .scss .less .proto .graphql .tf .cmake .gradle .toml .yaml .yml .ini .cfg "
        ".conf .properties .xml .xsd .xsl"
    ),
}
FORMATS: Final = {suffix: format for format, suffixes in SUFFIXES.items() for suffix in suffixes.split()}
EPUB_MARK: Final = b"mimetypeapplication/epub+zip"
"""An e-book's first part, which its rules keep unpacked at a fixed place."""


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

    The start of a PDF or an e-book outweighs any extension, as does the start of a web page where there is none.
    """
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
    if start.startswith(b"%pdf-"):
        return "pdf"
    suffix = PurePath(name).suffix.lower()
    if EPUB_MARK in head[:100]:
        return "epub"
    if not suffix and start.startswith((b"<!doctype html", b"<html")):
        return "html"
    return FORMATS.get(suffix)


def _load(data: bytes, name: str, format: Format | None) -> Loaded:
    if format is None:
        raise Unreadable("unsupported", "no loader for this kind of file")
    # Its module is imported when the first file of a format comes: together their parsers would delay every command.
    loader: Callable[[bytes, str], Loaded] = resolve_name(f"{__name__}.{format}:load")
    return loader(data, name)
