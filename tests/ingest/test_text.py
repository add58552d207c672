import random

import pytest

from ingest.loaders import Unreadable, load

CHINESE = "引用必须精确，否则读者无法核对。这是一个关于文档的例子，它足够长，可以被识别出来。" * 5
RUSSIAN = "Это русский текст. Цитаты должны быть точными. " * 10
JAPANESE = "これは日本語の文書です。引用は正確でなければなりません。" * 10


def kinds(text: str, name: str = "a.txt") -> list[tuple[str, str]]:
    loaded = load(text.encode(), name)
    return [(block.kind, loaded.text[block.start : block.end]) for block in loaded.blocks]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain and simple", "utf-8-sig"),
        ("wide text, with a mark", "utf-16"),
        ("wide text, without a mark", "utf-16-le"),
        ("wide text, the other way", "utf-16-be"),
        ("very wide", "utf-32"),
        (CHINESE, "gb18030"),
        (CHINESE, "big5hkscs"),
        (RUSSIAN, "cp1251"),
        (JAPANESE, "shift_jis"),
    ],
)
def test_the_encoding_is_found(text, encoding):
    text = text.replace("识别", "") if encoding == "big5hkscs" else text
    data = text.encode(encoding, errors="ignore")
    assert load(data, "a.txt").text == data.decode(encoding)


def test_nul_becomes_one_replacement_character():
    assert load(b"before\0after. " * 20, "a.txt").text == "before\ufffdafter. " * 20


def test_random_bytes_are_binary():
    with pytest.raises(Unreadable) as caught:
        load(random.Random(7).randbytes(4096), "a.txt")
    assert caught.value.reason == "binary"


def test_line_ends_stay_as_they_are_and_paragraphs_end_at_blank_lines():
    text = "one\r\ntwo\rthree\nfour\r\n\r\npara two\r\rpara three"
    assert load(text.encode(), "a.txt").text == text
    assert [found for _, found in kinds(text)] == ["one\r\ntwo\rthree\nfour", "para two", "para three"]


def test_underlined_lines_are_headings_at_the_level_of_their_style():
    text = "=====\nTitle\n=====\n\nintro\n\nFirst\n-----\nbody\n\nDeep\n~~~~\n\nx\n\nSecond\n------\n\ny\n"
    loaded = load(text.encode(), "a.rst")
    assert loaded.title == "Title"
    assert [block.heading for block in loaded.blocks if block.kind == "heading"] == [
        ("Title",),
        ("Title", "First"),
        ("Title", "First", "Deep"),
        ("Title", "Second"),
    ]


def test_a_rule_under_a_longer_text_is_no_heading():
    assert kinds("a line of words that is rather long\n---\n") == [
        ("paragraph", "a line of words that is rather long\n---")
    ]


def test_literal_blocks_of_restructuredtext_are_code():
    text = "Example::\n\n    first\n\n    second\n\nAfter.\n\n.. code-block:: c\n\n   int x;\n"
    assert [kind for kind, _ in kinds(text, "a.rst")] == ["paragraph", "code", "code", "paragraph", "paragraph", "code"]


def test_grids_are_tables():
    assert kinds("+---+---+\n| a | b |\n+---+---+\n")[0][0] == "table"
