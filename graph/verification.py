"""From a claim to the characters of a source that support it, and how well they do.

`support` is 1.0 for the same words in the same order, else the share of the claim's words, weighted by their rarity
(idf), that the span has, times 0.59 when a number or a name of the claim is not there, or stands for another one, or
one of the two is negated (graph/alignment.py). From 0.6 on a claim counts as supported. On BEGIN's human labels (1,148
claims) that flags 80 % of the unsupported claims and 7 % of the supported ones, AUROC .94 (bench/quality/support.py);
of sentences with one number, name or verb changed, 94 to 100 % (bench/quality/mutations.py).
"""

import re
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import takewhile
from typing import Literal

from graph.alignment import differs
from graph.citations import Claim, says_something
from graph.sentences import sentence_spans
from graph.state.evidence import Citation, Grounding, Passage, Span, Verdict
from graph.terms import terms

SUPPORTED_FROM = 0.6
FOUND_FROM = 0.75
"""A claim without a marker gets one where a passage supports it so well: .84 of BEGIN's supported claims, .11 of the
others (bench/quality/support.py)."""
FEWEST_TERMS = 3
"""Terms below which a claim says too little to be looked for, as "Yes." or "In short:" do; a block of code may."""
MISSING_FACTOR = 0.59
"""Keeps what differs in a number, a name or a negation below SUPPORTED_FROM, however much of it is there."""
WIDEN_GAIN = 0.1
"""A neighbouring sentence joins the span when it covers at least this share more of the claim."""
MAX_SPAN_SENTENCES = 3
KEPT = 512
"""Passages whose words are remembered, 8 to 13 KB each: to prepare three took .8 of the 2.9 ms of 13 claims."""

_AFFIRMATIONS = frozenset(terms("yes yeah yep absolutely well sure indeed okay ok oh certainly exactly"))
"""Words that answer and claim nothing; sources do not have them, so they would weigh most."""

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"(?<![.!?。！？]\s)(?<=\s)[A-Z][\w-]*[A-Za-z]")
_FENCE_LINE = re.compile(r"^\s*(?:`{3,}|~{3,}).*$", re.MULTILINE)
_LEFT_OUT = re.compile(r"""[\s*_`~|"'“”‘’\\]+""")
"""White space and markup."""


@dataclass(frozen=True)
class Finding:
    """The span of a passage that supports a claim best; `start` and `end` count in the document."""

    start: int
    end: int
    quote: str
    verdict: Verdict
    support: float


class Reading:
    """A text as claims are held against it; what does not depend on the claim is found out once."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def squeezed(self) -> str:
        """The text as quotes are looked for in it."""
        return _squeeze(self.text)

    @cached_property
    def places(self) -> Sequence[int]:
        """Where each character of `squeezed` came from."""
        kept = enumerate(self.text)
        # A list of numbers would take nine times the memory, for as long as the answer streams.
        return array("I", [place for place, char in kept if not _LEFT_OUT.match(char) and len(char.lower()) == 1])

    @cached_property
    def sentences(self) -> list[tuple[int, int]]:
        """Its sentences as `(start, end)`."""
        return sentence_spans(self.text) or [(0, len(self.text))]

    @cached_property
    def terms(self) -> Mapping[str, int]:
        """Index term -> a number whose n-th bit says that the n-th sentence has it."""
        having: dict[str, int] = {}
        for number, (start, end) in enumerate(self.sentences):
            for term in set(terms(self.text[start:end])):
                having[term] = having.get(term, 0) | 1 << number
        return having


@lru_cache(KEPT)
def read(text: str) -> Reading:
    """The text of a passage, which comes up again and again and in many answers at a time."""
    return Reading(text)


Idf = Callable[[Iterable[str]], Mapping[str, float]]
"""Index terms -> inverse document frequency."""


def cite(claim: Claim, passages: Sequence[Passage], idf: Idf) -> list[Citation]:
    """The citations of a claim, one a marker, each with the smallest span that supports it."""
    named = [passages[number - 1] for number in claim.markers]
    return [_citation(claim, passage, verify(claim.text, passage, idf), "claimed") for passage in named]


def find_citation(claim: Claim, passages: Sequence[Passage], idf: Idf) -> list[Citation]:
    """The citation that a claim without a marker should have: of the passage that supports it best, if one does."""
    if len(set(terms(claim.text))) < FEWEST_TERMS and not _FENCE_LINE.match(claim.text):
        return []
    findings = [(verify(claim.text, passage, idf), passage) for passage in passages]
    best = max(findings, key=lambda pair: pair[0].support, default=None)
    if best is None or best[0].support < FOUND_FROM:
        return []
    return [_citation(claim, best[1], best[0], "found")]


def verify(claim: str, passage: Passage, idf: Idf) -> Finding:
    """Find the smallest span of the passage that supports the claim, and say how well it does."""
    text = passage["text"]
    reading = read(text)
    quoted = _find_quote(claim, reading)
    if quoted is not None:
        return _finding(passage, quoted, "exact", 1.0)
    weights = idf(set(terms(claim)) - _AFFIRMATIONS)
    span, covered = _best_span(reading, weights)
    headings = f"{passage['title']} {passage.get('heading', '')}"
    missing = _missing(claim, text[span[0] : span[1]], f"{text} {headings}") or differs(claim, text[span[0] : span[1]])
    support = round(covered * (MISSING_FACTOR if missing else 1.0), 3)
    return _finding(passage, span, "supported" if support >= SUPPORTED_FROM else "unsupported", support)


def grounding(claims: Sequence[Claim], citations: Sequence[Citation]) -> Grounding:
    """How much of the answer is proved: every claim, some, or none has an exact or supported citation."""
    proved = {(c["answer"]["start"], c["answer"]["end"]) for c in citations if c["verified"] != "unsupported"}
    states = [(claim.start, claim.end) in proved for claim in claims if says_something(claim.text)]
    if not any(states):
        return "none"
    return "full" if all(states) else "partial"


def _citation(claim: Claim, passage: Passage, finding: Finding, origin: Literal["claimed", "found"]) -> Citation:
    return {
        "index": passage["index"],
        "source_id": passage["id"],
        "answer": Span(start=claim.start, end=claim.end),
        "span": Span(start=finding.start, end=finding.end),
        "quote": finding.quote,
        "verified": finding.verdict,
        "support": finding.support,
        "origin": origin,
    }


def _finding(passage: Passage, span: tuple[int, int], verdict: Verdict, support: float) -> Finding:
    start, end = span
    offset = passage["start"]
    return Finding(offset + start, offset + end, passage["text"][start:end], verdict, support)


def _find_quote(claim: str, reading: Reading) -> tuple[int, int] | None:
    """Where the claim's words stand in the text as they are: white space, markup and the last stop do not count."""
    text = reading.text
    claim = _FENCE_LINE.sub("", claim)
    wanted = _squeeze(claim.strip().rstrip(".。!！?？;；:："))
    wanted = re.sub(r"^[-+•#>]+", "", wanted)
    lead = "".join(takewhile(lambda char: not (char.isalnum() or char.isspace()), claim.strip()))
    if len(wanted) < 2:
        return None
    at = reading.squeezed.find(wanted)
    while at >= 0:
        start, end = reading.places[at], reading.places[at + len(wanted) - 1] + 1
        if not (_joins(text, start) or _joins(text, end)):
            # Signs that were not looked for, as in `--option`, belong to the quote where the claim begins with them.
            while start and text[start - 1] in lead:
                start -= 1
            while end < len(text) and text[end] in ".。!！?？;；”’»」』)）\"'`*_":
                end += 1
            return start, end
        at = reading.squeezed.find(wanted, at + 1)
    return None


