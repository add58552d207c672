"""The whole of citestream behind two plain calls, for programs that measure systems like this one."""

import tempfile
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal

from citestream.evaluate.asking import Answered, Choice, InProcess, Ranked
from citestream.evaluate.indexing import index_rows
from citestream.evaluate.questions import ROLES, Row, Said
from graph.limits import DEFAULT_COLLECTION
from graph.resources import open_resources
from graph.settings import Settings

MARK = "\ufeff"


class Citestream:
    """Ingests texts into an index of its own in a temporary folder, and asks it through the graph that the server runs.

    The settings come from the environment, as for every command. `close()`, or the end of the program, erases it.
    """

    def __init__(self) -> None:
        stack = ExitStack()
        self.close = weakref.finalize(self, stack.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citestream-eval-")))
        self._settings = Settings.load(data_dir=folder)
        self._stack = stack
        self._asker: InProcess | None = None
        self._marks: set[str] = set()
        """Ids of texts that begin with a byte order mark, which is no character of the document."""
        self._portal = stack.enter_context(start_blocking_portal())

    def ingest(self, docs: Sequence[Mapping[str, str]]) -> None:
        """Take in texts, each with `id`, `text` and perhaps `title`; once, before the first question."""
        rows = [Row(doc["id"], doc.get("title") or "", doc["text"]) for doc in docs]
        self._marks = {row.id for row in rows if row.text.startswith(MARK)}
        index_rows(self._settings, DEFAULT_COLLECTION, rows)

    def ask(self, history: Sequence[Mapping[str, str]], question: str, top_k: int) -> dict[str, Any]:
        """Ask after a history of `{"role", "text"}`.

        Returns `ranked` (passages, best first: `id` and `doc`, the id of the text; `score`, `text`, and its `start` and
        `end` there), `query`, `answer`, `citations` (`n`, `id`, `quote`) and `confidence`. Raises CitestreamError.
        """
        if self._asker is None:
            opened = self._portal.wrap_async_context_manager(open_resources(self._settings))
            self._asker = InProcess(self._stack.enter_context(opened))
        said = [Said(ROLES[message["role"]], message["text"]) for message in history]
        choice = Choice((DEFAULT_COLLECTION,), top_k)
        return self._plain(self._portal.call(self._asker.ask, said, question, choice))

    def _plain(self, answered: Answered) -> dict[str, Any]:
        sources = {passage.id: passage.source for passage in answered.ranked}
        return {
            "ranked": [
                {**asdict(passage), "id": passage.source, "doc": passage.source, "passage": passage.id}
                for passage in map(self._as_given, answered.ranked)
            ],
            "query": answered.query,
            "answer": answered.answer,
            "citations": [
                {"n": citation["index"], "id": sources[citation["source_id"]], "quote": citation["quote"]}
                for citation in answered.citations
            ],
            "confidence": answered.confidence if answered.confidence is not None else 0.0,
            "status": answered.status,
        }

    def _as_given(self, passage: Ranked) -> Ranked:
        """The passage with its place in the text as it was given."""
        shift = len(MARK) if passage.source in self._marks else 0
        return replace(passage, start=passage.start + shift, end=passage.end + shift)
