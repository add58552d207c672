"""From a claim to the characters of a source that support it, and how well they do.

`support` is 1.0 for the same words in the same order, else the share of the claim's words, weighted by their rarity
(idf), that the span has, times 0.6 when a number or a name of the claim is not there. From 0.6 on a claim counts as
supported. On BEGIN's human labels (1,148 claims) that flags 81 % of the unsupported claims and 12 % of the supported
ones; AUROC .93 (bench/quality/support.py).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from graph.citations import Claim, says_something
from graph.sentences import sentence_spans
from graph.state.evidence import Citation, Grounding, Passage, Span, Verdict
from graph.terms import terms

SUPPORTED_FROM = 0.6
MISSING_FACTOR = 0.6
WIDEN_GAIN = 0.1
"""A neighbouring sentence joins the span when it covers at least this share more of the claim."""
MAX_SPAN_SENTENCES = 3

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"(?<![.!?。！？]\s)(?<=\s)[A-Z][\w-]*[A-Za-z]")
_FENCE_LINE = re.compile(r"^\s*(?:`{3,}|~{3,}).*$", re.MULTILINE)
_MARKUP = frozenset("*_`~|\"'“”‘’\\")


@dataclass(frozen=True)
class Finding:
    """The span of a passage that supports a claim best; `start` and `end` count in the document."""

    start: int
    end: int
    quote: str
    verdict: Verdict
    support: float


Idf = Callable[[Iterable[str]], Mapping[str, float]]
"""Index terms -> inverse document frequency."""


def cite(
    claim: Claim, passages: Sequence[Passage], idf: Idf, *, origin: Literal["claimed", "found"] = "claimed"
) -> list[Citation]:
    """The citations of a claim, one a marker, each with the smallest span that supports it."""
    citations: list[Citation] = []
    for number in claim.markers:
        passage = passages[number - 1]
        finding = verify(claim.text, passage, idf)
        citations.append(
            {
                "index": number,
                "source_id": passage["id"],
                "answer": Span(start=claim.start, end=claim.end),
                "span": Span(start=finding.start, end=finding.end),
                "quote": finding.quote,
                "verified": finding.verdict,
                "support": finding.support,
                "origin": origin,
            }
        )
    return citations


def verify(claim: str, passage: Passage, idf: Idf) -> Finding:
    """Find the smallest span of the passage that supports the claim, and say how well it does."""
    text = passage["text"]
    quoted = _find_quote(claim, text)
    if quoted is not None:
        return _finding(passage, quoted, "exact", 1.0)
    wanted = set(terms(claim))
    weights = idf(wanted)
    spans = sentence_spans(text) or [(0, len(text))]
    span, covered = _best_span(text, spans, weights)
    headings = f"{passage['title']} {passage.get('heading', '')}"
    missing = _missing(claim, text[span[0] : span[1]], f"{text} {headings}")
    support = round(covered * (MISSING_FACTOR if missing else 1.0), 3)
    return _finding(passage, span, "supported" if support >= SUPPORTED_FROM else "unsupported", support)


def grounding(claims: Sequence[Claim], citations: Sequence[Citation]) -> Grounding:
    """How much of the answer is proved: every claim, some, or none has an exact or supported citation."""
    proved = {(c["answer"]["start"], c["answer"]["end"]) for c in citations if c["verified"] != "unsupported"}
    states = [(claim.start, claim.end) in proved for claim in claims if says_something(claim.text)]
    if not any(states):
        return "none"
    return "full" if all(states) else "partial"


def _finding(passage: Passage, span: tuple[int, int], verdict: Verdict, support: float) -> Finding:
    start, end = span
    offset = passage["start"]
    return Finding(offset + start, offset + end, passage["text"][start:end], verdict, support)


def _find_quote(claim: str, text: str) -> tuple[int, int] | None:
    """Where the claim's words stand in the text as they are: white space, markup and the last stop do not count."""
    claim = _FENCE_LINE.sub("", claim)
    wanted, _ = _squeeze(claim.strip().rstrip(".。!！?？;；:："))
    wanted = re.sub(r"^[-+•#>]+", "", wanted)
    if len(wanted) < 2:
        return None
    squeezed, places = _squeeze(text)
    at = squeezed.find(wanted)
    while at >= 0:
        start, end = places[at], places[at + len(wanted) - 1] + 1
        if not (_joins(text, start) or _joins(text, end)):
            while end < len(text) and text[end] in ".。!！?？;；”’»」』)）\"'`*_":
                end += 1
            return start, end
        at = squeezed.find(wanted, at + 1)
    return None


def _squeeze(text: str) -> tuple[str, list[int]]:
    """The text without white space and markup in lower case, and where each character came from."""
    kept = [(char.lower(), place) for place, char in enumerate(text) if not char.isspace() and char not in _MARKUP]
    kept = [(char, place) for char, place in kept if len(char) == 1]
    return "".join(char for char, _ in kept), [place for _, place in kept]


def _joins(text: str, position: int) -> bool:
    """Whether a cut at `position` would go through a word or number."""
    if not 0 < position < len(text):
        return False
    left, right = text[position - 1], text[position]
    return left.isalnum() and right.isalnum() and left.isascii() and right.isascii()


def _best_span(
    text: str, spans: Sequence[tuple[int, int]], weights: Mapping[str, float]
) -> tuple[tuple[int, int], float]:
    """The sentence that covers most of the weights, with neighbours while they add something; and the share."""
    total = sum(weights.values()) or 1.0
    found = [set(terms(text[start:end])) for start, end in spans]

    def share(first: int, last: int) -> float:
        inside = set().union(*found[first : last + 1])
        return sum(weight for term, weight in weights.items() if term in inside) / total

    first = last = max(range(len(spans)), key=lambda i: (share(i, i), spans[i][0] - spans[i][1]))
    covered = share(first, last)
    while last - first + 1 < MAX_SPAN_SENTENCES:
        wider = [(f, b) for f, b in ((first - 1, last), (first, last + 1)) if f >= 0 and b < len(spans)]
        best = max(wider, key=lambda pair: share(*pair), default=None)
        if best is None or share(*best) - covered < WIDEN_GAIN:
            break
        first, last = best
        covered = share(first, last)
    return (spans[first][0], spans[last][1]), covered


def _missing(claim: str, span: str, around: str) -> bool:
    """Whether a number of the claim is not in the span, or a name neither there nor near it."""
    numbers = set(_NUMBER.findall(span))
    if any(number not in numbers for number in _NUMBER.findall(claim)):
        return True
    near = around.lower()
    return any(name.lower() not in near for name in _NAME.findall(claim))
