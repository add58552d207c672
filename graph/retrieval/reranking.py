"""An optional reranker: a model that reads question and text together and orders the best hits anew.

By name: `cross-encoder:NAME` is a model of sentence-transformers, where that is installed; `package.module:callable`
makes a document compressor of LangChain, as the integrations for Cohere, Jina, FlashRank and others have them.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import structlog
from langchain_core.documents import BaseDocumentCompressor, Document

from graph.errors import SettingsError
from graph.library import LiveChunk
from graph.settings import Settings

log = structlog.get_logger(__name__)

RERANKED = 30
"""Chunks that are ordered anew; those behind them stay behind."""
CROSS_ENCODER = "cross-encoder:"
PLACE = "place"

Score = Callable[[str, Sequence[str]], Sequence[float]]
"""Question and texts -> a score for each text, higher is better, any scale."""


class Reranker:
    """Orders chunks by a model's scores. Threads may share it where the model allows that."""

    def __init__(self, score: Score) -> None:
        self._score = score

    def rerank(self, question: str, ranked: Sequence[tuple[LiveChunk, float]]) -> list[tuple[LiveChunk, float]]:
        """Chunks with scores in 0..1, best first. A model that fails leaves the order as it is."""
        first, rest = ranked[:RERANKED], ranked[RERANKED:]
        if not first:
            return []
        try:
            scores = list(self._score(question, [chunk.text for chunk, _ in first]))
            if len(scores) != len(first):
                raise ValueError(f"{len(scores)} scores for {len(first)} texts")
        except Exception as exc:  # noqa: BLE001  # each model has its own, and the question can be answered without it
            log.warning("reranker_failed", error=type(exc).__name__)
            return list(ranked)
        low, spread = min(scores), (max(scores) - min(scores)) or 1.0
        # What was not ordered anew keeps its own order, behind.
        floor = max((score for _, score in rest), default=0.0)
        order = sorted(range(len(first)), key=lambda i: (-scores[i], i))
        return [(first[i][0], floor + (1 - floor) * (scores[i] - low) / spread) for i in order] + list(rest)


def open_reranker(settings: Settings) -> Reranker | None:
    """The reranker that the settings name, if they do. Raises SettingsError when it cannot be made."""
    name = settings.reranker
    if name is None:
        return None
    try:
        if name.startswith(CROSS_ENCODER):
            return Reranker(_cross_encoder(name.removeprefix(CROSS_ENCODER)))
        return Reranker(_compressor(name))
    except SettingsError:
        raise
    except Exception as exc:  # whatever another package's constructor raises
        raise SettingsError(
            f"CITESTREAM_RERANKER: {name!r} cannot be used ({type(exc).__name__}). Write cross-encoder:NAME, "
            "with sentence-transformers installed, or package.module:callable, which makes a LangChain document "
            "compressor."
        ) from exc


def _cross_encoder(name: str) -> Score:
    model: Any = import_module("sentence_transformers").CrossEncoder(name)

    def score(question: str, texts: Sequence[str]) -> list[float]:
        return [float(value) for value in model.predict([(question, text) for text in texts])]

    return score


def _compressor(name: str) -> Score:
    module, _, attribute = name.partition(":")
    made = getattr(import_module(module), attribute)()
    if not isinstance(made, BaseDocumentCompressor):
        raise SettingsError(f"CITESTREAM_RERANKER: {name!r} makes no LangChain document compressor.")

    def score(question: str, texts: Sequence[str]) -> list[float]:
        documents = [Document(page_content=text, metadata={PLACE: place}) for place, text in enumerate(texts)]
        # A compressor returns the best ones in their order, and may leave some out.
        scores = [0.0] * len(texts)
        for rank, document in enumerate(made.compress_documents(documents, question)):
            scores[document.metadata[PLACE]] = 1 - rank / len(texts)
        return scores

    return score
