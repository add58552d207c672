import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_chroma import Chroma

from graph.errors import CollectionNotFound, IndexLocked, IndexMismatch
from graph.library import Chunk, Library, LibraryWriter
from graph.retrieval import chunk_writer
from graph.retrieval.embeddings import Embedders, MiniLM
from graph.retrieval.hybrid import FEW_ENDED, POOL, Retriever
from graph.retrieval.index import DenseIndex
from graph.retrieval.lexical import LexicalIndex
from graph.retrieval.presence import be_present
from graph.retrieval.query import history_query
from graph.retrieval.sufficiency import Sufficiency
from graph.retrieval.writer import IndexWriter, open_writer
from graph.settings import Settings
from tests.graph.conftest import CATS, FOX, SQLITE, version

Open = Callable[..., Retriever]


@pytest.fixture
def open_retriever() -> Iterator[Open]:
    """Open retrievers, which are closed behind the test."""
    opened: list[Retriever] = []

    def open_one(settings: Settings, embedding: str = "minilm") -> Retriever:
        library = Library.open(settings.data_dir)
        embedders = Embedders(settings.model_copy(update={"embedding": embedding}))
        opened.append(Retriever(settings, library, embedders))
        return opened[-1]

    yield open_one
    for retriever in opened:
        retriever.close()


@pytest.fixture
def retriever(open_retriever: Open, index: Settings) -> Retriever:
    return open_retriever(index)


def ask(retriever: Retriever, question: str, **where: list[str]) -> list[str]:
    found = retriever.search(history_query(question, []), ["default"], k=3, where=where)
    return [passage["source"] for passage in found.passages]


def test_the_best_passage_comes_first_by_words_and_by_meaning(retriever: Retriever) -> None:
    assert ask(retriever, "Where does the fox sleep?")[0] == "foxes.txt"
    assert ask(retriever, "How do I archive my relational data store?")[0] == "sqlite.txt"
    assert ask(retriever, "猫睡多久？")[0] == "cats.txt"


