import re
from collections.abc import Iterable

import pytest

from graph.library import LiveChunk, Section
from graph.retrieval.passages import HITS_BEYOND_K, to_passages, widen
from graph.state.evidence import Passage

TEXT = "One tells. Two goes on.  Three ends it.\n\nFour is far away. Five is further. Six closes."


def chunk(words: str, *, page: int | None = None, heading: str = "", version: str = "d.v") -> LiveChunk:
    start = TEXT.index(words)
    end = start + len(words)
    return LiveChunk(
        f"{version}.{start}-{end}", words, start, end, page, heading, version.partition(".")[0], "a.txt", "a", "en", "0"
    )


def read(ids: Iterable[str]) -> dict[str, str]:
    places = {source_id: source_id.rpartition(".")[2].split("-") for source_id in ids}
    return {source_id: TEXT[int(start) : int(end)] for source_id, (start, end) in places.items()}


def passages(*hits: LiveChunk, k: int = 3) -> list[Passage]:
    return to_passages([(hit, 1 - rank / 10) for rank, hit in enumerate(hits)], k, read)


def test_neighbours_that_were_both_found_are_one_passage_in_the_order_of_the_document() -> None:
    found = passages(chunk("Two goes on."), chunk("Six closes."), chunk("One tells."))
    assert [p["text"] for p in found] == ["One tells. Two goes on.", "Six closes."]
    assert [(p["index"], p["score"]) for p in found] == [(1, 1.0), (2, 0.9)]
    assert found[0]["id"] == "d.v.0-23"
    assert TEXT[found[0]["start"] : found[0]["end"]] == found[0]["text"]


def test_overlapping_chunks_are_joined_without_saying_anything_twice() -> None:
    found = passages(chunk("Two goes on.  Three ends it."), chunk("One tells. Two goes on."))
    assert [p["text"] for p in found] == ["One tells. Two goes on.  Three ends it."]


def test_the_better_a_passage_ranks_the_more_neighbours_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.retrieval.passages.ROOM_TOKENS", (12, 4))
    first = [chunk("Two goes on."), chunk("One tells."), chunk("Three ends it.")]
    second = [chunk("Five is further.", version="e.v"), chunk("Six closes.", version="e.v")]
    found = passages(first[0], second[0], *first[1:], second[1], k=2)
    assert [p["text"] for p in found] == ["One tells. Two goes on.  Three ends it.", "Five is further."]


def test_a_copy_in_another_document_takes_no_place_of_its_own() -> None:
    copy = chunk("Two goes on.", version="e.v")
    found = passages(chunk("Two goes on."), copy, chunk("Six closes."), k=2)
    assert [(p["document"], p["text"]) for p in found] == [("d", "Two goes on."), ("d", "Six closes.")]


def test_a_copy_of_what_has_joined_a_passage_takes_no_place_either() -> None:
    found = passages(chunk("Two goes on."), chunk("One tells."), chunk("One tells.", version="e.v"), k=2)
    assert [p["text"] for p in found] == ["One tells. Two goes on."]


def test_what_differs_in_a_word_is_no_copy() -> None:
    other = LiveChunk("e.v.0-12", "Two goes out.", 0, 12, None, "", "e", "b.txt", "b", "en", "0")
    assert [p["document"] for p in passages(chunk("Two goes on."), other)] == ["d", "e"]


@pytest.mark.parametrize(
    "other",
    [
        chunk("One tells.", page=2),
        chunk("One tells.", heading="Elsewhere"),
        chunk("One tells.", version="d.w"),
        chunk("Four is far away."),
    ],
    ids=["another page", "another section", "another version", "a gap between"],
)
def test_chunks_stay_apart_over_a_page_a_section_a_version_or_a_gap(other: LiveChunk) -> None:
    assert len(passages(chunk("Two goes on."), other)) == 2


