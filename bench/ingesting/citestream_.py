"""citestream: FOLDER DATA [minilm]. Run by bench.ingest."""

import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from typer.testing import CliRunner

from bench.ingesting.common import FakeEmbeddings, Run, files_of, tell
from citestream.cli import app
from graph.library import Library
from graph.retrieval.embeddings import MiniLM


class TimedMiniLM(MiniLM):
    """The real embedder, and for how long it was at work."""

    embedding_s = 0.0

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """As MiniLM does."""
        began = time.perf_counter()
        try:
            return super().embed(texts)
        finally:
            TimedMiniLM.embedding_s += time.perf_counter() - began


def main() -> None:
    """Ingest twice: the first run, and one where nothing has changed."""
    folder, data_dir = Path(sys.argv[1]), Path(sys.argv[2])
    command = ["ingest", *map(str, files_of(folder)), "--data-dir", str(data_dir)]
    embeddings = TimedMiniLM() if sys.argv[3:] == ["minilm"] else FakeEmbeddings()
    with patch("graph.retrieval.embeddings.open_embeddings", lambda *_: embeddings):
        results = {}
        for name in ("first", "again"):
            run = Run(first=name == "first")
            done = CliRunner().invoke(app, command)
            assert done.exit_code in (0, 3), done.output
            library = Library.open(data_dir)
            results[name] = run.result(sum(item.chunks for item in library.collections()), data_dir)
            results[name]["embedding_s"] = TimedMiniLM.embedding_s
            library.close()
    tell(results)


if __name__ == "__main__":
    main()
