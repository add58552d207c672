"""citestream without some of its features, to measure what they cost.

Usage: python -m bench.streaming.without FEATURE[,FEATURE…] serve …

`verification`: a claim is cited as its markers say, and not held against the source. `citations`: the model's text is
shown as it comes; nobody looks for markers, sentences and claims in it. `hybrid`: the chunks nearest by meaning are the
passages; there is no search by words, no order of our own, nothing around them, and no abstaining. `suggestions`:
nobody looks for what could be asked next.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from unittest.mock import patch

from citestream.cli import main
from graph import verification
from graph.citations import Text
from graph.library import LiveChunk
from graph.nodes import cite_and_generate, finalize
from graph.retrieval import hybrid
from graph.retrieval.lexical import LexicalIndex
from graph.retrieval.ranking import Hit
from graph.retrieval.sufficiency import Sufficiency

PASSAGES = 3
"""As many as each server gives the model (`CITESTREAM_TOP_K` of the benchmark)."""


@dataclass
class Passing:
    """What stands for the CitationParser: shows all text, and finds no claim."""

    sources: int
    style: str
    answer: str = ""

    def feed(self, text: str) -> list[Text]:
        """Show the text."""
        self.answer += text
        return [Text(text)]

    def flush(self) -> list[Text]:
        """Nothing was held back."""
        return []


def without_verification() -> None:
    """Cite without looking into the source."""
    nothing = verification.Finding(0, 1, "", "unsupported", 0.0)
    patch.object(verification, "verify", lambda claim, passage, idf: nothing).start()


def without_citations() -> None:
    """Show what the model writes."""
    patch.object(cite_and_generate, "CitationParser", Passing).start()


def without_hybrid() -> None:
    """Take the chunks that are nearest, as they are."""

    def by_meaning(query: object, hits: Sequence[Hit], *_: object) -> list[tuple[LiveChunk, float]]:
        order = sorted(hits, key=lambda hit: -(hit.dense or 0.0))
        return [(hit.chunk, hit.dense or 0.0) for hit in order]

    patch.object(LexicalIndex, "search", lambda *_: {}).start()
    patch.object(hybrid, "POOL", PASSAGES).start()
    patch.object(hybrid, "rank", by_meaning).start()
    patch.object(hybrid, "judge", lambda *_, **__: Sufficiency(1.0, enough=True)).start()
    patch.object(hybrid, "widen", lambda passages, *_: passages).start()


def without_suggestions() -> None:
    """Suggest nothing."""
    patch.object(finalize, "suggest", lambda *_: []).start()


FEATURES: Mapping[str, Callable[[], None]] = {
    "verification": without_verification,
    "citations": without_citations,
    "hybrid": without_hybrid,
    "suggestions": without_suggestions,
}

if __name__ == "__main__":
    for feature in sys.argv.pop(1).split(","):
        FEATURES[feature]()
    main()
