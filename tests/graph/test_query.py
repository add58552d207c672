from graph.retrieval.query import history_query, is_dependent, with_rewrite


def test_a_first_question_is_searched_as_it_is() -> None:
    query = history_query("How long do cats sleep?", [])
    assert query["texts"] == [("How long do cats sleep?", 1.0)]
    assert query["terms"] == {"cat": 1.0, "sleep": 1.0}


def test_earlier_answers_go_along_the_latest_first() -> None:
    query = history_query("And dogs?", ["How long do cats sleep?", "Where?"], ["16 hours.", "In baskets."])
    assert query["answers"] == ["In baskets.", "16 hours."]
    many = history_query("And dogs?", ["Why?"] * 9, [str(number) for number in range(9)])
    assert many["answers"] == ["8", "7", "6", "5", "4", "3"]


def test_terms_of_earlier_questions_count_less_with_their_distance() -> None:
    query = history_query("And where is it?", ["What is a basket?", "How do cats sleep?"])
    assert query["terms"]["cat"] == 0.5
    assert query["terms"]["basket"] == 0.25


def test_a_question_that_stands_alone_leans_less_on_the_history() -> None:
    query = history_query("Which birds sing at night in Spain?", ["How do cats sleep?"])
    assert query["terms"]["cat"] == 0.2
    assert query["texts"][1][1] == 0.2


def test_pronouns_and_ellipses_make_a_question_dependent() -> None:
    assert is_dependent("Does it close the connection?")
    assert is_dependent("那它的默认值是什么？")
    assert is_dependent("Why?")
    assert is_dependent("And which of the five kinds do birds prefer?")
    assert not is_dependent("Which birds sing at night in Spain?")


def test_a_rewrite_is_searched_beside_the_history() -> None:
    query = with_rewrite(history_query("And where?", ["How do cats sleep?"]), "Where do cats sleep?")
    assert query["text"] == "Where do cats sleep?"
    assert query["terms"]["cat"] == 1.0
    assert ("Where do cats sleep?", 1.0) in query["texts"]
