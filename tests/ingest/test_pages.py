"""Where a quote stands on a page of a PDF."""

import io
import random
import re
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from graph.pages import clean, clean_with_places, draw, locate
from ingest.loaders import load
from tests.acceptance.recorder import Measured, many

NOT_WORD = re.compile(r"[\W_]+")


@pytest.fixture
def file(tmp_path, make_pdf) -> Path:
    path = tmp_path / "a.pdf"
    path.write_bytes(
        make_pdf([["nothing here"], ["The first line", "repeats a word", "and the last line", "repeats a word"]])
    )
    return path


def test_a_quote_over_two_lines_has_two_boxes_from_the_top_left(file):
    first, second = locate(file, 2, "", "first line\nrepeats")
    # Lines are 14 points apart, the first 72 points below the top of 792.
    assert second.top - first.top == pytest.approx(14 / 792, abs=0.001)
    assert 60 / 792 < first.top < first.bottom < 76 / 792
    assert first.left > second.left == pytest.approx(72 / 612, abs=0.005)


def test_of_several_places_the_one_behind_the_right_words_is_taken(file):
    (first,) = locate(file, 2, "The first line\n", "repeats a word")
    (second,) = locate(file, 2, "and the last line\n", "repeats a word")
    assert second.top > first.top


def test_what_is_not_on_the_page_has_no_boxes(file):
    assert locate(file, 1, "", "first line") == []


def test_the_picture_shows_the_page_with_the_quote_marked(file):
    picture = Image.open(io.BytesIO(draw(file, 2, "", "first line"))).convert("RGB")
    (box,) = locate(file, 2, "", "first line")
    inside = picture.getpixel((round((box.right - 0.001) * picture.width), round((box.top + 0.002) * picture.height)))
    assert inside[2] < 200 < inside[0]
    assert picture.getpixel((picture.width // 2, picture.height - 5)) == (255, 255, 255)


def test_boxes_on_a_turned_page_are_where_the_words_are_shown(corpus):
    file = corpus / "nasty" / "rotated_hyphen.pdf"
    loaded = load(file.read_bytes(), file.name)
    page = next(block for block in loaded.blocks if block.page == 1)
    boxes = locate(file, 1, "", loaded.text[page.start : page.end])
    assert boxes
    picture = Image.open(io.BytesIO(draw(file, 1, "", ""))).convert("L")
    dark = [
        (x / picture.width, y / picture.height)
        for x in range(picture.width)
        for y in range(picture.height)
        if picture.getpixel((x, y)) < 100
    ]
    within = sum(any(b.left <= x <= b.right and b.top <= y <= b.bottom for b in boxes) for x, y in dark)
    assert within > 0.95 * len(dark)


@pytest.mark.parametrize(
    "text", ["a\r\nb \r\n", "en\ufffe\nviron", "a\ufffe\nB\u00ad", "\n\n x\x00y\t\n z \n\n", "猫\ufffe狗"]
)
def test_every_character_knows_where_it_comes_from(text):
    cleaned, places = clean_with_places(text)
    assert cleaned == clean(text)
    assert len(places) == len(cleaned)
    assert places == sorted(places)
    for character, place in zip(cleaned, places, strict=True):
        assert character == text[place] or character in " -\n"


@pytest.mark.timeout(600)
def test_boxes_hold_the_quotes_of_real_documents(corpus, measured: Measured):
    """Boxes of quotes on pages of real PDF files: what stands in them is the quote."""
    chance = random.Random(3)
    files = sorted((corpus / "docs" / "pdf").glob("*.pdf"))
    wanted, right, more = many(100, 1000), 0, 0
    for number in range(wanted):
        file = files[number % len(files)]
        document = pypdfium2.PdfDocument(file)
        text, quote = "", ""
        while len(letters(quote)) < 10:
            page = chance.randrange(len(document))
            text = clean(document[page].get_textpage().get_text_range())
            start = chance.randrange(max(1, len(text) - 30))
            quote = text[start : start + chance.choice((30, 100, 200))].strip()
        boxes = locate(file, page + 1, text[: text.find(quote, start)], quote)
        there = letters(text_in(document[page], boxes))
        right += letters(quote) in there
        more += len(there) > len(letters(quote)) + 5
        document.close()
    measured.count = wanted
    measured.note(right=right, with_more_than_5_other_letters=more)
    assert right >= 0.97 * wanted
    assert more <= 0.03 * wanted


def text_in(page, boxes) -> str:
    """The characters whose middle lies in one of the boxes, by pdfium's boxes of single characters."""
    from graph.pages import _characters, _share

    text = page.get_textpage()
    spoken, numbers = _characters(text)
    inside = ""
    for character, number in zip(spoken, numbers, strict=True):
        left, bottom, right, top = text.get_charbox(number)
        if right > left and top > bottom:
            shown = _share(page, (left, bottom, right, top))
            x, y = (shown.left + shown.right) / 2, (shown.top + shown.bottom) / 2
            inside += character if any(b.left <= x <= b.right and b.top <= y <= b.bottom for b in boxes) else ""
    return inside


def letters(text: str) -> str:
    return NOT_WORD.sub("", clean(text)).casefold()
