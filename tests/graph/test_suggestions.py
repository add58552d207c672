from graph.state.evidence import Passage
from graph.suggestions import suggest


def passage(index: int, heading: str = "", text: str = "Foxes sleep.") -> Passage:
    found = Passage(
        index=index, id=f"d.v.{index}-9", text=text, score=1.0, document="d", source="s", title="T", start=0,
        end=len(text), doc_sha256="",
    )  # fmt: skip
    if heading:
        found["heading"] = heading
    return found


def test_headings_become_questions_those_of_unused_passages_first() -> None:
    passages = [passage(1, "Manual > Sleep"), passage(2, "Manual > 2.1 Food and `water`"), passage(3, "Manual > Cubs")]
    assert suggest("Where do foxes live?", passages, [1, 3]) == [
        "What do the documents say about “Food and water”?",
        "What do the documents say about “Sleep”?",
        "What do the documents say about “Cubs”?",
    ]


def test_what_was_asked_already_is_not_suggested() -> None:
    passages = [passage(1, "Where foxes sleep"), passage(2, "Foxes"), passage(3, "The sleep of foxes")]
    assert suggest("Where do foxes sleep?", passages, []) == []


def test_two_headings_with_the_same_words_are_one() -> None:
    passages = [passage(1, "A > Backups"), passage(2, "B > Backup"), passage(3, "The backups")]
    assert suggest("Where do foxes sleep?", passages, []) == ["What do the documents say about “Backups”?"]


def test_questions_of_the_documents_are_taken_as_they_are() -> None:
    text = "How do I feed a cub?\n\nWith milk. Why at night? Because it is awake."
    faq = passage(1, "FAQ > How do I feed a cub?", text)
    assert suggest("Where do foxes sleep?", [faq], []) == ["How do I feed a cub?", "Why at night?"]


def test_at_most_three_and_none_that_are_long_or_say_nothing() -> None:
    passages = [passage(1, "x" * 101), passage(2, "—"), *(passage(n, f"Topic{n}") for n in range(3, 9))]
    assert len(suggest("Where?", passages, [])) == 3


def test_the_words_around_a_heading_are_in_the_language_of_the_question() -> None:
    assert suggest("狐狸睡在哪里？", [passage(1, "第二章 食物")], []) == ["文档中关于“食物”是怎么说的？"]
