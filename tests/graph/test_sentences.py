import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.sentences import sentence_end, sentence_spans

TEXTS = st.text(alphabet="aB1 .!?。！\n\"')]-…中文…é", max_size=60)


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith met e.g. Mr. Jones. They talked.", ["Dr. Smith met e.g. Mr. Jones.", "They talked."]),
        ("It cost 3.50 in 1998. Not more.", ["It cost 3.50 in 1998.", "Not more."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("猫在睡觉。狗在叫！“好吗？”他说。", ["猫在睡觉。", "狗在叫！", "“好吗？”", "他说。"]),
        ("wrapped at a\ncolumn. Next", ["wrapped at a\ncolumn.", "Next"]),
        ("Heading\n\nText here", ["Heading", "Text here"]),
        ("- first item\n- second item\n1. third", ["- first item", "- second item", "1. third"]),
        ("1. First step. Then this.", ["1. First step.", "Then this."]),
        ("version 1.2.3 of www.example.com works", ["version 1.2.3 of www.example.com works"]),
        ("   ", []),
        ("", []),
    ],
)
def test_text_is_split_where_a_reader_would_split_it(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(TEXTS)
def test_spans_are_ordered_slices_that_leave_out_white_space_only(text: str) -> None:
    position = 0
    for start, end in sentence_spans(text):
        assert start < end
        assert not text[position:start].strip()
        assert text[start:end] == text[start:end].strip()
        position = end
    assert not text[position:].strip()


@given(TEXTS, st.integers(0, 60))
def test_a_sentence_end_that_is_told_early_is_the_one_told_in_the_end(text: str, cut: int) -> None:
    early, searched = sentence_end(text[:cut], 0, final=False)
    late, _ = sentence_end(text, 0, final=True)
    assert early in (None, late)
    assert sentence_end(text, 0, final=True, searched=searched)[0] == late


def test_spans_of_a_part_do_not_look_beyond_it() -> None:
    text = "One. Two. Three."
    assert sentence_spans(text, 5, 9) == [(5, 9)]
