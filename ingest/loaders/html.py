"""HTML: the text that a reader sees, extracted in document order."""

import re
from collections.abc import Iterator, Mapping
from itertools import accumulate, count

from selectolax.lexbor import LexborHTMLParser, LexborNode

from graph.library import Kind
from ingest.loaders import Loaded
from ingest.loaders.encoding import decode
from ingest.loaders.language import language_of
from ingest.loaders.pieces import Piece, assemble

DECLARED = re.compile(
    rb"""(?:<meta[^>]{0,200}charset|<\?xml[^>]{0,100}encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)
WHITE = re.compile(r"[ \t\n\r\f\u00a0]+")
SPACES = re.compile(r" {2,}")
BREAKS = re.compile(r" *\n[ \n]*")
HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
PERMALINKS = frozenset("¶#§🔗\uf0c1\u200b")
MAIN_SHARE = 0.5
"""Share of a page's text from which on the main element stands for the page."""

SKIPPED = frozenset(
    "script style template noscript head nav svg annotation iframe object canvas audio video select textarea "
    "button input datalist -comment".split()
)
SKIPPED_ROLES = frozenset(("navigation", "search", "menu", "menubar", "banner", "contentinfo"))
# Page furniture without an element of its own, as DocBook, Sphinx and Pygments name it.
SKIPPED_CLASSES = frozenset(("navheader", "navfooter", "sphinxsidebar", "headerlink", "linenos"))
HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
LISTS = frozenset(("ul", "ol", "menu"))
CELLS = frozenset(("td", "th"))
BOUNDARIES = (
    HEADINGS
    | LISTS
    | CELLS
    | frozenset(
        "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption "
        "figure footer form header hgroup hr legend li main p pre search section summary table tbody "
        "tfoot thead tr".split()
    )
)
# A table that holds one of these arranges a page; it is no table of data.
LAYOUT = "table, pre, h1, h2, h3, h4, ul, ol, dl"


def load(data: bytes, name: str) -> Loaded:
    """Extract what a reader sees: blocks apart, `pre` verbatim, tables a row a line, lists with dashes.

    Scripts, navigation, comments and hidden elements are left out. When `main`, `article` or `role=main`
    holds most of the text, the rest of the page is left out too.
    """
    declared = DECLARED.search(data[:4096])
    tree = LexborHTMLParser(decode(data, declared[1].decode("ascii", "replace") if declared else None))
    text, blocks = assemble(pieces_of(tree))
    headings = (block.heading[-1] for block in blocks if block.kind == "heading")
    title = _title(tree) or next(headings, name)
    return Loaded(text=text, title=title, lang=language_of(text), format="html", blocks=tuple(blocks))


def pieces_of(tree: LexborHTMLParser) -> list[Piece]:
    """What a reader sees, in the order of the document."""
    return _extract(tree.body) if tree.body is not None else []


def _title(tree: LexborHTMLParser) -> str:
    node = tree.css_first("head > title")
    return _spaced(node.text()).strip() if node is not None else ""


def _extract(body: LexborNode) -> list[Piece]:
    """Walk the tree without recursion: pages with tens of thousands of nested elements exist."""
    extractor = Extractor()
    path: list[LexborNode] = []
    node = body
    while True:
        inside = extractor.enter(node)
        child = node.child if inside else None
        if child is not None:
            path.append(node)
            node = child
            continue
        if inside:
            extractor.leave(node)
        while (following := node.next) is None:
            if not path:
                return extractor.main_pieces()
            node = path.pop()
            extractor.leave(node)
        node = following


class Extractor:
    """Collects the text between boundaries of block elements, as these are entered and left."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._inline: list[str] = []
        self._level = 0
        self._in_pre = False
        self._lists: list[Iterator[int] | None] = []
        self._marker = ""
        self._row: list[str] | None = None
        self._data_tables: list[bool] = []
        self._groups = count(1)
        self._list_group = 0
        self._table_group = 0
        self._term_group = 0
        self._open_mains: list[tuple[int, int]] = []
        self._mains: list[tuple[int, int]] = []

    def main_pieces(self) -> list[Piece]:
        """All pieces, or those of the largest main element when it holds most of the text."""
        self._flush()
        sizes = list(accumulate((len(piece.text) for piece in self._pieces), initial=0))
        mains = ((sizes[end] - sizes[start], start, end) for start, end in self._mains)
        size, start, end = max(mains, default=(0, 0, 0))
        return self._pieces[start:end] if size > MAIN_SHARE * sizes[-1] else self._pieces

    def enter(self, node: LexborNode) -> bool:
        """Take a node; whether its children and then `leave` are to follow."""
        tag = node.tag or ""
        if tag == "-text":
            self._text(node.text_content or "")
            return False
        if tag in SKIPPED:
            return False
        attributes = node.attributes
        if tag != "body" and _is_left_out(node, tag, attributes):
            return False
        if tag == "br":
            self._inline.append("\n")
        if tag in BOUNDARIES:
            self._boundary()
            self._open(node, tag, attributes)
        if tag in ("main", "article") or attributes.get("role") == "main":
            self._boundary()
            self._open_mains.append((node.mem_id, len(self._pieces)))
        return True

    def leave(self, node: LexborNode) -> None:
        """Take the end of a node that `enter` accepted."""
        tag = node.tag or ""
        if tag in BOUNDARIES:
            self._close(tag)
        if self._open_mains and self._open_mains[-1][0] == node.mem_id:
            self._boundary()
            self._mains.append((self._open_mains.pop()[1], len(self._pieces)))

    def _text(self, text: str) -> None:
        self._inline.append(text if self._in_pre else _spaced(text))

    def _boundary(self) -> None:
        if self._in_pre:
            if self._inline and not self._inline[-1].endswith("\n"):
                self._inline.append("\n")
        elif self._row is not None:
            self._inline.append(" ")
        else:
            self._flush()

    def _open(self, node: LexborNode, tag: str, attributes: Mapping[str, str | None]) -> None:
        if tag in HEADINGS:
            self._level = int(tag[1])
        elif tag == "pre":
            self._in_pre = self._row is None
        elif tag in LISTS:
            self._list_group = self._list_group if self._lists else next(self._groups)
            self._lists.append(_numbers(attributes) if tag == "ol" else None)
        elif tag == "li":
            numbers = self._lists[-1] if self._lists else None
            self._marker = f"{next(numbers)}. " if numbers is not None else "- "
        elif tag == "table":
            self._data_tables.append(self._row is None and not self._in_pre and not _is_layout(node))
            self._table_group = next(self._groups)
        elif tag == "tr" and self._data_tables and self._data_tables[-1]:
            self._row = []
        elif tag in CELLS and self._row is not None:
            self._inline.clear()

    def _close(self, tag: str) -> None:
        if tag == "pre" and self._in_pre:
            self._in_pre = False
            self._emit("code", "".join(self._inline).strip("\r\n").rstrip())
            return
        if tag in CELLS and self._row is not None:
            self._row.append(_collapse(self._inline).replace("\n", " "))
            self._inline.clear()
            return
        if tag == "tr" and self._row is not None:
            row, self._row = self._row, None
            self._emit("table", " | ".join(row) if any(row) else "", self._table_group)
            return
        self._boundary()
        if tag in HEADINGS:
            self._level = 0
        elif tag in LISTS and self._lists:
            self._lists.pop()
        elif tag == "li":
            self._marker = ""
        elif tag == "table" and self._data_tables:
            self._data_tables.pop()
        elif tag == "dt" and self._pieces and self._pieces[-1].kind == "paragraph":
            self._term_group = self._pieces[-1].group
        elif tag == "dl":
            self._term_group = 0

    def _flush(self) -> None:
        """Make a piece of the text since the last boundary."""
        if not self._inline:
            return
        text = _collapse(self._inline)
        self._inline.clear()
        if not text:
            return
        if self._level:
            self._emit("heading", text.replace("\n", " "), level=self._level)
        elif self._lists:
            indent = "  " * (len(self._lists) - 1)
            lead = indent + (self._marker or "  ")
            self._marker = ""
            self._emit("list", lead + text.replace("\n", f"\n{indent}  "), self._list_group)
        else:
            # A term and the beginning of its definition belong together.
            self._emit("paragraph", text, self._term_group or next(self._groups))

    def _emit(self, kind: Kind, text: str, group: int = 0, level: int = 0) -> None:
        self._inline.clear()
        if text:
            self._pieces.append(Piece(kind, text, group, level))
            self._term_group = 0


def _is_left_out(node: LexborNode, tag: str, attributes: Mapping[str, str | None]) -> bool:
    if tag == "a" and (attributes.get("href") or "").startswith("#") and _is_permalink(node):
        return True
    if not attributes:
        return False
    if attributes.get("hidden", "until-found") != "until-found" or attributes.get("aria-hidden") == "true":
        return True
    if attributes.get("role") in SKIPPED_ROLES or HIDDEN_STYLE.search(attributes.get("style") or ""):
        return True
    return not SKIPPED_CLASSES.isdisjoint((attributes.get("class") or "").split())


def _is_layout(table: LexborNode) -> bool:
    # Asked of the children, as a selector also matches the node that it is asked of.
    child = table.child
    while child is not None:
        if child.is_element_node and child.css_first(LAYOUT) is not None:
            return True
        child = child.next
    return False


def _is_permalink(node: LexborNode) -> bool:
    child = node.child
    return child is not None and child.next is None and (child.text_content or "").strip() in PERMALINKS


def _numbers(attributes: Mapping[str, str | None]) -> Iterator[int]:
    start = attributes.get("start") or ""
    return count(int(start) if start.isdecimal() and len(start) < 9 else 1)


def _spaced(text: str) -> str:
    """Text with single spaces for white space, and whole words: a soft hyphen only says where one may break."""
    return WHITE.sub(" ", text).replace("\u00ad", "")


def _collapse(inline: list[str]) -> str:
    return BREAKS.sub("\n", SPACES.sub(" ", "".join(inline))).strip()
