import string
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graph.retrieval.wording import Wanted, WantedPairs, pairs_of, wording_of
from graph.terms import sequence, words


def test_a_pair_is_two_whole_words_side_by_side() -> None:
    wording = wording_of("Smart shows begin. The art was late.")
    said = {("smart", "show"): 1.0, ("art", "show"): 1.0, ("art", "was"): 1.0, ("show", "begin"): 1.0}
    assert WantedPairs(said).share(wording) == pytest.approx(3 / 4)
    assert WantedPairs({}).share(wording) == 0


def test_a_pair_may_stand_over_the_end_of_a_sentence_or_be_the_same_word_twice() -> None:
    wording = wording_of("First go go. Then stop.")
    assert WantedPairs({("go", "then"): 1.0, ("go", "go"): 1.0}).share(wording) == 1


@given(st.text(alphabet="ab 猫狗é.\n", max_size=40))
def test_the_pairs_of_a_text_are_those_that_stand_side_by_side(text: str) -> None:
    found = pairs_of(text)
    assert found == set(pairwise(sequence(text)))
    assert all(WantedPairs({pair: 1.0}).share(wording_of(text)) == 1 for pair in found)
    for pair in {(one, two) for one in sequence(text) for two in sequence(text)} - found:
        assert WantedPairs({pair: 1.0}).share(wording_of(text)) == 0


def test_the_words_of_a_question_count_by_their_weight() -> None:
    wanted = Wanted({"fox": 3.0, "den": 1.0, "owl": 4.0})
    wording = wording_of("The fox runs. A den, and a fox in it.")
    assert wanted.total == 8
    assert wanted.share(wording.terms) == wanted.share({"fox", "den", "more"}) == 0.5
    assert wanted.best_share(wording) == 0.5
    assert wanted.best_share(wording_of("The fox runs. A den. An owl.")) == 0.5
    assert wanted.best_share(wording_of("The fox runs. A den.")) == 3 / 8
    assert wanted.best_share(wording_of("")) == wanted.best_share(wording_of("Cats sleep.")) == 0


@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 9), max_size=4), min_size=1, max_size=3))
def test_a_best_sentence_is_the_one_of_them_all(sentences: list[dict[str, float]]) -> None:
    weights = {term: weight for sentence in sentences for term, weight in sentence.items()}
    wording = wording_of(". ".join(" ".join([*sentence, "Zz"]) for sentence in sentences) + ".")
    total = sum(weights.values())
    best = max(sum(weights.get(term, 0.0) for term in sentence) for sentence in wording.sentences)
    assert Wanted(weights).best_share(wording) == pytest.approx(best / total if total else 0.0)


def test_nothing_has_a_share_of_no_words() -> None:
    assert Wanted({}).share({"fox"}) == Wanted({}).best_share(wording_of("The fox.")) == 0
    assert Wanted({"fox": 0.0}).share({"fox"}) == 0


@given(st.text(string.printable))
@example("v1.2,5 x_y 3.a")
def test_text_of_ascii_has_the_words_that_it_would_have_among_others(text: str) -> None:
    assert words(text) == words(f"{text} é")[:-1]
