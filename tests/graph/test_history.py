import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage

from graph.state.history import fit_history, split_question

TURNS: list[AnyMessage] = [
    HumanMessage("first question"),
    AIMessage("first answer"),
    HumanMessage("second question"),
    AIMessage("second answer"),
]


def test_the_newest_turns_within_the_budget_are_kept_whole() -> None:
    kept, dropped = fit_history(TURNS, budget_tokens=5)
    assert [message.text for message in kept] == ["second question", "second answer"]
    assert dropped == 1


def test_everything_is_kept_when_it_fits() -> None:
    kept, dropped = fit_history(TURNS, budget_tokens=100)
    assert (kept, dropped) == (TURNS, 0)


def test_a_question_that_was_never_answered_is_left_out() -> None:
    kept, _ = fit_history([HumanMessage("lost"), *TURNS], budget_tokens=100)
    assert kept == TURNS


def test_the_question_is_the_text_of_the_last_message_also_when_it_comes_in_blocks() -> None:
    earlier, question = split_question([*TURNS, HumanMessage([{"type": "text", "text": " why? "}])])
    assert (earlier, question) == (TURNS, "why?")


def test_a_conversation_that_ends_with_an_answer_has_no_question() -> None:
    with pytest.raises(ValueError, match="must be the question"):
        split_question(TURNS)


def test_a_summary_stays_in_front_and_counts() -> None:
    kept, dropped = fit_history([SystemMessage("it was about cats"), *TURNS], budget_tokens=9)
    assert [message.text for message in kept] == ["it was about cats", "second question", "second answer"]
    assert dropped == 1
