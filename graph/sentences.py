"""Sentences: where they end, in text that is there and in text that is still arriving.

The rules are few and language-independent enough for Latin and CJK scripts: a terminator, then closing quotes or
brackets, then white space (Latin) or anything (CJK). Abbreviations, initials and numbers do not end a sentence.
Every result is a slice of the text as given.
"""

import re
from collections.abc import Iterator

CJK_ENDS = frozenset("。！？；｡")
LATIN_ENDS = frozenset(".!?…")
CLOSERS = frozenset("\"'”’」』》）)]】›»*_`")
ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st vs etc e.g i.e no fig gen col sgt capt lt sr jr inc ltd co corp u.s u.k jan feb mar apr jun "
    "jul aug sep sept oct nov dec approx ca c cf vol ed eds p pp al sec ch eq ref resp incl".split()
)
LOOKAHEAD = 4
"""Characters of a line that tell whether it starts a list item or a fence."""
LEADS_ON = (":", "：")
"""What a sentence ends with that leads to what follows: a list, a block of code."""
_MAY_END = re.compile(f"[{''.join(sorted(CJK_ENDS | LATIN_ENDS))}\n]")
BULLETS = ("- ", "* ", "+ ", "• ", "· ", "#", "|", ">", "```", "~~~")


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Split `text[start:end]` into sentences: ordered, trimmed `(start, end)` slices without gaps of content.

    A line break ends a sentence only before an empty line or a list item, heading, table row or fence; text wrapped
    at a column stays one sentence.
    """
    end = len(text) if end is None else end
    return list(_spans(text, start, end))


def sentence_end(text: str, start: int, *, final: bool, searched: int = 0) -> tuple[int | None, int]:
    """End of the sentence that begins at `start`, or None while that cannot be told yet; and how far it was searched.

    For text that is still arriving: with `final` false an answer is given only when no continuation of the text
    could change it, so cutting a stream elsewhere never changes the sentences. The end lies behind the terminator
    and its closers; white space after it is not included. With `final` true the rest of the text is a sentence.
    `searched` is what an earlier call with the same `start` returned: nothing before it ends the sentence.
    """
    position = max(start, searched)
    length = len(text)
    while (found := _MAY_END.search(text, position)) is not None:
        position = found.start()
        char = found.group()
        if char in CJK_ENDS:
            stop = _after_closers(text, position + 1, length)
            return (stop if final or stop < length else None), position
        if char in LATIN_ENDS:
            stop = _after_closers(text, position + 1, length)
            # What follows decides: a space and the next visible character's case.
            visible = _skip_space(text, stop, length)
            if visible == length and not final:
                return None, position
            if _ends_latin(text, start, position, stop, length):
                return stop, position
            position = stop
            continue
        if char == "\n":
            line = position + 1
            if not final and length - _skip_blanks(text, line, length) < LOOKAHEAD:
                return None, position
            if _breaks(text, line, length):
                return position, position
        position += 1
    return (length if final else None), length


def _spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    window = text if end == len(text) else text[:end]
    position = _skip_space(window, start, end)
    while position < end:
        stop, _ = sentence_end(window, position, final=True)
        stop = end if stop is None else min(stop, end)
        trimmed = stop
        while trimmed > position and window[trimmed - 1].isspace():
            trimmed -= 1
        if trimmed > position:
            yield position, trimmed
        position = _skip_space(window, max(stop, position + 1), end)


def _ends_latin(text: str, start: int, dot: int, stop: int, length: int) -> bool:
    if stop < length and not text[stop].isspace():
        return False
    if text[dot] == "." and _is_abbreviation(text, start, dot):
        return False
    following = _skip_space(text, stop, length)
    return following >= length or not text[following].islower() or "\n\n" in text[stop:following]


def _is_abbreviation(text: str, start: int, dot: int) -> bool:
    begin = dot
    while begin > start and (text[begin - 1].isalnum() or text[begin - 1] == "."):
        begin -= 1
    word = text[begin:dot].lower()
    if not word:
        return False
    if word.isdigit():  # "1. First step": a list number, when nothing stands before it on its line
        line = begin
        while line > start and text[line - 1] in " \t":
            line -= 1
        return len(word) <= 3 and (line == start or text[line - 1] == "\n")
    return word in ABBREVIATIONS or (len(word) == 1 and word.isalpha() and word.isascii())


def _breaks(text: str, line: int, length: int) -> bool:
    """Whether the line that begins at `line` starts something new."""
    first = _skip_blanks(text, line, length)
    if first >= length or text[first] == "\n":
        return True
    rest = text[first : first + LOOKAHEAD]
    if rest.startswith(BULLETS):
        return True
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return 0 < digits < len(rest) and rest[digits] in ".)"


def _after_closers(text: str, position: int, end: int) -> int:
    while position < end and (text[position] in CLOSERS or text[position] in CJK_ENDS or text[position] in "!?…."):
        position += 1
    return position


def _skip_space(text: str, position: int, end: int) -> int:
    while position < end and text[position].isspace():
        position += 1
    return position


def _skip_blanks(text: str, position: int, end: int) -> int:
    while position < end and text[position] in " \t\r":
        position += 1
    return position