def _squeeze(text: str) -> str:
    """The text without white space and markup, and without what is no single character in lower case, as is "İ"."""
    kept = _LEFT_OUT.sub("", text)
    lower = kept.lower().replace("ς", "σ")  # lower() makes one of Σ at the end of a word
    if len(lower) != len(kept):
        lower = "".join(char.lower() for char in kept if len(char.lower()) == 1).replace("ς", "σ")
    return lower


def _joins(text: str, position: int) -> bool:
    """Whether a cut at `position` would go through a word or number."""
    if not 0 < position < len(text):
        return False
    left, right = text[position - 1], text[position]
    return left.isalnum() and right.isalnum() and left.isascii() and right.isascii()


def _best_span(reading: Reading, weights: Mapping[str, float]) -> tuple[tuple[int, int], float]:
    """The sentence that covers most of the weights, with neighbours while they add something; and the share.

    Where none has anything of the weights it is the first with words, as a bare fence says nothing.
    """
    total = sum(weights.values()) or 1.0
    spans = reading.sentences
    found = [(weight, reading.terms[term]) for term, weight in weights.items() if term in reading.terms]
    if not found:
        return spans[min((_lowest_bit(having) for having in reading.terms.values()), default=0)], 0.0

    def share(first: int, last: int) -> float:
        asked = (2 << last) - (1 << first)
        return sum([weight for weight, having in found if having & asked]) / total

    alone = [share(number, number) for number in range(len(spans))]
    first = last = max(range(len(spans)), key=lambda i: (alone[i], spans[i][0] - spans[i][1]))
    covered = alone[first]
    while last - first + 1 < MAX_SPAN_SENTENCES:
        wider = [(f, b) for f, b in ((first - 1, last), (first, last + 1)) if f >= 0 and b < len(spans)]
        best = max(wider, key=lambda pair: share(*pair), default=None)
        if best is None or share(*best) - covered < WIDEN_GAIN:
            break
        first, last = best
        covered = share(first, last)
    return (spans[first][0], spans[last][1]), covered


def _lowest_bit(number: int) -> int:
    return (number & -number).bit_length() - 1


def _missing(claim: str, span: str, around: str) -> bool:
    """Whether a number of the claim is not in the span, or a name neither there nor near it."""
    numbers = set(_NUMBER.findall(span))
    if any(number not in numbers for number in _NUMBER.findall(claim)):
        return True
    near = around.lower()
    return any(name.lower() not in near for name in _NAME.findall(claim))
