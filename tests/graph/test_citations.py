import re
from collections.abc import Iterable
from itertools import accumulate, pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graph.citations import CitationParser, Claim, Text, escape_brackets
from graph.markers import Style

ANSWERS = (
    "Foo bar [1]. Baz qux. [2] Then `a[1]` code. See [1](http://x). [9] Bad [9].\n\n```py\nx[1] = 2\n```\n"
    "Next line [1, 2] ok. In \\[12] and [2024] we [3] see. 中文句子[2]。下一句。[1]结束\n- item one [1]\n"
    "- item e.g. this [2]\nFoo 【1】 and 【2†source】, see (Source 1), [^3], "
    "[1-3]; Source 2 says (passages 1 and 3). End"
)


def parse(pieces: Iterable[str], sources: int = 3, style: Style = "any") -> tuple[str, list[Claim]]:
    parser = CitationParser(sources=sources, style=style)
    found = [item for piece in pieces for item in parser.feed(piece)] + parser.flush()
    shown = "".join(item.delta for item in found if isinstance(item, Text))
    assert shown == parser.answer
    return shown, [item for item in found if isinstance(item, Claim)]


@pytest.mark.parametrize("cut", range(len(ANSWERS) + 1))
def test_cutting_the_stream_anywhere_gives_the_same_text_and_claims(cut: int) -> None:
    assert parse([ANSWERS[:cut], ANSWERS[cut:]]) == parse([ANSWERS])


@given(st.text(alphabet="ab. []()`~\\\n123,。- A", max_size=60), st.data())
@example("``[1]``` [1", None)
def test_any_text_cut_into_any_pieces_gives_the_same_result(text: str, data: st.DataObject | None) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8))) if data else list(range(len(text)))
    bounds = [0, *cuts, len(text)]
    pieces = [text[a:b] for a, b in pairwise(bounds)]
    assert parse(pieces) == parse([text])


SPOKEN = st.sampled_from(
    [
        "Source 1",
        "Sources 1 and 2",
        "(source 2)",
        "【1】",
        "【2†L1】",
        "[^1]",
        "[1-2]",
        "Sour",
        "Passage 3",
        "（来源1）",
        ", ",
        "5",
        ".",
        " ",
    ]
)


