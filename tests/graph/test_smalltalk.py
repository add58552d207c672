import pytest

from graph.smalltalk import smalltalk

GREETINGS = ["Hi", "hello!", "Hey there 👋", "Good morning.", "Hi! How are you today?", "HELLO", "What’s up?"]
GREETINGS_ZH = ["你好", "您好！", "嗨，大家好", "早上好", "在吗？"]
THANKS = ["Thanks", "thank you so much!", "Great, thanks a lot.", "OK", "Got it, thank you. Bye!", "Perfect :)"]
THANKS_ZH = ["谢谢", "好的，谢谢你！", "多谢", "明白了", "再见"]
QUESTIONS = [
    "Hi, how do I reset it?", "Thanks, and how long does it last?", "What does hello mean?", "hello world", "OK button",
    "Bye week rules", "你好是什么意思？", "谢谢，那价格呢？", "好的方法有哪些", "?", "", "Who is up?", "it", "Hi " * 60,
]  # fmt: skip


@pytest.mark.parametrize("said", [*GREETINGS, *GREETINGS_ZH])
def test_greetings_are_known(said: str) -> None:
    assert smalltalk(said) == "greeting"


@pytest.mark.parametrize("said", [*THANKS, *THANKS_ZH])
def test_thanks_are_known(said: str) -> None:
    assert smalltalk(said) == "thanks"


@pytest.mark.parametrize("said", QUESTIONS)
def test_what_may_ask_something_is_no_small_talk(said: str) -> None:
    assert smalltalk(said) is None
