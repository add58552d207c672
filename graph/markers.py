"""The ways in which models write markers, and which sources each names.

They are told to write `[1]`, and most do. Others write what their training had: `[1, 2]`, `[1-3]`, `[^1]`, `【1】`,
`【1†source】`, `[Source 1]`, `(passages 1 and 2)`, or `Source 1` in the middle of a sentence.
"""

import re
from dataclasses import dataclass
from typing import Literal

import regex  # type: ignore[import-untyped]  # ships no types

LARGEST_MARKER = 99
"""Larger bracketed numbers are years and the like, not markers that went wrong."""
LONGEST_RANGE = 10
"""Sources that `[1-3]` may name."""

_LABEL = r"(?i:sources?|passages?|documents?|docs?|refs?|来源|來源|段落|文档|文檔|资料|資料)\s?[:#：]?\s?"
_AND = r"\s?(?:[,;，；、&和與与]|and\b)\s?"
_NUMBERS = rf"(?:{_LABEL})?\^?\d{{1,4}}(?:(?:{_AND}|\s?[-–]\s?)(?:{_LABEL})?\^?\d{{1,4}}){{0,9}}"
_PLAIN = regex.compile(r"\[(?P<numbers>\d{1,4}(?:\s?,\s?\d{1,4}){0,9})\]")
_ANY = regex.compile(
    rf"[\[［【]\s?(?P<numbers>{_NUMBERS})(?:†[^\]】\n]{{0,80}})?\s?[\]］】]"
    rf"|[(（]\s?(?P<numbers>{_LABEL}{_NUMBERS})\s?[)）]"
    rf"|(?:Sources?|Passages?)\s(?P<numbers>\d{{1,2}}(?:{_AND}\d{{1,2}}){{0,4}})"
)
_PART = regex.compile(r"(\d+)(?:\s?[-–]\s?(?:[^\d,;]*?)(\d+))?")
_FIRST_PLAIN, _FIRST_ANY = frozenset("["), frozenset("[［【(（SP")
_NOT_TEXT_PLAIN, _NOT_TEXT_ANY = (
    re.compile(rf"[`~\\{first}]| +(?:[{first}]|\Z)")
    for first in (re.escape("".join(sorted(signs))) for signs in (_FIRST_PLAIN, _FIRST_ANY))
)

Style = Literal["plain", "any"]
"""`plain`: `[1]` and `[1, 2]` alone, as what quotes documents must write. `any`: all of the above."""


@dataclass(frozen=True)
class Marker:
    """A marker as it was written: `text`, and the numbers in it, each once."""

    text: str
    numbers: tuple[int, ...]

    @property
    def is_plain(self) -> bool:
        """Whether it is a single number in square brackets, which may be part of what is said."""
        return self.text == f"[{self.text[1:-1]}]" and self.text[1:-1].isdigit()

    @property
    def stands_alone(self) -> bool:
        """Whether it has brackets, so that it can be left out of its sentence."""
        return not self.text[0].isalpha()


def may_begin(char: str, style: Style) -> bool:
    """Whether a marker can begin with this character."""
    return char in (_FIRST_PLAIN if style == "plain" else _FIRST_ANY)


def text_end(text: str, position: int, style: Style) -> int:
    """End of the text from `position` on in which no marker, escape or code begins, nor spaces that may lead to one."""
    found = (_NOT_TEXT_PLAIN if style == "plain" else _NOT_TEXT_ANY).search(text, position)
    return len(text) if found is None else found.start()


def find_marker(text: str, position: int, style: Style, *, final: bool) -> Marker | Literal["unknown"] | None:
    """The marker that begins at `position`; "unknown" while more of the text (`final` false) may make or change one."""
    pattern = _PLAIN if style == "plain" else _ANY
    # All that is there may be the beginning of a marker, of a longer one, or of a link.
    if not final and pattern.fullmatch(text, position, partial=True):
        return "unknown"
    match = pattern.match(text, position)
    if match is None:
        return None
    written = match.group()
    if written[0].isalpha():
        if match.end() + 1 >= len(text) and not final:
            return "unknown"
        if _goes_on(text, match.end()):
            return None
    numbers = _numbers(match.group("numbers"))
    return Marker(written, numbers) if numbers else None


def _goes_on(text: str, end: int) -> bool:
    """Whether the number before `end` is part of a longer word or number, as in "Source 1.5"."""
    following = text[end : end + 2]
    return following[:1].isalnum() or (following[:1] in "._" and following[1:].isalnum())


def _numbers(listed: str) -> tuple[int, ...]:
    """The numbers of a list with ranges; none when a range is no list of sources."""
    found: dict[int, None] = {}
    for part in _PART.finditer(listed):
        first = int(part.group(1))
        last = int(part.group(2) or first)
        if not 0 <= last - first < LONGEST_RANGE:
            return ()
        found.update(dict.fromkeys(range(first, last + 1)))
    return tuple(found)
