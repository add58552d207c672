from graph.terms import is_cjk, terms


def test_english_words_are_stemmed_and_stop_words_left_out() -> None:
    assert terms("The running dogs were barking at 3.14") == ["run", "dog", "bark", "3.14"]


def test_cjk_runs_give_characters_and_bigrams() -> None:
    assert terms("数据库 test") == ["数", "据", "库", "数据", "据库", "test"]


def test_full_width_and_case_do_not_matter() -> None:
    assert terms("ＰｙＴｈｏｎ") == terms("python")


def test_a_question_is_cjk_when_most_of_its_letters_are() -> None:
    assert is_cjk("如何安装 pip")
    assert not is_cjk("what does 数据 mean in this place")
    assert not is_cjk("")
