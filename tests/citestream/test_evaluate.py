import json
import math
from pathlib import Path

import numpy as np
import pytest

from citestream.evaluate import Citestream
from citestream.evaluate.asking import Answered, Ranked
from citestream.evaluate.measures import auroc, difference, judge, means
from citestream.evaluate.questions import Question, Said, read_questions, read_rows
from citestream.evaluate.report import Report, SetResult
from graph.errors import SettingsError
from graph.state.evidence import Citation, Span

FOXES = "The quick fox jumps over the lazy dog. The fox sleeps in a den. It was seen in 1998 near Oxford."
SQLITE = "SQLite stores a whole database in one file. The file may be copied while nobody writes."
CATS = "猫每天睡十六个小时。它们在篮子里睡觉。"


def ranked(source: str, text: str = "Foo bar.", start: int = 0) -> Ranked:
    return Ranked(f"{source}.v1.{start}-{start + len(text)}", source, 0.5, start, start + len(text), text)


def citation(index: int, start: int, end: int, quote: str) -> Citation:
    return {
        "index": index, "source_id": "x", "answer": Span(start=0, end=3), "span": Span(start=start, end=end),
        "quote": quote, "verified": "exact", "support": 1.0, "origin": "claimed",
    }  # fmt: skip


def test_questions_are_read_in_both_ways_of_writing_them(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    lines = [
        {"question": "How long?", "document": "manual.pdf", "answer": "two hours"},
        {
            "qid": "q7", "question": "And then?", "gold": ["a", "b"], "answers": ["x", "y"], "answerable": False,
            "history": [{"role": "user", "text": "How long?"}, {"role": "assistant", "content": "Two hours."}],
        },
    ]  # fmt: skip
    path.write_text("\n\n".join(json.dumps(line) for line in lines), encoding="utf-8-sig")

    first, second = read_questions(path)
    assert first == Question("1", "How long?", documents=("manual.pdf",), answers=("two hours",))
    assert second.history == (Said("user", "How long?"), Said("assistant", "Two hours."))
    assert (second.id, second.documents, second.answers, second.answerable) == ("q7", ("a", "b"), ("x", "y"), False)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 is no JSON"),
        ("[1]", "line 2 is no JSON object"),
        ('{"questions": "Why?"}', "line 2: 'question' is missing"),
        ('{"question": " "}', "line 2: 'question' is missing"),
        ('{"question": "Why?", "document": 7}', "line 2: 'document' is a text"),
        ('{"question": "Why?", "history": ["Hi"]}', "line 2: history is a list"),
        ('{"question": "' + "x" * 20_000 + '"}', "line 2: a question has at most"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(f'{{"question": "Why?"}}\n{line}\n')
    with pytest.raises(SettingsError, match=said):
        read_questions(path)


def test_a_file_without_questions_is_told_with_an_example(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text("\n")
    with pytest.raises(SettingsError, match=r"no questions.*manual\.pdf"):
        read_questions(path)


def test_rows_are_texts_with_ids_and_titles(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = ['{"id": "a", "text": "Foo", "title": null}', '{"id": "b", "text": "Bar", "title": "T"}']
    blank = '{"id": "c", "text": "\\n"}'
    path.write_text("\n".join([*lines, blank]))
    assert [(row.id, row.title, row.text) for row in read_rows(path)] == [("a", "", "Foo"), ("b", "T", "Bar")]


def test_ranks_of_expected_documents_are_measured() -> None:
    question = Question("1", "Why?", documents=("docs/a.md", "b.md"))
    found = [ranked("x.md"), ranked("my/docs/a.md"), ranked("my/docs/a.md", start=50), ranked("c/b.md")]
    values = judge(question, Answered(ranked=found, status="completed"))
    assert (values["R@1"], values["R@3"], values["R@5"]) == (0, 1, 1)
    assert values["MRR"] == 0.5
    assert values["nDCG@5"] == pytest.approx((1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3)))


def test_a_document_is_known_by_the_end_of_its_path_only() -> None:
    values = judge(Question("1", "Why?", documents=("a.md",)), Answered(ranked=[ranked("data.md"), ranked("a.md.txt")]))
    assert values["MRR"] == 0


def test_answers_are_looked_for_in_passages_and_in_what_was_said() -> None:
    question = Question("1", "Why?", answers=("Two  Hours", "2h"))
    passages = [ranked("a"), ranked("b"), ranked("c"), ranked("d", "It takes two hours.")]
    values = judge(question, Answered(ranked=passages, answer="It takes two [1] hours [1].", status="completed"))
    assert (values["answer in 3 passages"], values["answer contained"], values["answered"]) == (0, 1, 1)


def test_markers_and_quotes_that_prove_nothing_are_counted() -> None:
    passage = ranked("a", "Foo bar baz.", start=100)
    good, shifted, unknown = citation(1, 104, 107, "bar"), citation(1, 4, 7, "bar"), citation(2, 104, 107, "bar")
    answer = "Foo [1]. Bar [2]. `x[3]` \\[4] [5](http://x)"
    values = judge(Question("1", "Why?"), Answered([passage], answer=answer, citations=[good, shifted, unknown]))
    assert (values["dangling"], values["citations"], values["not slices"]) == (1, 3, 2)


def test_a_question_without_an_answer_should_be_declined() -> None:
    question = Question("1", "Why?", answerable=False)
    assert judge(question, Answered(status="abstained"))["declined"] == 1
    assert judge(question, Answered(status="completed"))["declined"] == 0


def test_means_come_with_intervals_and_the_confidence_with_its_auroc() -> None:
    asked = [{"answered": 1.0, "R@1": float(n % 2), "confidence": 0.5 + n / 100} for n in range(40)]
    found = means([*asked, *({"declined": 1.0, "confidence": n / 100} for n in range(40))])
    assert found["R@1"].value == 0.5
    assert 0.3 < found["R@1"].low < 0.5 < found["R@1"].high < 0.7
    assert (found["R@1"].n, found["auroc"].n) == (40, 80)
    assert found["auroc"].value == found["auroc"].low == 1
    assert "confidence" not in found


def test_auroc_counts_ties_half() -> None:
    assert auroc(np.array([0.1, 0.5, 0.5, 0.9]), np.array([False, False, True, True])) == 0.875


def test_a_comparison_names_what_became_worse_for_certain(tmp_path: Path) -> None:
    before = SetResult("mine", {str(n): {"R@5": 1.0, "dangling": 0.0, "MRR": 0.5, "ms": 10.0} for n in range(50)})
    after = SetResult(
        "mine", {str(n): {"R@5": float(n % 3 > 0), "dangling": 1.0, "MRR": 0.6, "ms": 99.0} for n in range(50)}
    )
    Report({"model": "extractive"}, [before]).write(tmp_path / "sub" / "before.json")
    known = Report.read(tmp_path / "sub" / "before.json")
    table, worse = Report({}, [after]).compare(known)
    assert worse == ["mine: R@5", "mine: dangling"]
    assert "| mine | MRR | +0.100 |" in table
    assert Report({}, [before]).compare(known)[1] == []
    assert difference({}, after.values, "MRR") is None


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[]")
    with pytest.raises(SettingsError, match="no result of"):
        Report.read(path)


def test_the_adapter_answers_from_the_texts_it_was_given() -> None:
    system = Citestream()
    try:
        texts = {"f": f"\ufeff{FOXES}", "s": SQLITE, "c": CATS}
        system.ingest([{"id": name, "title": "", "text": text} for name, text in texts.items()])
        answer = system.ask([], "Where does the fox sleep?", 5)
        follow_up = system.ask([{"role": "user", "text": "Tell me about SQLite"}], "And may it be copied?", 5)
        unknown = system.ask([], "What is the capital of France?", 5)
    finally:
        system.close()

    assert answer["ranked"][0]["id"] == answer["ranked"][0]["doc"] == "f"
    assert answer["answer"].startswith("The fox sleeps in a den. [1]")
    assert answer["citations"][0] == {"n": 1, "id": "f", "quote": "The fox sleeps in a den."}
    for passage in answer["ranked"]:
        assert texts[passage["doc"]][passage["start"] : passage["end"]] == passage["text"]
    assert follow_up["ranked"][0]["id"] == "s"
    assert follow_up["query"] != "And may it be copied?"
    assert unknown["status"] == "abstained"
    assert unknown["confidence"] < 0.3 < answer["confidence"]