def test_each_text_of_a_search_is_embedded_once(retriever: Retriever, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded: list[str] = []

    def noted(self: MiniLM, texts: list[str]) -> np.ndarray:
        embedded.extend(texts)
        return embed(self, texts)

    embed = MiniLM.embed
    retriever.warm()
    monkeypatch.setattr(MiniLM, "embed", noted)
    retriever.search(history_query("And where?", ["Does the fox sleep?"]), ["default"], k=1, where={})
    assert sorted(embedded) == ["And where?", "Does the fox sleep? And where?"]


def test_what_can_be_searched_is_known_once_it_is_open(open_retriever: Open, index: Settings, tmp_path: Path) -> None:
    retriever = open_retriever(index)
    assert not retriever.is_searchable(["default"])
    retriever.warm()
    assert retriever.is_searchable(["default"])
    assert not retriever.is_searchable(["default", "other"])
    empty = open_retriever(index.model_copy(update={"data_dir": tmp_path / "empty"}))
    empty.warm()
    assert not empty.is_searchable([])


def test_heading_words_are_searched_as_well(retriever: Retriever) -> None:
    assert ask(retriever, "databases")[0] == "sqlite.txt"


def test_passages_are_slices_with_metadata_and_count_from_one(retriever: Retriever) -> None:
    found = retriever.search(history_query("fox den", []), ["default"], k=2, where={})
    first = found.passages[0]
    assert first["text"] == FOX[first["start"] : first["end"]]
    assert (first["index"], first["title"], first["heading"]) == (1, "foxes", "Animals")
    assert 0 <= first["score"] <= 1


def test_a_filter_leaves_only_what_matches(retriever: Retriever) -> None:
    assert ask(retriever, "Where does the fox sleep?", source=["sqlite.txt"]) == ["sqlite.txt"]


def test_what_a_filter_leaves_out_is_no_evidence(retriever: Retriever) -> None:
    def confidence(**where: list[str]) -> float:
        found = retriever.search(history_query("Where does the fox sleep?", []), ["default"], k=3, where=where)
        return found.sufficiency.confidence

    assert confidence(source=["sqlite.txt"]) < 0.1 < confidence()


def test_confidence_tells_what_is_there_from_what_is_not(retriever: Retriever) -> None:
    def judged(question: str) -> Sufficiency:
        return retriever.search(history_query(question, []), ["default"], k=3, where={}).sufficiency

    there = judged("Where does the fox sleep?")
    assert there.confidence > 0.9
    assert there.enough
    missing = judged("What is the capital of France?")
    assert missing.confidence < 0.05
    assert not missing.enough


def test_a_running_reader_follows_what_another_process_publishes(retriever: Retriever, index: Settings) -> None:
    assert "wombats.txt" not in ask(retriever, "cube-shaped droppings")
    script = (
        "import sys; from graph.settings import Settings; from graph.retrieval.writer import open_writer\n"
        "from tests.graph.conftest import version\n"
        "with open_writer(Settings.load(data_dir=sys.argv[1])) as w:\n"
        "    w.begin('default', chunker='test/1'); w.put(version('wombats.txt', 'Marsupials leave cubic excrement.'))\n"
        "    w.put(version('foxes.txt', 'Foxes have moved away.', revision=2)); w.publish()\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script, str(index.data_dir)], check=True, cwd=root, timeout=60)
    # No word in common: only the reopened vectors can find it.
    assert ask(retriever, "dice-like poo of a wombat animal")[0] == "wombats.txt"
    found = retriever.search(history_query("fox den", []), ["default"], k=5, where={})
    assert [p["text"] for p in found.passages if p["source"] == "foxes.txt"] == ["Foxes have moved away."]


@pytest.mark.parametrize("staged", [5, POOL + FEW_ENDED + 10])
def test_what_is_not_live_yet_hides_nothing_that_is(open_retriever: Open, index: Settings, staged: int) -> None:
    question = "Where does the fox sleep?"
    nearest = MiniLM().embed([question])
    with open_writer(index) as writer:
        writer.begin("full", chunker="test/1")
        for number in range(POOL):  # another collection has as many live ones as are wanted
            writer.put(version(f"full-{number}.txt", f"Fox {number}.", revision=number), -nearest)
        writer.publish()
        writer.begin("default", chunker="test/1")
        for number in range(staged):  # all of it is nearer than what is live, by words and by meaning
            writer.put(version(f"{number}.txt", f"Where does the fox sleep? {number}", revision=number), nearest)
        assert writer._chunks is not None
        writer._chunks.flush()
        assert ask(open_retriever(index), question)[0] == "foxes.txt"
        both = open_retriever(index).search(history_query(question, []), ["default", "full"], k=3, where={})
        assert "foxes.txt" in [passage["source"] for passage in both.passages]
        writer.publish()
    assert "foxes.txt" not in ask(open_retriever(index), question)


def test_an_unknown_collection_is_refused(retriever: Retriever) -> None:
    with pytest.raises(CollectionNotFound):
        retriever.search(history_query("fox", []), ["nope"], k=1, where={})


def test_a_collection_is_searched_with_its_own_embedding_whatever_the_setting_says(
    open_retriever: Open, index: Settings
) -> None:
    assert ask(open_retriever(index, "openai:other"), "Where does the fox sleep?")[0] == "foxes.txt"


def test_an_embedding_that_cannot_be_opened_is_named(open_retriever: Open, index: Settings) -> None:
    library = LibraryWriter.open(index.data_dir)
    library.publish_index(library.begin_index(library.collection("default"), "nobody:knows", "test/1"))
    retriever = open_retriever(index)
    retriever.warm()  # what else there is can still be asked
    with pytest.raises(IndexMismatch, match=r"'nobody:knows'.*index rebuild"):
        ask(retriever, "fox")


def test_collections_of_two_embeddings_are_not_asked_together(open_retriever: Open, index: Settings) -> None:
    with open_writer(index) as writer:
        writer.begin("other", chunker="test/1")
        writer.put(version("wombats.txt", "Wombats dig."))
        writer.publish()
        writer.library.publish_index(writer.library.begin_index(writer.library.collection("other"), "x:y", "test/1"))
    with pytest.raises(IndexMismatch, match=r"'default'.*'minilm'.*'other'.*'x:y'"):
        open_retriever(index).search(history_query("fox", []), ["default", "other"], k=1, where={})


def test_a_plain_langchain_retriever_reads_the_collection(index: Settings) -> None:
    library = Library.open(index.data_dir)
    store = Chroma(
        collection_name=library.collection("default").index,
        embedding_function=MiniLM(),
        persist_directory=str(index.data_dir / "chroma"),
    )
    found = store.as_retriever(search_kwargs={"k": 1}).invoke("Where does the fox sleep?")
    assert found[0].page_content == FOX
    assert found[0].metadata["source"] == "foxes.txt"
    assert found[0].metadata["start"] == 0
    assert library.live_chunks([str(found[0].id)])


def test_a_second_writer_is_turned_away_and_told_who_writes(writer: IndexWriter, settings: Settings) -> None:
    with pytest.raises(IndexLocked, match=r"pid \d+"), open_writer(settings):
        pytest.fail("two writers")


def test_replaced_and_removed_chunks_leave_both_indexes(index: Settings) -> None:
    with open_writer(index) as writer:
        writer.begin("default", chunker="test/1")
        writer.put(version("foxes.txt", SQLITE, revision=2))
        writer.publish()
        writer.remove(next(d.id for d in writer.library.documents() if d.source == "cats.txt"))
        writer.publish()
        collection = writer.library.collection("default").id
        assert len(writer._dense.ids(collection)) == 2
        assert len(writer._lexical.ids(collection)) == 2


def test_a_collection_without_documents_may_take_another_chunker(index: Settings) -> None:
    with open_writer(index) as writer:
        writer.begin("default", chunker="test/1")
        for document in writer.library.documents():
            writer.remove(document.id)
        writer.publish()
        writer.begin("default", chunker="test/2")
        writer.put(version("cats.txt", CATS))
        writer.publish()
        assert len(writer._dense.ids(writer.library.collection("default").index)) == 1


def test_known_texts_are_not_embedded_again(settings: Settings) -> None:
    sentences = [f"Sentence {number} says something of its own." for number in range(50)]

    def put(writer: IndexWriter, source: str, revision: int) -> int:
        text, chunks = "", []
        for sentence in sentences:
            chunks.append(Chunk(len(text), len(text) + len(sentence)))
            text += sentence + " "
        before = writer.embedded
        writer.put(replace(version(source, text, revision=revision), chunks=chunks))
        writer.publish()
        return writer.embedded - before

    with open_writer(settings) as writer:
        writer.begin("default", chunker="test/1")
        assert put(writer, "a.txt", 1) == 50
        sentences[20] = "This line was edited."
        assert put(writer, "a.txt", 2) == 1
        assert put(writer, "renamed.txt", 1) == 0


def test_a_text_is_embedded_once_in_a_run_whichever_lot_it_is_in(settings: Settings, monkeypatch) -> None:
    """What was written and not yet published was not known."""
    monkeypatch.setattr(chunk_writer, "LOT_CHUNKS", 2)
    monkeypatch.setattr(chunk_writer, "REMEMBERED_TEXTS", 3)
    with open_writer(settings) as writer:
        writer.begin("default", chunker="test/1")
        for number, text in enumerate(["one", "two", "three", "one", "four", "five", "six", "one"]):
            writer.put(version(f"{number}.txt", f"This says {text}."))
        writer.publish()
        assert writer.embedded == 7  # the first was forgotten by the end
        assert writer.check(writer.library.collection("default")).is_good


def test_lots_are_small_while_somebody_reads(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that opens an index waits for the lot that is just written."""
    monkeypatch.setattr(chunk_writer, "LOT_CHUNKS", 6)
    monkeypatch.setattr(chunk_writer, "LOT_BESIDE_READERS", 2)
    lots: list[int] = []
    add = DenseIndex.add

    def counted(self: DenseIndex, collection: str, ids: list[str], *rest: Any) -> None:
        lots.append(len(ids))
        add(self, collection, ids, *rest)

    monkeypatch.setattr(DenseIndex, "add", counted)
    with open_writer(settings) as writer:
        writer.begin("default", chunker="test/1")

        def put(first: int) -> list[int]:
            lots.clear()
            for number in range(first, first + 7):
                writer.put(version(f"{number}.txt", f"This says {number}."))
            writer.publish()
            return list(lots)

        assert put(0) == [6, 1]
        with be_present(settings.data_dir):
            assert put(10) == [2, 2, 2, 1]
        assert put(20) == [6, 1]
        assert writer.check(writer.library.collection("default")).is_good


def test_rare_words_weigh_more(index: Settings) -> None:
    library = Library.open(index.data_dir)
    idf = LexicalIndex(index.data_dir).idf([library.collection("default").id], ["fox", "file", "unheard"])
    assert idf["unheard"] > idf["fox"] > 0
    assert np.isclose(idf["fox"], idf["file"])


def test_several_collections_are_searched_at_once_by_one_order(open_retriever: Open, index: Settings) -> None:
    with open_writer(index) as writer:
        writer.begin("more", chunker="test/1")
        writer.put(version("dens.txt", "A den is where a fox sleeps in winter, deep below the roots of a tree."))
        writer.publish()
    retriever = open_retriever(index)
    found = retriever.search(history_query("Where does the fox sleep?", []), ["default", "more"], k=3, where={})
    assert {passage["source"] for passage in found.passages[:2]} == {"foxes.txt", "dens.txt"}
    assert [passage["index"] for passage in found.passages] == [1, 2, 3]


def test_what_an_earlier_answer_was_taken_from_leads_a_follow_up_to_its_section(
    open_retriever: Open, settings: Settings
) -> None:
    with open_writer(settings) as writer:
        writer.begin("default", chunker="test/1")
        for bird, number in (("Robins", "four"), ("Wrens", "six"), ("Owls", "two")):
            text = f"They live in gardens and parks of {bird.lower()}.\n\nThe female lays {number} eggs in spring."
            first = text.index("\n")
            chunks = [Chunk(0, first, heading=bird), Chunk(first + 2, len(text), heading=bird)]
            writer.put(replace(version(f"{bird}.txt", text), chunks=chunks))
        writer.publish()
    retriever = open_retriever(settings)

    def first(answers: list[str]) -> str:
        query = history_query("How many eggs does the female lay?", ["Where do they live?"], answers)
        return retriever.search(query, ["default"], k=3, where={}).passages[0]["source"]

    assert first(["They live in gardens and parks of wrens. [1]"]) == "Wrens.txt"
    assert first(["They live in gardens and parks of owls. [1]"]) == "Owls.txt"
