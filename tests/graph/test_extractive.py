import pytest
from langchain_core.messages import HumanMessage

from graph.extractive import Evidence, ExtractiveChatModel, extract
from graph.retrieval.embeddings import MiniLM
from graph.retrieval.query import history_query
from graph.state.evidence import Passage
from graph.terms import terms


def evidence(question: str, *texts: str) -> Evidence:
    passages = [
        Passage(
            index=n, id=f"d{n}.v.0-1", text=text, score=1 / n, document=f"d{n}", source="s", title="T",
            start=0, end=len(text), doc_sha256="",
        )
        for n, text in enumerate(texts, start=1)
    ]  # fmt: skip
    idf = {term: 1.0 for text in (question, *texts) for term in terms(text)}
    return {"query": history_query(question, []), "passages": passages, "idf": idf}


def test_the_sentence_that_answers_comes_first_with_its_marker() -> None:
    data = evidence(
        "Where does the fox sleep?", "The fox runs fast. The fox sleeps in a den.", "Cats sleep in baskets."
    )
    assert extract(data, MiniLM()).startswith("The fox sleeps in a den. [1]")


def test_chinese_is_answered_by_words_alone() -> None:
    data = evidence("猫睡在哪里？", "狗在院子里跑。猫睡在篮子里。")
    assert extract(data, MiniLM()).startswith("猫睡在篮子里。 [1]")


def test_bracketed_numbers_of_the_document_are_escaped() -> None:
    assert "near Oxford \\[12]. [1]" in extract(
        evidence("Where was it seen?", "It was seen near Oxford [12]."), MiniLM()
    )


def test_at_most_three_sentences_without_repetition() -> None:
    text = "The fox sleeps in a den. " * 3 + "The fox sleeps by day. The fox sleeps alone. The fox sleeps in winter."
    answer = extract(evidence("Where does the fox sleep?", text, "The fox sleeps in a den."), MiniLM())
    assert answer.count("[") == 3
    assert answer.count("in a den") == 1


CODE = "```sh\nfox call --loud\n# the fox [2]\n```"


def test_what_a_longer_sentence_has_said_is_not_said_again() -> None:
    data = evidence(
        "Where does the red fox sleep?",
        "$ see foxes The red fox sleeps in a den under the old oak.",
        "The red fox sleeps in a den under the old oak. Cats sleep in baskets.",
    )
    assert extract(data, MiniLM()).count("in a den under") == 1


def test_a_sentence_that_leads_to_code_comes_with_all_of_it() -> None:
    answer = extract(evidence("How do I call the fox?", f"Call the fox:\n\n{CODE}\n\nThe fox comes."), MiniLM())
    assert answer == f"Call the fox: [1]\n\n{CODE}\n\nThe fox comes. [1]"


@pytest.mark.parametrize(
    "text",
    [
        f"Call the fox.\n\n{CODE}\n\nThe fox comes.",
        "Call the fox:\n\n```sh\nfox call --loud\n",
        "Call the fox:\n\n```sh\n" + "fox call --loud\n" * 100 + "```",
    ],
    ids=["nothing leads to it", "cut off", "long"],
)
def test_code_is_not_torn_apart(text: str) -> None:
    answer = extract(evidence("How do I call the fox?", text), MiniLM())
    assert answer.startswith("Call the fox")
    assert "```" not in answer
    assert "--loud" not in answer


def test_headings_are_not_answers() -> None:
    data = evidence("How do I call the fox?", "# Call the fox\n\nWhistle, and the fox comes.")
    data["passages"][0]["heading"] = "Fox > Call the fox"
    assert extract(data, MiniLM()) == "Whistle, and the fox comes. [1]"


def test_a_list_stays_whole_with_the_sentence_that_opens_it() -> None:
    text = "A fox den has three parts:\n\n- a round entrance\n- a long tunnel\n- a nest of dry grass\n\nBirds sing."
    answer = extract(evidence("Which parts does a fox den have?", text), MiniLM())
    assert (
        "A fox den has three parts: [1]\n\n- a round entrance [1]\n- a long tunnel [1]\n- a nest of dry grass [1]"
        in answer
    )
    assert answer.count("a long tunnel") == 1


def test_a_list_stands_where_the_best_of_its_items_would() -> None:
    text = "The parts of a fox den:\n\n- 3 round doors of a fox den\n- a nest\n\nFoxes sleep. A round den has doors."
    answer = extract(evidence("How many round doors does a fox den have?", text), MiniLM())
    assert answer.startswith("The parts of a fox den: [1]\n\n- 3 round doors of a fox den [1]\n- a nest [1]\n\n")
    assert answer.count("3 round doors") == 1


def test_a_short_item_is_no_answer_without_its_list() -> None:
    text = "Foxes live in a den.\n\n- a nest\n- a den"
    assert extract(evidence("Where is the nest in a den?", text), MiniLM()) == "Foxes live in a den. [1]"


def test_numbered_steps_keep_their_numbers() -> None:
    text = "To call the fox:\n\n1. Stand still.\n2. Whistle for the fox."
    answer = extract(evidence("How do I call the fox?", text), MiniLM())
    assert answer == "To call the fox: [1]\n\n1. Stand still. [1]\n2. Whistle for the fox. [1]"


def test_a_list_too_long_to_be_read_is_not_taken_whole() -> None:
    text = "The fox eats:\n\n" + "\n".join(f"- food number {n}" for n in range(30))
    assert extract(evidence("What does the fox eat?", text), MiniLM()).count("food") <= 2


def test_a_sentence_that_goes_on_where_the_best_one_ends_stays_behind_it() -> None:
    text = "Birds sing. The red fox sleeps in a den. The fox there sleeps all day."
    answer = extract(evidence("Where does the red fox sleep in its den?", text), MiniLM())
    assert answer.startswith("The red fox sleeps in a den. [1] The fox there sleeps all day. [1]")


def test_data_out_of_the_middle_of_a_block_is_no_answer() -> None:
    text = 'event: status data: {"node":"fox","state":"den","sleeps":"in"} id: 3\n\nThe fox sleeps in a den. It runs.'
    answer = extract(evidence("Where does the fox sleep in its den?", text), MiniLM())
    assert answer.startswith("The fox sleeps in a den. [1]")
    assert "state" not in answer


def test_where_there_is_only_code_its_lines_are_quoted_as_code() -> None:
    assert "`fox call --loud` [1]" in extract(
        evidence("How do I call the fox?", "```sh\nfox call --loud\n```"), MiniLM()
    )


def test_cells_of_a_table_are_quoted_without_its_bars() -> None:
    answer = extract(evidence("What is a den?", "| word | meaning |\n|---|---|\n| den | home of a fox |"), MiniLM())
    assert answer == "den home of a fox [1]"


def test_nothing_to_quote_gives_no_answer() -> None:
    assert extract(evidence("Where?", "..."), MiniLM()) == ""


async def test_streaming_and_invoking_say_the_same() -> None:
    model = ExtractiveChatModel(embeddings=MiniLM())
    data = evidence("Where does the fox sleep?", "The fox sleeps in a den.")
    asked = [HumanMessage("?", additional_kwargs={"evidence": data})]
    streamed = [chunk async for chunk in model.astream(asked)]
    assert "".join(chunk.text for chunk in streamed) == (await model.ainvoke(asked)).text
    assert "".join(chunk.text for chunk in model.stream(asked)) == model.invoke(asked).text
    assert len(streamed) > 5
    assert streamed[-1].response_metadata["finish_reason"] == "stop"
