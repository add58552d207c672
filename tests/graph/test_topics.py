from collections.abc import Iterable, Mapping

from graph.library import LiveChunk
from graph.retrieval.topics import Topics, find_topics
from graph.terms import terms


def chunk(text: str, heading: str) -> LiveChunk:
    return LiveChunk(f"{heading}.v.0-1", text, 0, len(text), None, heading, heading, heading, "Birds", "en", "0")


WREN = chunk("Wrens build round nests of moss in ivy.", "Wren > Nest")
OWL = chunk(
    "Owls breed in hollow trees or old barns. They use no nest material at all, and hunt at night.", "Owl > Breeding"
)
CHUNKS = [WREN, OWL]


def search(weights: Mapping[str, float]) -> list[LiveChunk]:
    return [chunk for chunk in CHUNKS if weights.keys() & set(terms(chunk.text))]


def idf(found: Iterable[str]) -> dict[str, float]:
    return dict.fromkeys(found, 1.0)


def topics(*answers: str) -> Topics:
    return find_topics(answers, search, idf)


def test_an_answer_leads_to_the_headings_it_was_taken_from() -> None:
    found = topics("Wrens build round nests of moss. [1]")
    assert {"wren", "nest", "bird"} == found.terms.keys()


def test_words_of_the_same_kind_are_no_origin() -> None:
    assert topics("Some other animals build large round towers of clay and sand.") == Topics()
    assert topics("Yes.", "") == Topics()


def test_topics_of_older_answers_count_less() -> None:
    found = topics("Owls breed in hollow trees or old barns. [2]", "Wrens build round nests of moss in ivy. [1]")
    assert found.terms["owl"] > found.terms["wren"] > 0


def test_an_answer_from_several_places_is_about_none_of_them_as_much() -> None:
    one = topics("Wrens build round nests of moss in ivy. [1]").terms["wren"]
    both = topics("Wrens build round nests of moss in ivy. [1] Owls breed in hollow trees or old barns. [2]")
    assert both.terms["wren"] == both.terms["owl"] == one / 2


def test_only_what_was_said_whole_counts_as_said() -> None:
    assert topics("Wrens build round nests of moss in ivy. [1]").said == {WREN.id}
    assert topics("Owls breed in hollow trees or old barns. [2]").said == frozenset()


def test_a_chunk_has_the_share_of_the_topic_that_its_headings_have() -> None:
    found = Topics({"wren": 0.5, "nest": 0.5})
    assert found.share(WREN, idf(found.terms)) == 0.5
    assert found.share(OWL, idf(found.terms)) == 0.0
    assert Topics().share(WREN, {}) == 0.0
