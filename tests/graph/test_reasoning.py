import pytest

from graph.reasoning import ThinkParser


def split(pieces: list[str]) -> tuple[str, str]:
    parser = ThinkParser()
    found = [parser.feed(piece) for piece in pieces] + [parser.flush()]
    return "".join(reasoning for reasoning, _ in found), "".join(answer for _, answer in found)


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>Let me see.</think>\n\nIt is 42.", "Let me see.", "It is 42."),
        ("  \n<think>a < b</think>x", "a < b", "x"),
        ("No thinking <think>here</think>.", "", "No thinking <think>here</think>."),
        ("<think>never closed", "never closed", ""),
        ("<thin", "", "<thin"),
        ("", "", ""),
    ],
)
def test_thoughts_and_answer_are_told_apart_however_the_stream_is_cut(text: str, reasoning: str, answer: str) -> None:
    assert split([text]) == (reasoning, answer)
    assert split(list(text)) == (reasoning, answer)
    for cut in range(len(text)):
        assert split([text[:cut], text[cut:]]) == (reasoning, answer)
