"""Resources: what the nodes work with, wired once from the settings. The only wiring there is."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import anyio.to_thread
from langchain_core.language_models import BaseChatModel

from graph.cores import count_cores
from graph.library import Library
from graph.models import close_chat_model, is_language_model, open_chat_model
from graph.prompts import Prompts
from graph.retrieval.embeddings import BUNDLED, Embedders
from graph.retrieval.hybrid import Retriever
from graph.retrieval.reranking import open_reranker
from graph.settings import Settings
from graph.summary import Summarizer

MOST_SEARCHES = 4
"""Searches at a time where the embedding is another server's; the built-in one has one more than there are cores.

More would only share the cores, and each thread keeps memory: on one core 400 open streams took 272 KB each with four,
238 with two (level `open400` of bench/streaming, two rounds).
"""


@dataclass(frozen=True)
class Resources:
    """Live objects of a process."""

    settings: Settings
    library: Library
    retriever: Retriever
    model: BaseChatModel
    prompts: Prompts
    search_threads: anyio.CapacityLimiter

    @property
    def model_name(self) -> str:
        """The model as the settings name it."""
        return self.settings.model

    @property
    def rewriter(self) -> BaseChatModel | None:
        """The model that makes follow-ups stand alone; None when there is no language model."""
        return self.model if is_language_model(self.model) else None

    @property
    def summarizer(self) -> Summarizer | None:
        """What sums up turns that have become too old; None when there is no language model."""
        return (
            None if self.rewriter is None else Summarizer(self.rewriter, self.prompts, self.settings.max_output_tokens)
        )

    def is_searchable(self, collections: Sequence[str]) -> bool:
        """Whether it is certain, without a look into a file, that the library has these and something in it."""
        return self.retriever.is_searchable(collections)

    async def warm(self) -> None:
        """Load what the first question would otherwise wait for."""
        await anyio.to_thread.run_sync(self.retriever.warm, limiter=self.search_threads)


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open everything the graph needs, and close it on leaving. Raises SettingsError, IndexMismatch."""
    resources = await anyio.to_thread.run_sync(_open, settings)
    try:
        yield resources
    finally:
        await close_chat_model(resources.model)
        resources.retriever.close()
        resources.library.close()


def _open(settings: Settings) -> Resources:
    prompts = Prompts.load(settings.prompts_file)
    embedders = Embedders(settings)
    model = open_chat_model(settings, embedders.named(settings.embedding))
    library = Library.open(settings.data_dir)
    retriever = Retriever(settings, library, embedders, open_reranker(settings))
    searches = min(MOST_SEARCHES, count_cores() + 1) if settings.embedding == BUNDLED else MOST_SEARCHES
    return Resources(settings, library, retriever, model, prompts, anyio.CapacityLimiter(searches))
