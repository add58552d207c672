"""PDF pages: the text that documents have of them, where a quote stands on one, and its picture.

Runs in a process of its own where a server asks, as pdfium is not thread-safe and files may be made to break it.
Imports nothing of the project, so that such a process starts fast.
"""

import ctypes
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pypdfium2
from PIL import Image, ImageDraw

# pdfium puts U+FFFE where a word was hyphenated at a line end, and joins the lines there.
_STEPS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\r\n?"), "\n"),
    (re.compile(r"(?<=[^\W\d_])[\ufffe\u00ad]\n?(?=[^\W\d_A-Z])"), ""),
    (re.compile(r"\ufffe\n?"), "-"),
    (re.compile("\u00ad"), ""),
    (re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\uffff\ud800-\udfff]"), " "),
    (re.compile(r"[^\S\n]+(?=\n|\Z)"), ""),
    (re.compile(r"\A\n+|\n+\Z"), ""),
)
MOST_PIXELS = 2000
"""The longer side of a picture: a sheet of paper at 170 dots an inch."""
MARK = (255, 214, 0, 90)
"""Red, green, blue and how much it covers, of 255."""
GAP = 2.0
"""Signs of one line further apart than so many of its heights are in boxes of their own, as in two columns."""


class Box(NamedTuple):
    """A rectangle on a page, in shares of its width and height as it is shown, from the top left corner."""

    left: float
    top: float
    right: float
    bottom: float


def clean(text: str) -> str:
    """The text of a page as documents have it.

    Lines end with a line feed, a word hyphenated at a line end is joined (where no lower-case letter follows, the
    hyphen stays), control characters are spaces, and no line ends with a space.
    """
    for pattern, new in _STEPS:
        text = pattern.sub(new, text)
    return text


def clean_with_places(text: str) -> tuple[str, list[int]]:
    """`clean(text)`, and for each of its characters the place in `text` that it comes from."""
    places = list(range(len(text)))
    for pattern, new in _STEPS:
        parts: list[str] = []
        kept: list[int] = []
        position = 0
        for found in pattern.finditer(text):
            parts += (text[position : found.start()], new)
            kept += places[position : found.start()] + [places[found.start()]] * len(new)
            position = found.end()
        text = "".join((*parts, text[position:]))
        places = kept + places[position:]
    return text, places


def locate(file: Path, page: int, before: str, quote: str) -> list[Box]:
    """The boxes of `quote` on a page (from 1), line by line; [] where it is not found there.

    Of several places the one whose text before it is most like `before` is taken.
    """
    with _opened(file, page) as (shown, text):
        return [_share(shown, box) for box in _boxes(text, before, quote)]


def draw(file: Path, page: int, before: str, quote: str) -> bytes:
    """The page as a PNG picture, with the boxes of `quote` marked."""
    with _opened(file, page) as (shown, text):
        boxes = [_share(shown, box) for box in _boxes(text, before, quote)]
        scale = MOST_PIXELS / max(*shown.get_size(), 1.0)
        picture = shown.render(scale=min(scale, 3.0)).to_pil().convert("RGB")
    marks = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(marks)
    for box in boxes:
        pen.rectangle(
            (box.left * picture.width - 1, box.top * picture.height - 1,
             box.right * picture.width + 1, box.bottom * picture.height + 1),
            fill=MARK,
        )  # fmt: skip
    written = io.BytesIO()
    Image.alpha_composite(picture.convert("RGBA"), marks).convert("RGB").save(written, "PNG")
    return written.getvalue()


@contextmanager
def _opened(file: Path, page: int) -> Iterator[tuple[Any, Any]]:
    """A page and its text; both are closed with their document."""
    document = pypdfium2.PdfDocument(file)
    try:
        shown = document[page - 1]
        yield shown, shown.get_textpage()
    finally:
        document.close()


def _boxes(text: Any, before: str, quote: str) -> list[tuple[float, float, float, float]]:
    """Left, bottom, right and top of each line of a quote, in the page's own units."""
    spoken, numbers = _characters(text)
    cleaned, places = clean_with_places(spoken)
    start = _find(cleaned, before, quote)
    if start is None:
        return []
    first, last = places[start], places[start + len(quote) - 1]
    lines: list[tuple[float, float, float, float]] = []
    for number in numbers[first : last + 1]:
        left, bottom, right, top = text.get_charbox(number, loose=True)
        if right <= left or top <= bottom:
            continue  # a space that pdfium has put in
        if lines and _is_one_line(lines[-1], (left, bottom, right, top)):
            lines[-1] = (
                min(lines[-1][0], left),
                min(lines[-1][1], bottom),
                max(lines[-1][2], right),
                max(lines[-1][3], top),
            )
        else:
            lines.append((left, bottom, right, top))
    return lines


def _characters(text: Any) -> tuple[str, list[int]]:
    """The text by pdfium's own count of characters, which is of UTF-16 units, and the number of each character."""
    units = [pypdfium2.raw.FPDFText_GetUnicode(text, number) for number in range(text.count_chars())]
    units = [0xFFFE if unit == 2 else unit for unit in units]  # a hyphen at a line end, as the page's text has it
    spoken: list[str] = []
    numbers: list[int] = []
    for number, unit in enumerate(units):
        if 0xDC00 <= unit < 0xE000 and numbers and 0xD800 <= ord(spoken[-1]) < 0xDC00:
            spoken[-1] = chr(0x10000 + ((ord(spoken[-1]) - 0xD800) << 10) + unit - 0xDC00)
        else:
            spoken.append(chr(unit))
            numbers.append(number)
    return "".join(spoken), numbers


def _find(text: str, before: str, quote: str) -> int | None:
    best: tuple[int, int] | None = None
    start = text.find(quote) if quote else -1
    while start >= 0:
        alike = 0
        while alike < min(start, len(before)) and text[start - 1 - alike] == before[-1 - alike]:
            alike += 1
        if best is None or alike > best[0]:
            best = (alike, start)
        start = text.find(quote, start + 1)
    return None if best is None else best[1]


def _is_one_line(line: tuple[float, float, float, float], sign: tuple[float, float, float, float]) -> bool:
    height = max(line[3] - line[1], sign[3] - sign[1])
    shared = min(line[3], sign[3]) - max(line[1], sign[1])
    beside = -height < sign[0] - line[2] < GAP * height
    return beside and shared > 0.5 * min(line[3] - line[1], sign[3] - sign[1])


def _share(page: Any, box: tuple[float, float, float, float]) -> Box:
    """The box as it is shown, also on a page that is turned."""
    left, bottom, right, top = box
    corners = [_shown_at(page, x, y) for x, y in ((left, bottom), (right, top))]
    xs, ys = zip(*corners, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def _shown_at(page: Any, x: float, y: float) -> tuple[float, float]:
    size = 1_000_000
    shown_x, shown_y = ctypes.c_int(), ctypes.c_int()
    pypdfium2.raw.FPDF_PageToDevice(page, 0, 0, size, size, 0, x, y, shown_x, shown_y)
    return (min(1.0, max(0.0, shown_x.value / size)), min(1.0, max(0.0, shown_y.value / size)))
