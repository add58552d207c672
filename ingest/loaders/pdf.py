"""PDF: the text of each page in order, with the outline as headings.

pdfium is not thread-safe: a process loads one PDF at a time.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pypdfium2

from graph.library import Block, Kind
from graph.pages import clean
from ingest.loaders import Loaded, Unreadable
from ingest.loaders.language import language_of
from ingest.loaders.outline import Outline
from ingest.loaders.text import Line, lines_of

WRONG_PASSWORD = 4
"""pdfium's FPDF_ERR_PASSWORD."""
PAGE_GAP = "\n\n"

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\uffff\ud800-\udfff]")
NUMBER = re.compile(r"\d+")
NOT_WORD = re.compile(r"[\W_]+")
# What stands before a title in its line, without punctuation: "Chapter 6", "6.1", "A.2", "第 3 章".
NUMBERING = re.compile(r"(?:chapter|appendix|section|part|第)?[a-z]?(?:\d*|[ivxlc]*)(?:章|节|部分)?")
BAD_TITLE = re.compile(r"untitled|unknown|microsoft \w+ - |.*\.(?:docx?|tex|dvi|pdf|odt|indd|pptx?)\Z", re.IGNORECASE)
SENTENCE_MARKS = (".", "。", ":", "：", ",", "，", ";")
# A line of a table of contents: dots that lead to a page number.
LEADER = re.compile(r"(?:\. ?|…|·){5,} *(?:\d+|[ivxlc]+)?\Z", re.IGNORECASE)
RUNNING_HEAD_PAGES = 3
# What a running head may have besides titles, as letters: "Chapter 6", "6.2", "xii".
HEAD_NUMBERS = re.compile(r"(?:chapter|appendix|section|part|page|\d|[ivxlc]|[第章节部分页])*")
ROMAN_PAGE = re.compile(r"(?<=\s)[ivxlc]{1,8}\Z")


class Bookmark(NamedTuple):
    """An entry of the outline: where it leads (page from 1) and how deep it stands."""

    title: str
    page: int
    level: int


def load(data: bytes, name: str) -> Loaded:
    """Read the text layer, page by page.

    Line breaks are pdfium's. A word hyphenated at a line end is joined; where no lower-case letter follows,
    the hyphen stays. Control characters become spaces. Raises Unreadable for documents that need a password,
    are damaged, or hold only images.
    """
    document = _open(data)
    try:
        pages = [_page_text(document, index) for index in range(len(document))]
        bookmarks = _bookmarks(document)
        metadata_title = _decoded(lambda: document.get_metadata_value("Title"))
    except pypdfium2.PdfiumError as exc:
        raise Unreadable("malformed", "a page of the PDF cannot be read") from exc
    finally:
        document.close()
    if not pages:
        raise Unreadable("malformed", "the PDF has no pages")
    if not any(page.strip() for page in pages):
        raise Unreadable("no-text", "the pages hold only images; run text recognition (OCR) on the file")
    text = PAGE_GAP.join(pages)
    title = _sensible(metadata_title) or _first_line(pages[0]) or name
    return Loaded(text, title, language_of(text), "pdf", tuple(_blocks(pages, bookmarks)))