def test_a_passage_may_be_joined_by_a_hit_that_ranks_a_little_after_the_last_place_but_no_further() -> None:
    far = chunk("Six closes.", version="e.v")
    near = chunk("Two goes on.")
    assert [p["text"] for p in passages(near, far, chunk("One tells."), k=1)] == ["One tells. Two goes on."]
    assert [p["text"] for p in passages(near, *[far] * HITS_BEYOND_K, chunk("One tells."), k=1)] == ["Two goes on."]


def test_a_document_removed_between_search_and_reading_is_left_out() -> None:
    hits = [(chunk("Two goes on."), 1.0), (chunk("One tells."), 0.9), (chunk("Six closes."), 0.8)]
    found = to_passages(hits, 3, lambda ids: {})
    assert [(p["index"], p["text"]) for p in found] == [(1, "Six closes.")]


CHUNKS = [(found.start(), found.end()) for found in re.finditer(r"[A-Z][^.]*\.", TEXT)]
"""The sentences of TEXT."""


def around(source_ids: Iterable[str]) -> dict[str, Section]:
    """All of TEXT as one section."""
    return dict.fromkeys(source_ids, Section(0, TEXT, CHUNKS))


def test_a_passage_is_widened_by_whole_chunks_on_both_sides_as_far_as_its_room_goes() -> None:
    (found,) = widen(passages(chunk("Two goes on.")), around, 12)
    assert found["text"] == "One tells. Two goes on.  Three ends it."
    assert (found["id"], found["start"], found["end"]) == ("d.v.0-39", 0, 39)
    (narrow,) = widen(passages(chunk("Two goes on.")), around, 8)
    assert narrow["text"] == "Two goes on.  Three ends it."
    assert widen(passages(chunk("Two goes on.")), around, 0)[0]["text"] == "Two goes on."


def test_a_passage_does_not_grow_into_another_one_or_over_a_gap() -> None:
    found = widen(passages(chunk("Two goes on."), chunk("Six closes."), chunk("One tells.", heading="X")), around, 99)
    assert found[0]["text"] == "Two goes on.  Three ends it.\n\nFour is far away. Five is further."
    assert TEXT[found[1]["start"] : found[1]["end"]] == found[1]["text"] == "Six closes."


def test_passages_that_share_a_sentence_do_not_swallow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.retrieval.passages.ROOM_TOKENS", (6,))
    hits = [chunk("One tells. Two goes on."), chunk("Two goes on.  Three ends it.")]
    found = widen(passages(*hits), around, 99)
    assert found[0]["text"] == "One tells. Two goes on."
    assert found[1]["text"] == TEXT[TEXT.index("Two") :]


def test_answers_of_one_word_are_no_copies_of_one_another() -> None:
    hits = [LiveChunk(f"{d}.v.0-{len(t)}", t, 0, len(t), None, "", d, "a", "a", "en", "0")
            for d, t in (("d", "Yes."), ("e", "No."), ("f", "Yes."))]  # fmt: skip
    assert [(p["document"], p["text"]) for p in passages(*hits)] == [("d", "Yes."), ("e", "No.")]


def test_passages_of_the_last_ranks_are_widened_in_any_case() -> None:
    words = ["One tells.", "Three ends it.", "Six closes.", "Two goes on."]
    hits = [chunk(text, version=f"{name}.v") for name, text in zip("abcd", words, strict=True)]
    assert [p["text"] for p in widen(passages(*hits, k=4), around, 0)] == [*words[:3], TEXT]


def test_a_passage_that_ends_with_a_colon_is_widened_by_what_it_leads_to() -> None:
    text = "Call it:\n\n```\ncall()\n```"
    leads = LiveChunk("d.v.0-8", "Call it:", 0, 8, None, "", "d", "a.txt", "a", "en", "0")

    def section(ids: Iterable[str]) -> dict[str, Section]:
        return dict.fromkeys(ids, Section(0, text, [(0, 8), (10, len(text))]))

    assert [p["text"] for p in widen(passages(leads), section, 0)] == [text]
