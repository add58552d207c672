import pytest

from ingest.loaders import Unreadable, load


def blocks(data: bytes) -> list[tuple[int | None, str, str, str]]:
    loaded = load(data, "a.pdf")
    return [(b.page, b.kind, " > ".join(b.heading), loaded.text[b.start : b.end]) for b in loaded.blocks]


def reason(data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        load(data, "a.pdf")
    return caught.value.reason


def test_every_page_is_a_block_of_its_own(make_pdf):
    assert blocks(make_pdf([["code word amber", "goes on"], [], ["code word jade"]])) == [
        (1, "paragraph", "", "code word amber\ngoes on"),
        (3, "paragraph", "", "code word jade"),
    ]


def test_words_hyphenated_at_a_line_end_are_joined(make_pdf):
    text = load(make_pdf([["in this environ-", "ment a well-", "Known word"]]), "a.pdf").text
    assert text == "in this environment a well-Known word"


def test_the_outline_gives_headings_where_their_lines_stand(make_pdf):
    pages = [["Preface", "words"], ["tail", "Chapter 2", "The Rules", "of it", "body"], ["more"]]
    assert blocks(make_pdf(pages, outline=[("Preface", 1), ("The rules of it", 2)])) == [
        (1, "heading", "Preface", "Preface"),
        (1, "paragraph", "Preface", "words"),
        (2, "paragraph", "Preface", "tail"),
        (2, "heading", "The rules of it", "Chapter 2\nThe Rules\nof it"),
        (2, "paragraph", "The rules of it", "body"),
        (3, "paragraph", "The rules of it", "more"),
    ]


def test_a_title_that_is_not_on_its_page_counts_from_the_top(make_pdf):
    assert blocks(make_pdf([["words"]], outline=[("Elsewhere", 1)])) == [(1, "paragraph", "Elsewhere", "words")]


def test_lines_that_every_page_repeats_are_searched_once(make_pdf):
    pages = [["The Manual", f"text {word}", f"page {number} of 3"] for number, word in enumerate("abc", start=1)]
    assert [text for *_, text in blocks(make_pdf(pages))] == ["The Manual\ntext a\npage 1 of 3", "text b", "text c"]


def test_first_lines_that_differ_in_more_than_a_page_number_stay(make_pdf):
    pages = [[f"Invoice {number}", "to pay"] for number in (4711, 4712, 4713)]
    assert [text.partition("\n")[0] for *_, text in blocks(make_pdf(pages))] == [
        "Invoice 4711",
        "Invoice 4712",
        "Invoice 4713",
    ]


def test_page_numbers_in_roman_digits_are_page_numbers(make_pdf):
    pages = [[f"The Manual {number}", f"text {word}"] for number, word in zip(("ii", "iii", "iv"), "abc", strict=True)]
    assert [text for *_, text in blocks(make_pdf(pages))] == ["The Manual ii\ntext a", "text b", "text c"]


def test_a_first_or_last_line_that_only_names_sections_is_not_searched(make_pdf):
    head, foot = "CHAPTER 1. THE RULES 1.2. ORDER (-A)", "The Rules - Order (-a) xi"
    pages = [[head, "The Rules", "words", "Order (-a)", "The rules and order (-a) matter", foot]]
    assert [text for *_, text in blocks(make_pdf(pages, outline=[("The Rules", 1), ("Order (-a)", 1)]))] == [
        "The Rules", "words", "Order (-a)", "The rules and order (-a) matter",
    ]  # fmt: skip


def test_a_table_of_contents_is_not_searched_where_an_outline_says_the_same(make_pdf):
    contents = ["Contents", "One . . . . . . . . 2", "Two . . . . . . . . 2"]
    assert [text for *_, text in blocks(make_pdf([contents, ["One", "words"]], outline=[("One", 2)]))] == [
        "One",
        "words",
    ]
    assert len(blocks(make_pdf([contents, ["One", "words"]]))) == 2


@pytest.mark.parametrize(
    ("title", "line", "expected"),
    [
        ("The Guide", "Welcome", "The Guide"),
        ("untitled", "The Guide", "The Guide"),
        ("Microsoft Word - x.doc", "The Guide", "The Guide"),
        ("", "A first sentence, which is no title.", "a.pdf"),
    ],
)
def test_the_title_is_a_sensible_one(make_pdf, title, line, expected):
    assert load(make_pdf([[line]], title=title), "a.pdf").title == expected


def test_a_pdf_that_needs_a_password_is_encrypted(make_pdf):
    assert reason(make_pdf([["secret"]], encrypted=True)) == "encrypted"


def test_a_pdf_without_pages_is_malformed_also_after_an_encrypted_one(make_pdf):
    """Without pages pdfium repeats the error of the file before, which once was a password."""
    assert reason(make_pdf([["secret"]], encrypted=True)) == "encrypted"
    assert reason(make_pdf([])) == "malformed"


def test_pages_without_characters_have_no_text(make_pdf):
    assert reason(make_pdf([[], []])) == "no-text"


def test_half_a_pdf_is_malformed():
    assert reason(b"%PDF-1.4\n1 0 obj<</Type/Catalog") == "malformed"


def test_garbage_behind_a_pdf_does_not_matter(make_pdf):
    assert blocks(make_pdf([["words"]]) + b"\0garbage" * 500) == [(1, "paragraph", "", "words")]


def test_half_a_surrogate_pair_in_a_title_is_no_reason_to_refuse_the_document(make_pdf):
    half = r"\376\377\330\000"
    loaded = load(make_pdf([["The Guide", "words"]], title=half, outline=[(half, 1), ("The Guide", 1)]), "a.pdf")
    assert loaded.title == "The Guide"
    assert [block.heading for block in loaded.blocks] == [("The Guide",), ("The Guide",)]
