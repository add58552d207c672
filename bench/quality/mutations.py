"""Claims that are a sentence of their source but for one number, one name or a "not", and whether that is noticed.

A sentence is changed where it holds the answer of a question: a number into another number, a name into the answer of
another question of the same kind about the same document where there is one; or its verb is negated. The sentence as it
was is the other half of the set.

Usage: python -m bench.quality.mutations SETS [--each N]
"""

import argparse
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.quality.sets import lines, rows
from bench.quality.support import as_passage
from graph.sentences import sentence_spans
from graph.terms import terms
from graph.verification import Idf, verify

SETS = ("xquad_en", "squad2", "xquad_zh", "cmrc", "drcd")
SEED = 7
ASKS_NAME = re.compile(r"^\s*(who|whose|whom|where|which|what)\b|谁|哪|誰", re.IGNORECASE)
NAME = re.compile(r"[A-Z][\w.'’-]*(?: (?:of|the|de|von|van|[A-Z][\w.'’-]*))*|[\u3400-\u9fff·]{2,12}")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
POSITIVE = re.compile(
    r"\b(?:is|are|was|were|can|will|has been|have been)\b(?! not)|(?<![不就也还還只但可凡总總])是|可以|能够|能夠"
)
NOT = {"是": "不是", "可以": "不可以", "能够": "不能够", "能夠": "不能夠"}

Kind = Literal["number", "name", "negation"]
KINDS: tuple[Kind, ...] = ("number", "name", "negation")


@dataclass(frozen=True)
class Mutation:
    """A sentence of `source`, and what became of it."""

    source: str
    sentence: str
    changed: str
    kind: Kind


def make(sets: Path, name: str, each: int) -> list[Mutation]:
    """`each` mutations of both kinds, or as many as there are, the same every time."""
    chosen = random.Random(f"{SEED} {name}")
    texts = {row["id"]: row["text"] for row in rows(sets / f"corpora/{name}.parquet")}
    asked = [row for row in lines(sets / f"open/{name}.jsonl") if row["answerable"] and row["gold"][0] in texts]
    names: defaultdict[str, list[str]] = defaultdict(list)
    for row in asked:
        if ASKS_NAME.search(row["question"]) and NAME.fullmatch(row["answers"][0]):
            names[row["gold"][0]].append(row["answers"][0])
    chosen.shuffle(asked)
    everywhere = sorted({other for of_text in names.values() for other in of_text})
    found: dict[Kind, dict[str, Mutation]] = {kind: {} for kind in KINDS}
    for row in asked:
        source, answer = texts[row["gold"][0]], row["answers"][0]
        sentence = next((s for s in _sentences(source) if answer in s), None)
        if sentence is None:
            continue
        if POSITIVE.search(sentence):
            negated = POSITIVE.sub(lambda verb: NOT.get(verb.group(), f"{verb.group()} not"), sentence, count=1)
            found["negation"].setdefault(sentence, Mutation(source, sentence, negated, "negation"))
        if NUMBER.search(answer):
            other = NUMBER.sub(lambda number: _other(number.group(), chosen), answer, count=1)
            changed = sentence.replace(answer, other)
            found["number"].setdefault(sentence, Mutation(source, sentence, changed, "number"))
        elif answer in names[row["gold"][0]]:
            near = [other for other in names[row["gold"][0]] if other not in answer and answer not in other]
            other = chosen.choice(near or everywhere)
            if other not in sentence:
                changed = sentence.replace(answer, other)
                found["name"].setdefault(sentence, Mutation(source, sentence, changed, "name"))
    return [mutation for kind in found.values() for mutation in list(kind.values())[:each]]


def main() -> None:
    """Print, by set and kind, how many are noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--each", type=int, default=300)
    arguments = parser.parse_args()
    print("| set | kind | sentences | changed ones flagged | unchanged ones flagged |")
    print("|---|---|---|---|---|")
    for name in SETS:
        mutations = make(arguments.sets, name, arguments.each)
        idf = idf_of(row["text"] for row in rows(arguments.sets / f"corpora/{name}.parquet"))
        for kind in KINDS:
            of_kind = [mutation for mutation in mutations if mutation.kind == kind]
            flagged = [_is_flagged(mutation.changed, mutation.source, idf) for mutation in of_kind]
            alarms = [_is_flagged(mutation.sentence, mutation.source, idf) for mutation in of_kind]
            shares = f"{sum(flagged) / len(flagged):.3f} | {sum(alarms) / len(alarms):.3f}"
            print(f"| {name} | {kind} | {len(of_kind)} | {shares} |", flush=True)


def idf_of(texts: Iterable[str]) -> Idf:
    """Inverse document frequencies in some texts."""
    all_terms = [set(terms(text)) for text in texts]
    seen = Counter(term for found in all_terms for term in found)
    n = len(all_terms)
    return lambda found: {term: math.log(1 + (n - seen[term] + 0.5) / (seen[term] + 0.5)) for term in found}


def _is_flagged(claim: str, source: str, idf: Idf) -> bool:
    return verify(claim, as_passage(source), idf).verdict == "unsupported"


def _sentences(text: str) -> Iterator[str]:
    for start, end in sentence_spans(text):
        yield text[start:end]


def _other(number: str, chosen: random.Random) -> str:
    """The number with one of its digits changed, not into a leading zero."""
    places: Sequence[int] = [place for place, char in enumerate(number) if char.isdigit()]
    place = chosen.choice(places)
    digits = [digit for digit in "123456789" if digit != number[place]]
    return number[:place] + chosen.choice(digits) + number[place + 1 :]


if __name__ == "__main__":
    main()
