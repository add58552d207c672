"""What an answer is worth: numbers for each question, and their means with confidence intervals."""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from citestream.evaluate.asking import Answered, Ranked
from citestream.evaluate.questions import Question

RANKS = (1, 3, 5, 10)
GAIN_RANK = 5
RESAMPLES = 2_000
SEED = 20_260_101
_MARKER = re.compile(r"(?<!\\)\[(\d{1,2})\](?!\()")

Values = dict[str, float]
"""Measure -> value of one question; measures that do not apply to it are missing."""


@dataclass(frozen=True)
class Mean:
    """The mean of a measure over the questions that have it, with its 95 % interval (percentile bootstrap)."""

    value: float
    low: float
    high: float
    n: int


def judge(question: Question, answered: Answered) -> Values:
    """The measures of one question.

    `R@k`: share of the expected documents among the first k passages. `MRR`, `nDCG@5`: of their ranks.
    `answer in 3 passages`, `answer contained`: whether an expected phrase stands there. `answered`: whether an
    answerable question got an answer. `declined`: whether one that is not answerable was turned away.
    `confidence` goes into `auroc`. `dangling`, `not slices`: markers without a source and quotes that are not the
    document's characters; both have to be 0.
    """
    values: Values = {}
    if not question.answerable:
        values["declined"] = float(answered.status == "abstained")
    else:
        values["answered"] = float(answered.status == "completed")
        values |= _expected(question, answered)
    if answered.confidence is not None:
        values["confidence"] = answered.confidence
    values["dangling"] = float(sum(not _has_source(number, answered) for number in _markers(answered.answer)))
    values["not slices"] = float(sum(not _is_slice(citation, answered) for citation in answered.citations))
    values["citations"] = float(len(answered.citations))
    values["ms"] = answered.ms
    return values


def means(all_values: Sequence[Values]) -> dict[str, Mean]:
    """The mean of every measure, and the `auroc` of the confidence where both kinds of questions were asked."""
    names = dict.fromkeys(name for values in all_values for name in values)
    found = {name: _mean([values[name] for values in all_values if name in values]) for name in names}
    found.pop("confidence", None)
    known = [values for values in all_values if "confidence" in values]
    labels = np.array(["declined" not in values for values in known])
    if labels.any() and not labels.all():
        scores = np.array([values["confidence"] for values in known])
        found["auroc"] = _bootstrap(len(known), lambda chosen: auroc(scores[chosen], labels[chosen]))
    return found


def difference(before: Mapping[str, Values], after: Mapping[str, Values], measure: str) -> Mean | None:
    """How much a measure changed on the questions (by id) that both have; None where there are none."""
    pairs = [
        after[name][measure] - values[measure]
        for name, values in before.items()
        if measure in values and measure in after.get(name, {})
    ]
    return _mean(pairs) if pairs else None


def auroc(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """The chance that a positive one scores higher than a negative one; ties count half."""
    if labels.all() or not labels.any():
        return math.nan
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = int(labels.sum())
    return float((ranks[labels].sum() - positive * (positive + 1) / 2) / (positive * (len(labels) - positive)))


def flat(text: str) -> str:
    """Text as it is compared: NFKC, lower case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def is_of(source: str, expected: str) -> bool:
    """Whether a passage's source is the expected document: the end of its path."""
    return source == expected or source.endswith(f"/{expected}")


def _expected(question: Question, answered: Answered) -> Values:
    values = _ranking(question.documents, answered.ranked) if question.documents else {}
    if question.answers:
        phrases = [flat(answer) for answer in question.answers]
        shown = [flat(passage.text) for passage in answered.ranked[:3]]
        values["answer in 3 passages"] = float(any(phrase in text for phrase in phrases for text in shown))
        said = flat(_MARKER.sub("", answered.answer))
        values["answer contained"] = float(any(phrase in said for phrase in phrases))
    return values


def _ranking(expected: Sequence[str], ranked: Sequence[Ranked]) -> Values:
    order = list(dict.fromkeys(_document(passage, expected) for passage in ranked))
    hits = [document in expected for document in order]
    values: Values = {"MRR": next((1 / rank for rank, hit in enumerate(hits, start=1) if hit), 0.0)}
    gain = sum(hit / math.log2(rank + 1) for rank, hit in enumerate(hits[:GAIN_RANK], start=1))
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(GAIN_RANK, len(expected)) + 1))
    values[f"nDCG@{GAIN_RANK}"] = gain / best
    return values | {f"R@{k}": sum(hits[:k]) / len(expected) for k in RANKS}


def _document(passage: Ranked, expected: Sequence[str]) -> str:
    """The expected document that a passage is of, else its source."""
    return next((name for name in expected if is_of(passage.source, name)), passage.source)


def _markers(answer: str) -> list[int]:
    prose = re.sub(r"(`{3,}|~{3,}).*?(\1|\Z)|`[^`\n]*`", " ", answer, flags=re.DOTALL)
    return [int(number) for number in _MARKER.findall(prose)]


def _has_source(number: int, answered: Answered) -> bool:
    return 1 <= number <= len(answered.ranked)


def _is_slice(citation: Any, answered: Answered) -> bool:
    if not _has_source(citation["index"], answered):
        return False
    passage = answered.ranked[citation["index"] - 1]
    start, end = (citation["span"][side] - passage.start for side in ("start", "end"))
    return bool(0 <= start < end <= len(passage.text) and passage.text[start:end] == citation["quote"])


def _mean(values: Sequence[float]) -> Mean:
    numbers = np.asarray(values, dtype=np.float64)
    return _bootstrap(len(numbers), lambda chosen: float(numbers[chosen].mean()))


def _bootstrap(n: int, statistic: Callable[[NDArray[np.int64]], float]) -> Mean:
    random = np.random.default_rng(SEED)
    value = statistic(np.arange(n))
    samples = [statistic(random.integers(0, n, n)) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile(samples, (2.5, 97.5))
    return Mean(value, float(low), float(high), n)
