"""citestream whose embedding is a sum of random vectors, one for each word: to index 100,000 chunks in minutes.

`python -m bench.streaming.word_vectors ingest FOLDER`
"""

from unittest.mock import patch

import numpy as np

from bench.retrieval import word_vector
from citestream.cli import main
from graph.retrieval.embeddings import MiniLM

if __name__ == "__main__":
    with patch.object(MiniLM, "embed", lambda _, texts: np.asarray([word_vector(text) for text in texts])):
        main()