@given(st.lists(SPOKEN, max_size=12), st.data())
def test_markers_in_words_are_the_same_however_the_text_is_cut(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    assert parse([text[a:b] for a, b in pairwise([0, *cuts, len(text)])]) == parse([text])


@given(st.lists(st.text(alphabet="ab. []()`\\\n123,", max_size=8), max_size=10))
@example(["\\[1", "]"])
def test_no_piece_of_text_ends_inside_a_marker(pieces: list[str]) -> None:
    parser = CitationParser(sources=3)
    deltas = [item.delta for piece in pieces for item in parser.feed(piece) if isinstance(item, Text)]
    deltas += [item.delta for item in parser.flush() if isinstance(item, Text)]
    whole = "".join(deltas)
    # In code and behind a backslash brackets are literal ones, which may be cut; a marker that a claim counts may not.
    markers = [] if "`" in whole else [found.span(1) for found in re.finditer(r"(?<!\\)(?:\\\\)*(\[[123]\])", whole)]
    for end in accumulate(map(len, deltas)):
        assert not any(start < end < stop for start, stop in markers)


@pytest.mark.parametrize(
    ("written", "shown", "markers"),
    [
        ("Foo [1].", "Foo [1].", (1,)),
        ("Foo. [1][2] Bar", "Foo. [1][2] Bar", (1, 2)),
        ("Foo [1, 3].", "Foo [1][3].", (1, 3)),
        ("Foo [7].", "Foo.", ()),
        ("Foo [0] and [2026].", "Foo \\[0] and \\[2026].", ()),
        ("Code `a[1]` stays.", "Code `a[1]` stays.", ()),
        ("A [1](https://x) link.", "A [1](https://x) link.", ()),
        ("Quoted \\[1] bracket.", "Quoted \\[1] bracket.", ()),
    ],
)
def test_markers_are_normalised_and_never_dangle(written: str, shown: str, markers: tuple[int, ...]) -> None:
    answer, claims = parse([written])
    assert answer == shown
    assert claims[0].markers == markers


@pytest.mark.parametrize(
    ("written", "shown", "markers"),
    [
        ("Foo 【1】.", "Foo [1].", (1,)),
        ("Foo【2†source】.", "Foo[2].", (2,)),
        ("Foo 【1†L10-L20】【3】.", "Foo [1][3].", (1, 3)),
        ("Foo [^1].", "Foo [1].", (1,)),
        ("Foo [^1, ^2].", "Foo [1][2].", (1, 2)),
        ("Foo [1-3].", "Foo [1][2][3].", (1, 2, 3)),
        ("Foo [1; 3] bar.", "Foo [1][3] bar.", (1, 3)),
        ("Foo [1 and 2].", "Foo [1][2].", (1, 2)),
        ("Foo [Source 2].", "Foo [2].", (2,)),
        ("Foo [source: 2, source: 3].", "Foo [2][3].", (2, 3)),
        ("Foo [Passage 1][Passage 2].", "Foo [1][2].", (1, 2)),
        ("Foo (Source 2).", "Foo [2].", (2,)),
        ("Foo (sources 1 and 3).", "Foo [1][3].", (1, 3)),
        ("According to Source 2, foo.", "According to [2], foo.", (2,)),
        ("Sources 1 and 2 say foo.", "[1][2] say foo.", (1, 2)),
        ("Source 2.", "[2].", (2,)),
        ("猫睡觉（来源1）。", "猫睡觉[1]。", (1,)),
        ("猫睡觉［2］。", "猫睡觉[2]。", (2,)),
        ("Foo (Source 7).", "Foo.", ()),
        ("Foo 【9†source】.", "Foo.", ()),
        ("Source 9 says foo.", "Source 9 says foo.", ()),
        ("Open source 1 is fine.", "Open source 1 is fine.", ()),
        ("Source 1.5 was released.", "Source 1.5 was released.", ()),
        ("Source 1a was released.", "Source 1a was released.", ()),
        ("OpenSource 1 was released.", "OpenSource 1 was released.", ()),
        ("Foo (1) bar.", "Foo (1) bar.", ()),
        ("In 【2024】 foo.", "In 【2024】 foo.", ()),
        ("From [1990-2020] foo.", "From [1990-2020] foo.", ()),
        ("`Source 1` stays.", "`Source 1` stays.", ()),
    ],
)
def test_markers_are_known_in_the_ways_that_models_write_them(
    written: str, shown: str, markers: tuple[int, ...]
) -> None:
    answer, claims = parse([written])
    assert answer == shown
    assert claims[0].markers == markers
    assert parse(written) == (answer, claims)


@pytest.mark.parametrize(
    "said", ["According to Source 2, foo.", "Foo 【1】 bar.", "Foo (Source 1) bar.", "Foo [^1] bar."]
)
def test_what_quotes_documents_has_plain_markers_only(said: str) -> None:
    assert parse([f"{said} [2]"], style="plain")[0] == f"{said} [2]"


def test_code_blocks_are_left_alone() -> None:
    code = "```python\nx[1] = y[9]\n```"
    answer, claims = parse([f"Do this:\n\n{code}\n\nDone [1]."])
    assert code in answer
    assert [claim.markers for claim in claims] == [(), (), (1,)]


def test_a_sentence_with_markers_in_the_middle_makes_a_claim_for_each() -> None:
    answer, claims = parse(["Cats sleep [1] and dogs bark [2]. Both eat."])
    assert [(claim.text, claim.markers) for claim in claims] == [
        ("Cats sleep", (1,)),
        ("and dogs bark.", (2,)),
        ("Both eat.", ()),
    ]
    assert answer[claims[1].start : claims[1].end] == "and dogs bark [2]."


def test_a_marker_behind_the_stop_belongs_to_the_sentence_before_it() -> None:
    _, claims = parse(["Cats sleep. [2] Dogs bark.\n[1] Birds sing."])
    assert [(claim.text, claim.markers) for claim in claims] == [
        ("Cats sleep.", (2,)),
        ("Dogs bark.", ()),
        ("Birds sing.", (1,)),
    ]


def test_brackets_of_documents_are_escaped_once() -> None:
    assert escape_brackets("see [12] and \\[3] and [a]") == "see \\[12] and \\[3] and [a]"
