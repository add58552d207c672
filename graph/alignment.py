"""Wording against wording: where a claim follows a sentence of its source word by word, and differs in what counts.

A claim that shares nearly all words with its source may still say something else: another name in the same place, or a
"not" more. Shares of words do not see that; what stands in the place of what does.
"""

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from graph.sentences import sentence_spans
from graph.terms import CJK_FILLERS, STOP_WORDS, has_cjk, sequence

CLOSE_FROM = 0.5
"""Share of the claim's words, in order, that a sentence must have for another name in it to mean something."""
VERBATIM_FROM = 0.9
"""The same of its words with a meaning, for a negation: in freer words the opposite of an opposite is common."""
LONGEST = 150
"""Words of a claim beyond which it is no sentence: a block of code, a table. Comparing takes time with its square."""
NEGATIONS = frozenset(
    "not no never none neither nor cannot without nobody nothing 不 没 沒 无 無 未 非 否 勿 别".split()
)
_BEFORE_T = frozenset("don doesn didn isn aren wasn weren won wouldn can couldn shouldn hasn haven hadn mustn".split())
_WORD = re.compile(r"[^\W_]+")
_FILLERS = STOP_WORDS | CJK_FILLERS


def differs(claim: str, source: str) -> bool:
    """Whether the claim says of something else, or the opposite of, what the sentence closest to it says."""
    said = sequence(claim)
    if not 0 < len(said) <= LONGEST:
        return False
    sentence = _closest(said, source)
    there = sequence(sentence)
    changes = SequenceMatcher(None, said, there, autojunk=False).get_opcodes()
    same = [word for kind, start, end, _, _ in changes if kind == "equal" for word in said[start:end]]
    if len(same) < CLOSE_FROM * len(said):
        return False
    names = None if has_cjk(claim) else _names(claim)
    replaced = [(said[a:b], there[c:d]) for kind, a, b, c, d in changes if kind == "replace"]
    if any(_is_other(ours, theirs, said, there, names) for ours, theirs in replaced):
        return True
    return len(_content(same)) >= VERBATIM_FROM * len(_content(said)) and _negations(said) != _negations(there)


def _closest(said: Sequence[str], source: str) -> str:
    """The sentence with most of the words; a name that stands in another one does not count."""
    wanted = set(said)
    sentences = [source[start:end] for start, end in sentence_spans(source)] or [source]
    return max(sentences, key=lambda sentence: len(wanted.intersection(sequence(sentence))))


def _is_other(
    ours: Iterable[str], theirs: Iterable[str], said: Iterable[str], there: Iterable[str], names: set[str] | None
) -> bool:
    """Whether words of the claim that the sentence lacks stand for words that the claim lacks."""
    new, gone = set(ours) - set(there) - _FILLERS, set(theirs) - set(said) - _FILLERS
    return bool(new and gone and (names is None or new & names))


def _content(found: Iterable[str]) -> list[str]:
    return [word for word in found if word not in _FILLERS and word not in NEGATIONS]


def _names(claim: str) -> set[str]:
    """Words with a capital or a digit at their beginning."""
    return {stem for word in _WORD.findall(claim) if word[0].isupper() or word[0].isdigit() for stem in sequence(word)}


def _negations(found: Sequence[str]) -> int:
    pairs = zip(["", *found], found, strict=False)
    return sum(word in NEGATIONS or (word == "t" and before in _BEFORE_T) for before, word in pairs)
