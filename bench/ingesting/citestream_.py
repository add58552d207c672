"""citestream: FOLDER DATA. Run by bench.ingest."""

import sys
from pathlib import Path
from unittest.mock import patch

from typer.testing import CliRunner

from bench.ingesting.common import FakeEmbeddings, Run, files_of, tell
from citestream.cli import app
from graph.library import Library


def main() -> None:
    """Ingest twice: the first run, and one where nothing has changed."""
    folder, data_dir = Path(sys.argv[1]), Path(sys.argv[2])
    command = ["ingest", *map(str, files_of(folder)), "--data-dir", str(data_dir)]
    with patch("graph.retrieval.embeddings.open_embeddings", lambda *_: FakeEmbeddings()):
        results = {}
        for name in ("first", "again"):
            run = Run()
            done = CliRunner().invoke(app, command)
            assert done.exit_code in (0, 3), done.output
            library = Library.open(data_dir)
            results[name] = run.result(sum(item.chunks for item in library.collections()), data_dir)
            library.close()
    tell(results)


if __name__ == "__main__":
    main()
