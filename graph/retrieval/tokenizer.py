"""Tokens of the bundled MiniLM vocabulary: how chunks and prompts are measured. No download, no model."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

from tokenizers import Tokenizer

WORD_CHARS = 40
"""Longer runs without white space, as of Chinese, are not remembered: they seldom come up again."""
KEPT_WORDS = 50_000
"""Words that are remembered, some 10 MB; with more, all are forgotten, and those that come up are looked at again."""
_LEFT_OUT = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
"""White space to Python, nothing at all to the tokenizer."""
_WORD = re.compile(r"\S+")
_known: dict[str, tuple[int, ...]] = {}
"""Where the word pieces of a word begin in it."""


def count_tokens(text: str) -> int:
    """Word pieces in `text`, without special tokens. Other models count 0.8 to 1.3 times as many in English."""
    if _LEFT_OUT.search(text):
        return len(_encode(text))
    words = text.split()
    try:
        return sum([len(_known[word]) for word in words])
    except KeyError:  # some are new, or too long to be remembered
        pieces = _pieces(words)
        return sum([len(pieces[word]) for word in words])


def token_starts(text: str) -> list[int]:
    """Where each word piece of `text` begins, in code points."""
    if _LEFT_OUT.search(text):
        return _encode(text)
    words = [(found.group(), found.start()) for found in _WORD.finditer(text)]
    pieces = _pieces(word for word, _ in words)
    return [begin + start for word, begin in words for start in pieces[word]]


def _pieces(words: Iterable[str]) -> Mapping[str, tuple[int, ...]]:
    """Where the word pieces of each word begin in it: no word piece crosses white space, and most were seen before."""
    wanted = dict.fromkeys(words)
    pieces = {word: known for word in wanted if (known := _known.get(word)) is not None}
    if len(pieces) < len(wanted):
        new = _pieces_of_new([word for word in wanted if word not in pieces])
        pieces.update(new)
        if len(_known) + len(new) > KEPT_WORDS:
            _known.clear()
        _known.update((word, starts) for word, starts in new.items() if len(word) <= WORD_CHARS)
    return pieces


def _pieces_of_new(words: list[str]) -> dict[str, tuple[int, ...]]:
    """The same of words that are not remembered, in one call of the tokenizer."""
    starts = _encode(" ".join(words))
    pieces, begin, at = {}, 0, 0
    for word in words:
        end = begin + len(word)
        behind = bisect_left(starts, end, at)
        pieces[word] = tuple([start - begin for start in starts[at:behind]])
        begin, at = end + 1, behind
    return pieces


def _encode(text: str) -> list[int]:
    return [start for start, _ in _tokenizer().encode(text, add_special_tokens=False).offsets]


@cache
def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_str(tokenizer_json())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def tokenizer_json() -> str:
    """The vocabulary and rules as Hugging Face `tokenizers` reads them."""
    return files("graph.retrieval.minilm").joinpath("tokenizer.json").read_text(encoding="utf-8")
