import string
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graph.retrieval.wording import pairs_of, wording_of
from graph.terms import sequence, words


def test_a_pair_is_two_whole_words_side_by_side() -> None:
    wording = wording_of("Smart shows begin. The art was late.")
    said = {("smart", "show"): 1.0, ("art", "show"): 1.0, ("art", "was"): 1.0, ("show", "begin"): 1.0}
    assert wording.pair_share(said) == pytest.approx(3 / 4)
    assert wording.pair_share({}) == 0


def test_a_pair_may_stand_over_the_end_of_a_sentence_or_be_the_same_word_twice() -> None:
    wording = wording_of("First go go. Then stop.")
    assert wording.pair_share({("go", "then"): 1.0, ("go", "go"): 1.0}) == 1


@given(st.text(alphabet="ab 猫狗é.\n", max_size=40))
def test_the_pairs_of_a_text_are_those_that_stand_side_by_side(text: str) -> None:
    found = pairs_of(text)
    assert found == set(pairwise(sequence(text)))
    assert all(wording_of(text).pair_share({pair: 1.0}) == 1 for pair in found)
    for pair in {(one, two) for one in sequence(text) for two in sequence(text)} - found:
        assert wording_of(text).pair_share({pair: 1.0}) == 0


@given(st.text(string.printable))
@example("v1.2,5 x_y 3.a")
def test_text_of_ascii_has_the_words_that_it_would_have_among_others(text: str) -> None:
    assert words(text) == words(f"{text} é")[:-1]
