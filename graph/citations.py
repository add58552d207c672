"""From a streamed answer to the text that may be shown and the claims that it makes.

`CitationParser` is sans-I/O: feed it pieces of the model's text, however cut, and it gives the text to show and, when
a sentence is complete, its claims. graph/verification.py finds what supports them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from graph.markers import LARGEST_MARKER, Marker, Style, find_marker, may_begin, text_end
from graph.sentences import sentence_end

_BRACKETED = re.compile(r"\[(?<!\\\[)(\d+)\]")  # begins with what re can search for at once


@dataclass(frozen=True)
class Text:
    """A piece of the answer that may be shown."""

    delta: str


@dataclass(frozen=True)
class Claim:
    """A sentence, or the part of one that a group of markers stands behind.

    `start`–`end` is its place in the answer, `text` its words without markers; `markers` may be empty.
    """

    start: int
    end: int
    text: str
    markers: tuple[int, ...]


class _Mode(Enum):
    PROSE = auto()
    INLINE_CODE = auto()
    FENCE = auto()


@dataclass
class CitationParser:
    r"""Splits a streamed answer into shown text and claims; however the stream is cut, the result is the same.

    Markers in every way that `style` knows come out as `[n][m]`, whole; those that name none of the `sources` passages
    are left out, other bracketed numbers are escaped as `\[12]`. Code and Markdown links stay as they are.
    """

    sources: int
    style: Style = "any"
    answer: str = ""
    _pending: str = ""
    _sentence: int = 0
    """Where the sentence that is not complete yet begins in the answer."""
    _mask: str = ""
    """The answer from there on with markers as spaces and code as letters: what sentences are found in."""
    _searched: int = 0
    """Up to where the mask holds nothing that can end a sentence."""
    _markers: list[tuple[int, int, int]] = field(default_factory=list)
    """(start, end, n) of markers in the answer that no claim has taken yet."""
    _mode: _Mode = _Mode.PROSE
    _fence: str = ""

    def feed(self, text: str) -> list[Text | Claim]:
        """Take the next piece of the model's text."""
        return self._advance(text, final=False)

    def flush(self) -> list[Text | Claim]:
        """The model has ended: give what was held back and the last claims."""
        return self._advance("", final=True)

    def _advance(self, text: str, *, final: bool) -> list[Text | Claim]:
        self._pending += text
        before = len(self.answer)
        pieces: list[str] = []
        position = 0
        while position < len(self._pending):
            used = self._take_text(position, pieces) or self._step(position, pieces, final=final)
            if not used:
                break
            position += used
        self._pending = self._pending[position:]
        self.answer += "".join(pieces)
        shown: list[Text | Claim] = [Text(self.answer[before:])] if len(self.answer) > before else []
        return shown + list(self._complete_claims(final=final))

    def _take_text(self, position: int, pieces: list[str]) -> int:
        """Move what no rule looks at, which is most of an answer; the number of characters."""
        if self._mode is not _Mode.PROSE:
            return 0
        end = text_end(self._pending, position, self.style)
        if end > position:
            text = self._pending[position:end]
            self._put(pieces, text, text)
        return end - position

    def _step(self, position: int, pieces: list[str], *, final: bool) -> int:
        """Move one token from pending to the answer; the number of characters used, 0 when more must be seen."""
        pending = self._pending
        char = pending[position]
        if char in "`~":
            return self._ticks(position, pieces, final=final)
        if self._mode is not _Mode.PROSE:
            self._put(pieces, char, "\n" if char == "\n" and self._mode is _Mode.INLINE_CODE else "x")
            if self._mode is _Mode.INLINE_CODE and self._mask.endswith("\n\n"):
                self._mode = _Mode.PROSE  # an unclosed backtick ends with its paragraph
            return 1
        if char == "\\":
            if position + 1 == len(pending) and not final:
                return 0
            escaped = pending[position : position + 2]
            self._put(pieces, escaped, "x" * len(escaped) if not escaped.endswith("\n") else "x\n")
            return len(escaped)
        if char == " " or (may_begin(char, self.style) and not (char.isalpha() and self._mask[-1:].isalnum())):
            return self._may_be_marker(position, pieces, final=final)
        self._put(pieces, char, char)
        return 1

    def _ticks(self, position: int, pieces: list[str], *, final: bool) -> int:
        pending = self._pending
        char = pending[position]
        end = position
        while end < len(pending) and pending[end] == char:
            end += 1
        if end == len(pending) and not final:
            return 0
        run = pending[position:end]
        if self._mode is _Mode.FENCE:
            closes = char == self._fence[0] and len(run) >= len(self._fence) and self._at_line_start()
            self._put(pieces, run, "x" * (len(run) - 1) + ("。" if closes else "x"))
            if closes:
                self._mode = _Mode.PROSE
        elif self._mode is _Mode.INLINE_CODE:
            self._put(pieces, run, "x" * len(run))
            if run == self._fence:
                self._mode = _Mode.PROSE
        elif len(run) >= 3 and self._at_line_start():
            self._put(pieces, run, run)
            self._mode, self._fence = _Mode.FENCE, run
        elif char == "`":
            self._put(pieces, run, "x" * len(run))
            self._mode, self._fence = _Mode.INLINE_CODE, run
        else:
            self._put(pieces, run, run)
        return len(run)

    def _may_be_marker(self, position: int, pieces: list[str], *, final: bool) -> int:
        """Spaces and what follows them, as a marker that is left out takes the space before it along."""
        pending = self._pending
        begin = position
        while begin < len(pending) and pending[begin] == " ":
            begin += 1
        spaces = pending[position:begin]
        if begin == len(pending) and not final:
            return 0
        if begin == len(pending) or not may_begin(pending[begin], self.style):
            self._put(pieces, spaces, spaces)
            return len(spaces)
        marker = find_marker(pending, begin, self.style, final=final)
        if marker == "unknown":
            return 0
        if marker is None:
            self._put(pieces, pending[position : begin + 1], pending[position : begin + 1])
            return len(spaces) + 1
        if pending[begin + len(marker.text) :].startswith("("):
            self._put(pieces, spaces + marker.text, spaces + "x" * len(marker.text))
        else:
            self._put_marker(pieces, spaces, marker)
        return len(spaces) + len(marker.text)

    def _put_marker(self, pieces: list[str], spaces: str, marker: Marker) -> None:
        known = [number for number in marker.numbers if 1 <= number <= self.sources]
        if known:
            self._put(pieces, spaces, spaces)
            for number in known:
                self._put_number(pieces, number)
        elif not marker.stands_alone:
            self._put(pieces, spaces + marker.text, spaces + marker.text)
        elif len(marker.numbers) == 1 and not 1 <= marker.numbers[0] <= LARGEST_MARKER:
            literal = f"\\{marker.text}" if marker.is_plain else marker.text
            self._put(pieces, spaces + literal, spaces + "x" * len(literal))

    def _put_number(self, pieces: list[str], number: int) -> None:
        written = f"[{number}]"
        start = self._sentence + len(self._mask)
        self._markers.append((start, start + len(written), number))
        self._put(pieces, written, " " * len(written))

    def _put(self, pieces: list[str], text: str, mask: str) -> None:
        pieces.append(text)
        self._mask += mask

    def _at_line_start(self) -> bool:
        # Inside a fence line breaks are masked; a run as long as the fence's own hardly stands anywhere else.
        line = self._mask.rstrip(" ")
        return self._mode is _Mode.FENCE or not line or line.endswith("\n")

    def _complete_claims(self, *, final: bool) -> Iterator[Claim]:
        while (start := _skip_space(self._mask, 0)) < len(self._mask):
            end, self._searched = sentence_end(self._mask, start, final=final, searched=self._searched)
            if end is None:
                return
            following = _skip_space(self._mask, end)
            if following == len(self._mask) and not final:
                return
            yield from self._claims(start, end, following)
            self._mask = self._mask[following:]
            self._searched = 0
            self._sentence += following

    def _claims(self, start: int, end: int, following: int) -> Iterator[Claim]:
        """The claims of one sentence: text up to a group of markers; the last group takes what follows it as well.

        Positions count in the mask. Markers behind the sentence belong to it, unless a line break stands between.
        """
        end = start + len(self._mask[start:end].rstrip())
        shift = self._sentence
        newline = self.answer.find("\n", shift + end, shift + following)
        reach = newline if newline >= 0 and following < len(self._mask) else shift + following
        taken = [marker for marker in self._markers if marker[0] < reach]
        self._markers = self._markers[len(taken) :]
        groups = self._groups(taken)
        bounds = [group[0][0] - shift for group in groups if start < group[0][0] - shift < end]
        begin = start
        for number, group in enumerate(groups):
            last = number == len(groups) - 1
            stop = end if last else max(begin, bounds[number] if number < len(bounds) else end)
            yield self._claim(begin, stop, taken, tuple(dict.fromkeys(n for _, _, n in group)))
            begin = stop
        if not groups:
            yield self._claim(start, end, [], ())

    def _groups(self, markers: Sequence[tuple[int, int, int]]) -> list[list[tuple[int, int, int]]]:
        """Markers that stand together, in groups; one before any words joins the next."""
        groups: list[list[tuple[int, int, int]]] = []
        said = self._sentence
        for marker in markers:
            between = self.answer[groups[-1][-1][1] if groups else said : marker[0]]
            if groups and (not says_something(between) or not says_something(self.answer[said : groups[-1][0][0]])):
                groups[-1].append(marker)
            else:
                groups.append([marker])
        return groups

    def _claim(self, begin: int, end: int, taken: Sequence[tuple[int, int, int]], numbers: tuple[int, ...]) -> Claim:
        begin += len(self._mask[begin:end]) - len(self._mask[begin:end].lstrip())
        end = begin + len(self._mask[begin:end].rstrip())
        start, stop = self._sentence + begin, self._sentence + end
        words, position = "", start
        for marker_start, marker_end, _ in taken:
            if start <= marker_start < stop:
                words += self.answer[position:marker_start].rstrip(" ")
                position = marker_end
        words += self.answer[position:stop]
        return Claim(start, stop, words.replace("\\[", "[").strip(), numbers)


def escape_brackets(text: str) -> str:
    r"""Write bracketed numbers of a document so that nobody takes them for markers: `[12]` as `\[12]`."""
    return _BRACKETED.sub(r"\\[\1]", text)


def says_something(text: str) -> bool:
    """Whether there is a letter or a digit in the text."""
    return any(char.isalnum() for char in text)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position
