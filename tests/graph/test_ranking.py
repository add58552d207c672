from graph.library import LiveChunk
from graph.retrieval.query import history_query
from graph.retrieval.ranking import Hit, are_neighbours, rank
from graph.retrieval.topics import Topics
from graph.state.evidence import SearchQuery
from graph.terms import terms


def chunk(text: str, *, document: str = "d", start: int = 0, heading: str = "") -> LiveChunk:
    end = start + len(text)
    return LiveChunk(f"{document}.v.{start}-{end}", text, start, end, None, heading, document, document, "", "en", "0")


def ranked(query: SearchQuery, *hits: Hit, topics: Topics | None = None) -> list[tuple[str, float]]:
    found = topics or Topics()
    idf = {term: 1.0 for hit in hits for term in terms(f"{hit.chunk.text} {hit.chunk.heading}")}
    idf |= dict.fromkeys([*query["terms"], *found.terms], 1.0)
    return [(chunk.document, score) for chunk, score in rank(query, hits, idf, found)]


FOX = history_query("Where does the fox sleep?", [])


def test_words_and_meaning_both_count_and_scores_lie_between_0_and_1() -> None:
    found = ranked(
        FOX,
        Hit(chunk("The fox sleeps.", document="both"), 9.0, 0.9),
        Hit(chunk("The fox runs.", document="words"), 9.0, 0.1),
        Hit(chunk("A den at night.", document="meaning"), 0.0, 0.9),
        Hit(chunk("Nothing.", document="none"), 0.0, 0.1),
    )
    assert [name for name, _ in found] == ["both", "words", "meaning", "none"]
    assert all(0 <= score <= 1 for _, score in found)


def test_one_sentence_with_all_the_words_is_better_than_words_all_over() -> None:
    apart = chunk("The fox runs. Nobody knows. Cats sleep.", document="apart")
    together = chunk("Nobody knows. The fox sleeps. Cats run.", document="together")
    assert ranked(FOX, Hit(apart, 5.0, 0.5), Hit(together, 5.0, 0.5))[0][0] == "together"


def test_words_that_stand_side_by_side_in_the_question_do_so_in_the_better_chunk() -> None:
    query = history_query("What is a fox den?", [])
    apart = chunk("A den for the fox.", document="a")
    beside = chunk("For the fox den, a.", document="b")
    assert ranked(query, Hit(apart, 5.0, 0.5), Hit(beside, 5.0, 0.5))[0][0] == "b"


def test_a_document_that_is_about_it_lifts_its_other_chunks() -> None:
    found = ranked(
        FOX,
        Hit(chunk("The fox sleeps.", document="d"), 9.0, 0.9),
        Hit(chunk("Another fox.", document="d", start=50), 4.0, 0.5),
        Hit(chunk("Another fox.", document="e"), 4.0, 0.5),
    )
    assert [name for name, _ in found] == ["d", "d", "e"]


def test_without_vectors_words_and_neighbours_decide() -> None:
    query = history_query("猫睡在哪里？", [])
    beside = chunk("在篮子里。", start=6)
    alone = chunk("在篮子里。", document="e")
    found = rank(
        query, [Hit(chunk("猫睡觉。"), 9.0, None), Hit(beside, 2.0, None), Hit(alone, 2.0, None)], {}, Topics()
    )
    assert [c.id for c, _ in found][1] == beside.id


def test_without_vectors_what_was_found_around_a_chunk_speaks_for_it() -> None:
    query = history_query("黑猫睡在哪里？", [])
    near, far = chunk("睡在篮子里。", document="d", start=300), chunk("睡在篮子里。", document="e", start=3000)
    black = [chunk("黑猫很美。", document="d"), chunk("黑猫很美。", document="e")]
    found = ranked(query, Hit(near, 5.0, None), Hit(far, 5.0, None), *(Hit(cat, 4.0, None) for cat in black))
    assert found[0][0] == "d"
    assert found[0][1] > next(score for name, score in found[1:] if name == "e")


def test_a_follow_up_to_questions_without_answers_goes_by_its_meaning() -> None:
    words = Hit(chunk("They lay eggs. Eggs they lay.", document="words"), 9.0, 0.5)
    meaning = Hit(chunk("Clutches of the wren.", document="meaning"), 5.0, 0.9)
    alone = history_query("How many eggs do they lay?", ["Where do wrens live?"])
    answered = history_query("How many eggs do they lay?", ["Where do wrens live?"], ["In hedges."])
    assert ranked(alone, words, meaning)[0][0] == "meaning"
    assert ranked(answered, words, meaning)[0][0] == "words"


def test_headings_of_the_conversation_lift_and_what_was_said_sinks() -> None:
    wrens = chunk("They lay six eggs.", document="wrens", heading="Wrens")
    owls = chunk("They lay two eggs.", document="owls", heading="Owls")
    query = history_query("How many eggs do they lay?", ["Where do they live?"])
    hits = [Hit(owls, 5.0, 0.5), Hit(wrens, 5.0, 0.5)]
    assert ranked(query, *hits, topics=Topics({"wren": 0.5}))[0][0] == "wrens"
    assert ranked(query, *hits, topics=Topics(said=frozenset({owls.id})))[0][0] == "wrens"


def test_equal_chunks_keep_one_order() -> None:
    hits = [Hit(chunk("The fox.", document=name), 5.0, 0.5) for name in "cab"]
    assert [name for name, _ in ranked(FOX, *hits)] == ["a", "b", "c"]
    assert ranked(FOX) == []


def test_neighbours_follow_each_other_with_white_space_between_at_most() -> None:
    first = chunk("One tells.")
    assert are_neighbours(first, chunk("Two.", start=11))
    assert are_neighbours(first, chunk("tells. Two.", start=4))
    assert not are_neighbours(first, chunk("Two.", start=20))
    assert not are_neighbours(first, chunk("Two.", start=11, document="e"))
