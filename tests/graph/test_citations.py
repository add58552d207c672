from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graph.citations import CitationParser, Claim, Text, escape_brackets

ANSWERS = (
    "Foo bar [1]. Baz qux. [2] Then `a[1]` code. See [1](http://x). [9] Bad [9].\n\n```py\nx[1] = 2\n```\n"
    "Next line [1, 2] ok. In \\[12] and [2024] we [3] see. 中文句子[2]。下一句。[1]结束\n- item one [1]\n"
    "- item e.g. this [2]"
)


def parse(pieces: Iterable[str], sources: int = 3) -> tuple[str, list[Claim]]:
    parser = CitationParser(sources=sources)
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


@given(st.lists(st.text(alphabet="ab. []()`\\\n123,", max_size=8), max_size=10))
def test_no_piece_of_text_ends_inside_a_marker(pieces: list[str]) -> None:
    parser = CitationParser(sources=3)
    deltas = [item.delta for piece in pieces for item in parser.feed(piece) if isinstance(item, Text)]
    deltas += [item.delta for item in parser.flush() if isinstance(item, Text)]
    rebuilt = ""
    for delta in deltas:
        for number in "123":
            marker = f"[{number}]"
            joined = rebuilt[-2:] + delta[:2]
            inside = joined.find(marker)
            # A literal bracket may be cut; a marker that a claim counts may not.
            assert (
                inside < 0 or inside + 3 <= len(rebuilt[-2:]) or inside >= len(rebuilt[-2:]) or "`" in rebuilt + delta
            )
        rebuilt += delta


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
