import pytest

from graph.library import LiveChunk
from graph.retrieval.query import history_query
from graph.retrieval.ranking import Hit
from graph.retrieval.sufficiency import BY_EMBEDDING, WORDS_ALONE, Sufficiency, judge
from graph.terms import terms

CATS = "Cats sleep sixteen hours a day. Dogs sleep less."


def judged(
    question: str,
    text: str = CATS,
    *,
    earlier: tuple[str, ...] = (),
    dense: float | None = 0.6,
    embedding: str = "minilm",
) -> Sufficiency:
    chunk = LiveChunk("d.v.0-1", text, 0, len(text), None, "", "d", "cats.txt", "cats", "en", "0")
    query = history_query(question, list(earlier))
    idf = dict.fromkeys((*query["terms"], *terms(text)), 1.0)
    return judge(query, [Hit(chunk, 2.0, dense)], [(chunk, 0.8)], idf, embedding=embedding)


def test_the_more_of_a_question_the_best_chunk_has_the_surer_it_is() -> None:
    whole = judged("How long do cats sleep a day?").confidence
    part = judged("How long do lions sleep a day?").confidence
    none = judged("Where were lions first tamed?", dense=0.1).confidence
    assert 1 > whole > part > none > 0


def test_a_little_evidence_is_not_enough() -> None:
    assert judged("How long do cats sleep?").enough
    assert not judged("Where were lions first tamed?", dense=0.1).enough


def test_a_follow_up_may_lean_on_its_history_or_leave_it() -> None:
    leaning = judged("And the others there?", earlier=("How long do cats sleep?",)).confidence
    leaving = judged("How long do dogs sleep?", earlier=("Where is the moon landing described?",)).confidence
    assert leaning > judged("And the others there?").confidence
    assert leaving == pytest.approx(judged("How long do dogs sleep?").confidence)


def test_a_similarity_counts_only_for_the_embedding_it_was_calibrated_for() -> None:
    other = judged("How long do cats sleep?", embedding="openai:some").confidence
    assert other == judged("How long do cats sleep?", dense=None).confidence
    assert (
        judged("How long do cats sleep?", dense=0.9).confidence
        > judged("How long do cats sleep?", dense=0.2).confidence
    )


def test_nothing_found_is_never_enough() -> None:
    query = history_query("Anything?", [])
    assert judge(query, [], [], {}, embedding="minilm") == Sufficiency(0.0, enough=False)


@pytest.mark.parametrize("calibration", [WORDS_ALONE, *BY_EMBEDDING.values()])
def test_follow_ups_need_no_more_than_questions(calibration: object) -> None:
    assert 0 < calibration.threshold_follow_up <= calibration.threshold < 0.5  # type: ignore[attr-defined]
