import hashlib
from importlib.resources import files

import numpy as np
import pytest

from graph.errors import SettingsError
from graph.retrieval.embeddings import MiniLM, open_embeddings
from graph.retrieval.tokenizer import count_tokens, token_offsets
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
    assert float(alone @ among) > 0.99999


def test_near_meanings_have_near_vectors() -> None:
    question, near, far = MiniLM().embed(["where do foxes sleep", "the fox rests in its den", "tax law of 1998"])
    assert question @ near > question @ far + 0.3


def test_an_unknown_embedding_is_refused_with_a_way_out() -> None:
    with pytest.raises(SettingsError, match="CITESTREAM_EMBEDDING"):
        open_embeddings(Settings.load(), "nobody:knows")


def test_token_offsets_are_slices_of_the_text() -> None:
    text = "The fox 狐狸 jumped."
    assert [text[start:end] for start, end in token_offsets(text)] == ["The", "fox", "狐", "狸", "jumped", "."]
    assert count_tokens(text) == 6
