"""citestream whose vectors are sums of random ones, one for each word: to index 100,000 chunks in minutes.

Usage: python -m bench.streaming.word_vectors ingest FOLDER, or serve …

A question takes the time of its real embedding.
"""

import sys
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from bench.retrieval import embedded_as_words, word_vector
from citestream.cli import main
from graph.retrieval.embeddings import MiniLM


def word_vectors(_: MiniLM, texts: list[str]) -> NDArray[np.float32]:
    """Vectors that cost next to nothing."""
    return np.asarray([word_vector(text) for text in texts])


if __name__ == "__main__":
    with patch.object(MiniLM, "embed", word_vectors if "ingest" in sys.argv else embedded_as_words):
        main()
