import hashlib
import threading
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from graph.errors import SettingsError
from graph.retrieval import embeddings, tokenizer
from graph.retrieval.embeddings import Embedders, MiniLM, open_embeddings
from graph.retrieval.tokenizer import count_tokens, token_starts, tokenizer_json
from graph.settings import Settings


def test_the_bundled_files_are_the_ones_whose_sums_are_written_beside_them() -> None:
    folder = files("graph.retrieval.minilm")
    for line in folder.joinpath("SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() == digest


def test_a_text_has_the_same_vector_in_every_batch() -> None:
    model = MiniLM()
    alone = model.embed(["the fox sleeps"])[0]
    among = model.embed(["the fox sleeps", "word " * 150, "猫", ""])[0]
    assert np.allclose(np.linalg.norm(alone), 1, atol=1e-5)
    assert np.abs(alone - among).max() < 1e-6


def test_near_meanings_have_near_vectors() -> None:
    question, near, far = MiniLM().embed(["where do foxes sleep", "the fox rests in its den", "tax law of 1998"])
    assert question @ near > question @ far + 0.3


def test_an_unknown_embedding_is_refused_with_a_way_out() -> None:
    with pytest.raises(SettingsError, match="CITESTREAM_EMBEDDING"):
        open_embeddings(Settings.load(), "nobody:knows")


def test_an_embedding_that_is_open_is_used_while_another_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions waited for as long as the model of a rebuilt collection took to load."""
    begun, done = threading.Event(), threading.Event()

    def open_slowly(settings: Settings, name: str) -> MiniLM:
        begun.set()
        assert done.wait(10)
        return MiniLM()

    embedders = Embedders(Settings.load())
    used = embedders.named("minilm")
    monkeypatch.setattr(embeddings, "open_embeddings", open_slowly)
    making = threading.Thread(target=embedders.named, args=("slow:model",))
    making.start()
    assert begun.wait(10)
    asking = threading.Thread(target=embedders.named, args=("minilm",), daemon=True)
    asking.start()
    asking.join(5)
    waited = asking.is_alive()
    done.set()
    making.join()
    assert not waited
    assert embedders.named("minilm") is used


def test_word_pieces_begin_where_they_stand() -> None:
    text = "The fox 狐狸 jumped."
    starts = token_starts(text)
    assert [text[start:end].strip() for start, end in pairwise([*starts, len(text)])] == [
        "The", "fox", "狐", "狸", "jumped", "."
    ]  # fmt: skip
    assert count_tokens(text) == 6


@given(st.text(st.characters(codec="utf-8")) | st.text("aé狐.# \t\n\x0b\x0c\x1c\x1f\x85\u00a0\u3000[SEP]"))
@example("an" + "t" * 200 + " word\x0cof\x1dtwo [SEP] kinds")
def test_words_have_the_same_pieces_alone_as_together(text: str) -> None:
    whole = Tokenizer.from_str(tokenizer_json())
    whole.no_truncation()
    whole.no_padding()
    starts = [start for start, _ in whole.encode(text, add_special_tokens=False).offsets]
    assert token_starts(text) == starts
    assert count_tokens(text) == len(starts)


def test_words_are_forgotten_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "KEPT_WORDS", 3)
    monkeypatch.setattr(tokenizer, "_known", {})
    text = "one two three four " * 2 + "x" * 41
    assert [count_tokens(text) for _ in range(3)] == [8 + 21] * 3
    assert count_tokens("five two") == 2
    assert set(tokenizer._known) == {"five"}
