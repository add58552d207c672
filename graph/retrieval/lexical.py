"""The lexical index: BM25 over title, heading path and text, in tantivy (k1 1.2, b 0.75, Lucene's idf).

Single-node Chroma ranks no text, and SQLite's FTS5 needs 400 ms at 100,000 chunks where tantivy needs 1.6.
"""

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import tantivy

from graph import terms
from graph.errors import IndexUnusable

FOLDER = "lexical"
HEAP_BYTES = 50_000_000


class LexicalIndex:
    """Words of chunks by collection id, one folder each in `data_dir/lexical`. Calls block; threads may share it.

    An object sees what was committed when a collection was first used, and its own commits.
    """

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / FOLDER
        self._open: dict[str, tantivy.Index] = {}
        self._writers: dict[str, tantivy.IndexWriter] = {}

    def add(self, collection: str, entries: Iterable[tuple[str, str]]) -> None:
        """Store `(chunk id, title, heading path and text)` under new ids; searched after `commit`."""
        writer = self._writer(collection)
        for chunk_id, text in entries:
            document = tantivy.Document()
            document.add_text("id", chunk_id)
            document.add_text("terms", " ".join(terms.terms(text)))
            writer.add_document(document)

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Forget chunks, after `commit`; unknown ids are ignored."""
        writer = self._writer(collection)
        for chunk_id in ids:
            writer.delete_documents_by_term("id", chunk_id)

    def commit(self) -> None:
        """Make what was added and deleted durable and visible."""
        for writer in self._writers.values():
            writer.commit()
        for index in self._open.values():
            index.reload()

    def close(self) -> None:
        """Finish background merges of the writers."""
        while self._writers:
            _, writer = self._writers.popitem()
            writer.wait_merging_threads()

    def warm(self, collection: str) -> None:
        """Open a collection, which fixes what is seen of it."""
        self._index(collection)

    def drop(self, collection: str) -> None:
        """Forget a whole collection."""
        self._open.pop(collection, None)
        writer = self._writers.pop(collection, None)
        if writer is not None:
            writer.wait_merging_threads()
        shutil.rmtree(self._root / collection, ignore_errors=True)

    def search(self, collection: str, weights: Mapping[str, float], k: int) -> dict[str, float]:
        """BM25 score (0 or more) of the best `k` chunks for weighted index terms, by id."""
        index = self._index(collection)
        clauses = [
            (tantivy.Occur.Should, tantivy.Query.boost_query(_term_query(index, term), weight))
            for term, weight in weights.items()
            if weight > 0
        ]
        if not clauses:
            return {}
        searcher = index.searcher()
        hits = searcher.search(tantivy.Query.boolean_query(clauses), limit=k, count=False).hits
        return {str(searcher.doc(address)["id"][0]): float(score) for score, address in hits}

    def idf(self, collections: Sequence[str], found: Iterable[str]) -> dict[str, float]:
        """Inverse document frequency of index terms over all the collections; rare and unknown ones weigh most."""
        searchers = [self._index(collection).searcher() for collection in collections]
        total = sum(searcher.num_docs for searcher in searchers)
        weights = {}
        for term in set(found):
            frequency = sum([searcher.doc_freq("terms", term) for searcher in searchers])
            weights[term] = math.log(1 + (total - frequency + 0.5) / (frequency + 0.5)) if frequency <= total else 0.0
        return weights

    def ids(self, collection: str) -> set[str]:
        """Of all chunks stored in a collection."""
        searcher = self._index(collection).searcher()
        if not searcher.num_docs:
            return set()
        hits = searcher.search(tantivy.Query.all_query(), limit=searcher.num_docs, count=False).hits
        return {str(searcher.doc(address)["id"][0]) for _, address in hits}

    def _index(self, collection: str) -> tantivy.Index:
        if collection not in self._open:
            folder = self._root / collection
            folder.mkdir(parents=True, exist_ok=True)
            try:
                index = tantivy.Index(_schema(), path=str(folder))
                index.config_reader(reload_policy="manual")  # by itself it follows every commit
                self._open[collection] = index
            except ValueError as exc:
                raise IndexUnusable(
                    f"the word index {folder} cannot be opened: it was written by another version. "
                    "Delete the data folder's `lexical` and `chroma` and `library.db`, and ingest again."
                ) from exc
        return self._open[collection]

    def _writer(self, collection: str) -> tantivy.IndexWriter:
        if collection not in self._writers:
            self._writers[collection] = self._index(collection).writer(heap_size=HEAP_BYTES, num_threads=1)
        return self._writers[collection]


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    # The terms come ready made (graph/terms.py), separated by spaces.
    builder.add_text_field("terms", stored=False, tokenizer_name="whitespace", index_option="freq")
    return builder.build()


def _term_query(index: tantivy.Index, term: str) -> tantivy.Query:
    return tantivy.Query.term_query(index.schema, "terms", term, index_option="freq")
