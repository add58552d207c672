"""EPUB: the chapters of a book in reading order, as web pages."""

from collections.abc import Iterator
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import unquote
from zipfile import ZipFile

from lxml import etree
from selectolax.lexbor import LexborHTMLParser

from ingest.loaders import Loaded
from ingest.loaders.encoding import decode
from ingest.loaders.html import pieces_of
from ingest.loaders.language import language_of
from ingest.loaders.packages import foreign_parser, open_package
from ingest.loaders.pieces import Piece, assemble

CONTAINER = "META-INF/container.xml"
OPF = "{http://www.idpf.org/2007/opf}"
TITLE = "{http://purl.org/dc/elements/1.1/}title"
PAGES = ("application/xhtml+xml", "text/html")


def load(data: bytes, name: str) -> Loaded:
    """Read the chapters of the spine; what the book keeps apart from it, such as its table of contents, is left out."""
    with open_package(data, CONTAINER) as package, foreign_parser("an e-book"):
        root = _parsed(package.read(CONTAINER)).find(".//{*}rootfile")
        place = root.get("full-path", "") if root is not None else ""
        book = _parsed(package.read(place))
        pieces = [piece for chapter in _chapters(package, book, place) for piece in chapter]
    text, blocks = assemble(pieces)
    title = " ".join((book.findtext(f".//{TITLE}") or "").split())
    return Loaded(text, title or name, language_of(text), "epub", tuple(blocks))


def _chapters(package: ZipFile, book: Any, place: str) -> Iterator[list[Piece]]:
    items = {item.get("id"): item for item in book.iter(f"{OPF}item")}
    held = set(package.namelist())
    seen = 0
    for reference in book.iter(f"{OPF}itemref"):
        item = items.get(reference.get("idref"))
        if item is None or item.get("media-type") not in PAGES or "nav" in (item.get("properties") or "").split():
            continue
        path = normpath(join(dirname(place), unquote(item.get("href", "").partition("#")[0])))
        if path not in held:
            continue
        chapter = pieces_of(LexborHTMLParser(decode(package.read(path))))
        # Groups count anew in each chapter, and must not run on into the next.
        yield [piece._replace(group=piece.group and piece.group + seen) for piece in chapter]
        seen += max((piece.group for piece in chapter), default=0)


def _parsed(data: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    return etree.fromstring(data, parser)
