"""Word, PowerPoint, Excel and e-books: made with their libraries, read by the loaders."""

import io
import zipfile

import pytest
from docx import Document
from docx.oxml import parse_xml
from openpyxl import Workbook
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from ingest.loaders import Unreadable, load

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'


def saved(document) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def blocks(data: bytes, name: str) -> list[tuple[str, str, str]]:
    loaded = load(data, name)
    return [(b.kind, " > ".join(b.heading), loaded.text[b.start : b.end]) for b in loaded.blocks]


def changed(data: bytes, part: str, content: bytes) -> bytes:
    """The package with a part replaced or added."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name != part:
                new.writestr(name, old.read(name))
        new.writestr(part, content)
    return file.getvalue()


def test_a_word_document_is_read_in_its_order_with_headings_lists_and_tables():
    document = Document()
    document.add_heading("The Guide", 0)
    document.add_heading("Setup", 1)
    document.add_paragraph("Turn it on.")
    document.add_paragraph("red", style="List Bullet")
    document.add_paragraph("green", style="List Bullet")
    table = document.add_table(2, 2)
    for cell, text in zip((c for row in table.rows for c in row.cells), ("a", "b", "c", "d\ne"), strict=True):
        cell.text = text
    document.add_paragraph("End.")
    assert blocks(saved(document), "g.docx") == [
        ("heading", "The Guide", "The Guide"),
        ("heading", "Setup", "Setup"),
        ("paragraph", "Setup", "Turn it on."),
        ("list", "Setup", "- red\n- green"),
        ("table", "Setup", "a | b\nc | d e"),
        ("paragraph", "Setup", "End."),
    ]


def test_text_boxes_are_read_once_and_deleted_text_is_not():
    document = Document()
    paragraph = document.add_paragraph("before")
    inside = "<w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent>"
    box = f"<w:r {W} {MC}><mc:AlternateContent><mc:Choice Requires='wps'>{inside}</mc:Choice>"
    box += f"<mc:Fallback>{inside}</mc:Fallback></mc:AlternateContent></w:r>"
    paragraph._p.append(parse_xml(box))
    paragraph._p.append(parse_xml(f"<w:del {W}><w:r><w:delText>gone</w:delText></w:r></w:del>"))
    paragraph._p.append(parse_xml(f"<w:ins {W}><w:r><w:t> new</w:t></w:r></w:ins>"))
    assert [text for *_, text in blocks(saved(document), "g.docx")] == ["before new", "boxed"]


def test_slides_are_pages_with_their_notes_tables_and_charts():
    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "Plan"
    slide.placeholders[1].text = "one\ntwo"
    slide.notes_slide.notes_text_frame.text = "say hello"
    bare = presentation.slides.add_slide(presentation.slide_layouts[6])
    table = bare.shapes.add_table(1, 2, 0, 0, Inches(2), Inches(1)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "x", "y"
    data = CategoryChartData()
    data.categories = ["May", "June"]
    data.add_series("Sales", (1.5, 2))
    bare.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(2), Inches(2), data)
    loaded = load(saved(presentation), "p.pptx")
    assert [(b.page, " > ".join(b.heading), loaded.text[b.start : b.end]) for b in loaded.blocks] == [
        (1, "Plan", "Plan"),
        (1, "Plan", "- one\n- two"),
        (1, "Plan > notes", "say hello"),
        (2, "Slide 2", "Slide 2"),
        (2, "Slide 2", "x | y"),
        (2, "Slide 2", "Sales: May: 1.5 | June: 2"),
    ]


def test_rows_of_a_workbook_carry_the_names_of_their_columns_and_their_numbers():
    workbook = Workbook()
    sheet = workbook.active
    sheet.title = "Prices"
    for row in (("Article", "Price"), ("Tea", 3.5), (None, None), ("Cake", 4)):
        sheet.append(row)
    sheet["A900"] = "far"
    other = workbook.create_sheet("Sums")
    other["A1"] = "=1+1"
    workbook.create_sheet("Empty")
    assert blocks(saved(workbook), "w.xlsx") == [
        ("heading", "Prices", "Prices"),
        ("table", "Prices > rows 2-900", "Article: Tea | Price: 3.5\nArticle: Cake | Price: 4\nArticle: far"),
        ("heading", "Sums", "Sums"),
        ("table", "Sums > row 1", "=1+1"),
    ]


def test_an_e_book_is_read_in_the_order_of_its_spine():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr(
            "META-INF/container.xml", '<container><rootfiles><rootfile full-path="o/b.opf"/></rootfiles></container>'
        )
        book.writestr(
            "o/b.opf",
            '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
            "<dc:title>The Book</dc:title></metadata><manifest>"
            '<item id="b" href="b%20b.xhtml" media-type="application/xhtml+xml"/>'
            '<item id="n" href="n.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
            '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="n"/><itemref idref="b"/><itemref idref="a"/><itemref idref="gone"/></spine>'
            "</package>",
        )
        book.writestr("o/a.xhtml", "<html><body><h1>Two</h1><p>second</p></body></html>")
        book.writestr("o/b b.xhtml", "<html><body><h1>One</h1><p>first</p></body></html>")
        book.writestr("o/n.xhtml", "<html><body><p>contents</p></body></html>")
    loaded = load(file.getvalue(), "anything")
    assert (loaded.format, loaded.title, loaded.text) == ("epub", "The Book", "One\n\nfirst\n\nTwo\n\nsecond")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "encrypted"),
        (b"PK\x03\x04 and then nothing", "malformed"),
        (changed(saved(Document()), "word/document.xml", b"<w:document"), "malformed"),
        (
            changed(saved(Document()), "word/x.xml", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a/>'),
            "malformed",
        ),
        (changed(saved(Document()), "word/media/a.bin", b"\0" * (129 * 2**20)), "too-large"),
    ],
)
def test_packages_that_are_not_sound_are_refused_with_the_reason(data, reason):
    with pytest.raises(Unreadable) as caught:
        load(data, "d.docx")
    assert caught.value.reason == reason


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.epub"])
def test_any_other_zip_file_is_malformed_under_each_of_these_names(name):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as other:
        other.writestr("[Content_Types].xml", "<Types/>")
        other.writestr("META-INF/container.xml", "<container/>")
    with pytest.raises(Unreadable) as caught:
        load(file.getvalue(), name)
    assert caught.value.reason == "malformed"
