import pytest

from graph.retrieval.query import history_query
from graph.retrieval.sufficiency import is_enough


@pytest.mark.parametrize(
    ("question", "earlier", "confidence", "enough"),
    [
        ("How long do cats sleep?", [], 0.29, False),
        ("How long do cats sleep?", [], 0.3, True),
        ("And dogs?", ["How long do cats sleep?"], 0.25, True),
        ("And dogs?", ["How long do cats sleep?"], 0.2, False),
        ("猫睡多久？", [], 0.25, True),
        ("猫睡多久？", [], 0.2, False),
    ],
)
def test_a_question_needs_more_than_a_follow_up(
    question: str, earlier: list[str], confidence: float, enough: bool
) -> None:
    assert is_enough(history_query(question, earlier), confidence) is enough
