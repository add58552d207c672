import pytest

from graph.alignment import differs

SOURCE = "The Broncos beat the Patriots in the final. Denver won by three points in 2016. It was not raining."


@pytest.mark.parametrize(
    "claim",
    [
        "The Broncos beat the Steelers in the final.",
        "The Steelers beat the Patriots in the final.",
        "The Broncos beat Denver in the final.",
        "Denver won by three points in 2015.",
        "The Broncos did not beat the Patriots in the final.",
        "It was raining.",
    ],
)
def test_another_name_or_the_opposite_differs(claim: str) -> None:
    assert differs(claim, SOURCE)


@pytest.mark.parametrize(
    "claim",
    [
        "The Broncos beat the Patriots in the final.",
        "In the final the Broncos beat the Patriots.",
        "The Broncos defeated the Patriots in the final.",
        "Denver won by three points.",
        "Elephants never forget a friend.",
        "It rained nowhere, as far as anybody can say.",
        "",
        "?!",
    ],
)
def test_the_same_in_other_words_or_something_else_does_not(claim: str) -> None:
    assert not differs(claim, SOURCE)


@pytest.mark.parametrize(
    ("claim", "is_other"),
    [
        ("猫每天睡十六个小时。", False),
        ("狗每天睡十六个小时。", True),
        ("猫每天不睡十六个小时。", True),
        ("猫每天都睡十六个小时。", False),
    ],
)
def test_chinese_is_compared_character_by_character(claim: str, is_other: bool) -> None:
    assert differs(claim, "猫每天睡十六个小时。狗睡得少。") is is_other


def test_a_name_that_stands_in_another_sentence_is_still_another_one() -> None:
    assert differs("Venom formed in Newcastle in 1979.", "Skyclad formed in Newcastle in 1979. Venom came later.")


def test_the_contracted_not_is_one() -> None:
    assert differs("The lamp of the tower does burn at night.", "The lamp of the tower doesn't burn at night.")


def test_what_is_too_long_for_a_sentence_is_not_compared() -> None:
    """Comparing takes time with the square of its words, and a model may write what it likes."""
    source = "The Broncos" + " beat the Patriots" * 60
    assert differs("The Steelers" + " beat the Patriots" * 40, source)
    assert not differs("The Steelers" + " beat the Patriots" * 60, source)
