from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.citations import Claim
from graph.state.evidence import Passage
from graph.verification import Reading, cite, grounding, verify
from tests.graph.test_citations import parse


def idf(found: Iterable[str]) -> dict[str, float]:
    return dict.fromkeys(found, 1.0)


def passage(text: str, start: int = 0, **more: str) -> Passage:
    return Passage(
        index=1, id="d.v.0-1", text=text, score=1.0, document="d", source="s", title=more.get("title", "T"),
        start=start, end=start + len(text), doc_sha256="",
    )  # fmt: skip


@given(st.text(st.characters(codec="utf-8")) | st.text("aΣςİß*_ \n“x"))
def test_each_character_that_quotes_are_looked_for_in_has_its_place(text: str) -> None:
    reading = Reading(text)
    assert reading.squeezed == "".join(text[place].lower().replace("ς", "σ") for place in reading.places)


@pytest.mark.parametrize(
    ("claim", "text", "verdict", "quote"),
    [
        ("Cats sleep a lot.", "Dogs run. Cats  sleep\na lot. Birds sing.", "exact", "Cats  sleep\na lot."),
        ("`--dry-run` reads files.", "It stops. `--dry-run` reads files. Done.", "exact", "`--dry-run` reads files."),
        ("- Cats sleep.", "Dogs - Cats sleep.", "exact", "Cats sleep."),
        ("**Cats** sleep a `lot`", "Dogs run. Cats sleep a lot.", "exact", "Cats sleep a lot."),
        ("ΟΔΥΣΣΕΥΣ sails.", "Dogs run. Οδυσσευς sails. Birds.", "exact", "Οδυσσευς sails."),
        ("İzmir is large.", "Dogs run. İzmir is large. Birds.", "exact", "zmir is large."),
        (
            "A lot is dreamt by the cats of Rome.",
            "Dogs run. Cats sleep a lot. Birds.",
            "unsupported",
            "Cats sleep a lot.",
        ),
        (
            "Cats sleep very much, a lot.",
            "Dogs run. Cats sleep very much. Birds.",
            "supported",
            "Cats sleep very much.",
        ),
        ("Cats sleep 16 hours a day.", "Cats sleep 12 hours a day.", "unsupported", "Cats sleep 12 hours a day."),
        (
            "The palace of Berlin is large.",
            "The palace of Vienna is large.",
            "unsupported",
            "The palace of Vienna is large.",
        ),
        ("猫每天睡十六个小时。", "狗会叫。猫每天睡十六个小时。鸟会唱。", "exact", "猫每天睡十六个小时。"),
        ("art", "a party of cartoons", "unsupported", "a party of cartoons"),
        ("Cats sleep.", "Run this:\n\n```\nmake bench\n```\n\nIt ends.", "unsupported", "Run this:"),
    ],
)
def test_claims_are_verified_against_the_smallest_span(claim: str, text: str, verdict: str, quote: str) -> None:
    finding = verify(claim, passage(text), idf)
    assert (finding.verdict, finding.quote) == (verdict, quote)


def test_a_claim_that_needs_two_sentences_gets_both() -> None:
    text = "Cats sleep in baskets. They dream of mice. Dogs run."
    finding = verify("Sleeping cats dream: in baskets, of mice.", passage(text), idf)
    assert (finding.verdict, finding.quote) == ("supported", "Cats sleep in baskets. They dream of mice.")


@given(st.text(max_size=80), st.text(min_size=1, max_size=200), st.integers(0, 1000))
def test_a_quote_is_always_a_slice_of_the_document(claim: str, text: str, start: int) -> None:
    document = "x" * start + text
    finding = verify(claim, passage(text, start), idf)
    assert document[finding.start : finding.end] == finding.quote
    assert 0 <= finding.support <= 1


def test_citations_point_into_the_answer_and_the_document() -> None:
    text = "Cats sleep a lot. Dogs run."
    answer, claims = parse(["Cats sleep a lot [1]. Dogs run fast and far [1]. Nobody knows."], sources=1)
    citations = [citation for claim in claims for citation in cite(claim, [passage(text, 100)], idf)]
    assert [answer[c["answer"]["start"] : c["answer"]["end"]] for c in citations] == [
        "Cats sleep a lot [1].",
        "Dogs run fast and far [1].",
    ]
    assert [c["verified"] for c in citations] == ["exact", "unsupported"]
    assert [c["span"]["start"] for c in citations] == [100, 118]
    assert grounding(claims, citations) == "partial"
    assert grounding(claims[:1], citations) == "full"
    assert grounding(claims[2:], citations) == "none"


def test_an_answer_without_claims_is_not_grounded() -> None:
    nothing: Sequence[Claim] = []
    assert grounding(nothing, []) == "none"
