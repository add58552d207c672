"""citestream without one of its features, to measure what that costs.

Usage: python -m bench.streaming.without FEATURE serve …

`verification`: a claim is cited as its markers say, and not held against the source. `citations`: the model's text is
shown as it comes; nobody looks for markers, sentences and claims in it.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from unittest.mock import patch

from citestream.cli import main
from graph import verification
from graph.citations import Text
from graph.nodes import cite_and_generate


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
    patch.object(verification, "verify", lambda claim, reading, idf: nothing).start()


def without_citations() -> None:
    """Show what the model writes."""
    patch.object(cite_and_generate, "CitationParser", Passing).start()


FEATURES: Mapping[str, Callable[[], None]] = {"verification": without_verification, "citations": without_citations}

if __name__ == "__main__":
    FEATURES[sys.argv.pop(1)]()
    main()
