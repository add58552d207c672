import pytest

from graph.terms import is_cjk, question_terms, terms


def test_english_words_are_stemmed_and_stop_words_left_out() -> None:
    assert terms("The running dogs were barking at 3.14") == ["run", "dog", "bark", "3.14"]


def test_cjk_runs_give_characters_and_bigrams() -> None:
    assert terms("数据库 test") == ["数", "据", "库", "数据", "据库", "test"]


def test_full_width_and_case_do_not_matter() -> None:
    assert terms("ＰｙＴｈｏｎ") == terms("python")


def test_a_question_is_cjk_when_most_of_its_words_are() -> None:
    assert is_cjk("如何安装 pip")
    assert is_cjk("什么为Merits在NSFNET的角色做好了准备")
    assert not is_cjk("what does 数据 mean in this place")
    assert not is_cjk("")


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("How many kinds of birds sing?", "kinds of birds sing"),
        ("What kind of bird sings at night?", "bird sings night"),
        ("What is the name of the bird?", "bird"),
        ("请问猫每天睡多少小时？", "猫每天睡 小时"),
        ("誰發明了電話", "發明 電話"),
    ],
)
def test_words_that_only_ask_are_not_searched(question: str, about: str) -> None:
    assert set(question_terms(question)) <= set(terms(about)) | {"明了", "了電"}
    assert set(terms(about)) <= set(question_terms(question))