def _open(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as exc:
        # For a file without pages pdfium repeats the error of the file before.
        if exc.err_code == WRONG_PASSWORD and b"/Encrypt" in data:
            raise Unreadable("encrypted", "the PDF needs a password; save it without one") from exc
        raise Unreadable("malformed", "not a PDF that can be opened; it may be cut off") from exc


def _page_text(document: pypdfium2.PdfDocument, index: int) -> str:
    page = document[index]
    text_page = page.get_textpage()
    try:
        return clean(text_page.get_text_range())
    finally:
        text_page.close()
        page.close()


def _decoded(read: Callable[[], str]) -> str:
    """What pdfium reads, or nothing when it holds half a surrogate pair, which pypdfium2 refuses to decode."""
    try:
        return str(read())
    except UnicodeDecodeError:
        return ""


def _bookmarks(document: pypdfium2.PdfDocument) -> list[Bookmark]:
    """The outline in the order of its pages; entries without title or page are left out."""
    found = []
    for entry in document.get_toc():
        title = " ".join(CONTROLS.sub(" ", _decoded(entry.get_title)).split())
        destination = entry.get_dest()
        page = destination.get_index() if destination is not None else None
        if title and page is not None:
            found.append(Bookmark(title, page + 1, entry.level))
    return sorted(found, key=lambda bookmark: bookmark.page)


def _blocks(pages: list[str], bookmarks: list[Bookmark]) -> Iterator[Block]:
    running = _running_heads(pages)
    outline = Outline()
    offset = position = 0
    for number, page in enumerate(pages, start=1):
        here = position
        while position < len(bookmarks) and bookmarks[position].page <= number:
            position += 1
        lines = [line for line in _lines(page) if (number, line.start) not in running]
        lines = _without_title_heads(lines, [*outline.path, *(bookmark.title for bookmark in bookmarks[here:position])])
        if bookmarks and _is_contents(lines):
            lines = []
        for start, end, kind in _cut(lines, bookmarks[here:position], outline):
            yield Block(offset + start, offset + end, kind, outline.path, number)
        offset += len(page) + len(PAGE_GAP)


def _cut(lines: list[Line], bookmarks: list[Bookmark], outline: Outline) -> Iterator[tuple[int, int, Kind]]:
    """Cut a page at the lines that are titles in the outline, and follow the outline while doing so.

    A title that stands nowhere on its page counts from where the one before it was found.
    """
    done = 0
    for bookmark in bookmarks:
        found = _find_title(lines, done, bookmark.title)
        if found is not None:
            yield from _paragraph(lines[done : found[0]])
        outline.enter(bookmark.title, bookmark.level)
        if found is not None:
            yield lines[found[0]].start, lines[found[1] - 1].end, "heading"
            done = found[1]
    yield from _paragraph(lines[done:])


def _is_contents(lines: list[Line]) -> bool:
    """Whether a page is of a table of contents, which would be found in place of the text it points to."""
    return sum(bool(LEADER.search(line.text.rstrip())) for line in lines) * 2 > len(lines)


def _paragraph(lines: list[Line]) -> Iterator[tuple[int, int, Kind]]:
    if lines:
        yield lines[0].start, lines[-1].end, "paragraph"


def _lines(page: str) -> list[Line]:
    return [line for line in lines_of(page) if line.text.strip()]


def _find_title(lines: list[Line], begin: int, title: str) -> tuple[int, int] | None:
    """The lines that hold a title, with or without its number in front, over up to three lines."""
    wanted = _letters(title)
    keys = [_letters(line.text) for line in lines]
    for start in range(begin, len(lines)):
        # A number alone in its line is a page's or a footnote's, not the title's.
        last = start + 1 if keys[start].isdecimal() else min(start + 3, len(lines))
        for end in range(start + 1, last + 1):
            key = "".join(keys[start:end])
            if wanted and key.endswith(wanted) and NUMBERING.fullmatch(key[: -len(wanted)]):
                return start, end
    return None


def _letters(text: str) -> str:
    return NOT_WORD.sub("", text).casefold()


def _running_heads(pages: list[str]) -> set[tuple[int, int]]:
    """Page and start of first and last lines that say what such a line of an earlier page has said.

    They are what a printer puts on every page, and would stand in the middle of sentences. Page numbers do
    not count as a difference. The first of each stays, so nothing is lost to the search.
    """
    edges: dict[str, list[tuple[int, int]]] = {}
    for number, page in enumerate(pages, start=1):
        lines = _lines(page)
        for line in {lines[0], lines[-1]} if lines else ():
            edges.setdefault(_without_page_numbers(line.text, len(pages)), []).append((number, line.start))
    repeated = (places for places in edges.values() if len(places) >= RUNNING_HEAD_PAGES)
    return {place for places in repeated for place in places[1:]}


def _without_title_heads(lines: list[Line], titles: list[str]) -> list[Line]:
    """The lines of a page without a first or last one that only names several of the sections it belongs to."""
    if lines and _names_several(lines[0].text, titles):
        lines = lines[1:]
    if lines and _names_several(lines[-1].text, titles):
        lines = lines[:-1]
    return lines


def _names_several(line: str, titles: list[str]) -> bool:
    rest, named = _letters(line), 0
    for title in sorted(filter(None, set(map(_letters, titles))), key=len, reverse=True):
        if title in rest:
            rest, named = rest.replace(title, "", 1), named + 1
    return named > 1 and HEAD_NUMBERS.fullmatch(rest) is not None


def _without_page_numbers(line: str, pages: int) -> str:
    def mask(found: re.Match[str]) -> str:
        return "#" if len(found[0]) < 6 and 0 < int(found[0]) <= pages else found[0]

    return " ".join(ROMAN_PAGE.sub("#", NUMBER.sub(mask, line.strip())).split())


def _sensible(title: str) -> str:
    title = " ".join(CONTROLS.sub(" ", title).split())
    return "" if BAD_TITLE.match(title) else title


def _first_line(page: str) -> str:
    """The first line of the document when it reads like a title."""
    first = next((line.text.strip() for line in _lines(page)), "")
    is_title = 3 <= len(first) <= 100 and not first.endswith(SENTENCE_MARKS) and any(map(str.isalpha, first))
    return first if is_title else ""
