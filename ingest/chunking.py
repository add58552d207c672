"""Chunks: what the index stores, cut so that a citation can name them.

Sentences are packed up to what the embedding reads at once. A chunk is an exact slice of the canonical text: it
stays within a section and a page, and begins and ends without white space.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import regex  # type: ignore[import-untyped]  # ships no types

from graph.library import Block, Chunk, NewVersion
from graph.retrieval.tokenizer import count_tokens, token_starts
from graph.sentences import sentence_spans
from ingest.loaders import Loaded

MAX_TOKENS: Final = 128
"""Word pieces in a chunk: small, as neighbours that were found become one passage (graph/retrieval/passages.py)."""
MAX_CHARS: Final = 1600
"""Characters in a chunk: text without spaces is few word pieces, however long it is."""
CHUNKER: Final = f"sentences-{MAX_TOKENS}/1"
"""What a collection remembers about how it was cut. The number behind the slash counts changes of the rules."""

# A heading larger than this does not claim a place in the chunk of the text below it.
LEAD_TOKENS = MAX_TOKENS // 2
LEAD_CHARS = MAX_CHARS // 2
WINDOW_CHARS = 50_000
"""How much is tokenised at once, which bounds memory."""

# Where a text that is too long is cut, best first: behind a line, a clause, a word.
CUTS = (
    regex.compile(r"[\n\r]"),
    regex.compile(r"[,;:](?=\s)|[，、；：]"),
    regex.compile(r"[ \t\n\r\p{Z}]"),
)
LINE = regex.compile(r"\S(?:[^\n\r]*\S)?")
GRAPHEME = regex.compile(r"\X")
# The tokenizer begins a new word piece at each of these, so a cut beside one leaves the counts as they were.
WORD_EDGE = regex.compile(r"[ \t\n\r\p{Z}\p{P}$+<=>^`|~\u4e00-\u9fff]")


@dataclass(frozen=True)
class Unit:
    """What is not cut again: a sentence, a line of code, a row, a block of code, or a part of a longer one.

    `repeats` allows it to begin the next chunk too. After a cut inside a word its tokens are only known in a
    chunk that ends with it and begins at `counted_from`.
    """

    start: int
    end: int
    repeats: bool = False
    counted_from: int | None = None


def chunk(loaded: Loaded) -> list[Chunk]:
    """Cut a document into chunks whose starts increase strictly, and that cover every block.

    Time grows with the length of the text, whatever its shape.
    """
    return [found for section in _sections(loaded) for found in _cut(loaded.text, section)]


def chunk_again(version: NewVersion) -> list[Chunk]:
    """The chunks that a document of the library would have if it were taken in now."""
    blocks = tuple(version.blocks) or tuple(_blocks_of(version.chunks))
    return chunk(Loaded(version.text, version.title, version.lang, version.format, blocks))  # type: ignore[arg-type]  # a Format


def _blocks_of(chunks: Iterable[Chunk]) -> Iterator[Block]:
    """What is known of the structure of a text whose blocks were not kept: its chunks, without what two share."""
    end = 0
    for part in chunks:
        if part.end > end:
            yield Block(max(part.start, end), part.end, "paragraph", tuple(part.heading.split(" > ")), part.page)
            end = part.end


def _sections(loaded: Loaded) -> Iterator[list[Block]]:
    """Blocks that may share a chunk: a heading begins a new section, and so does a page.

    Headings with nothing between them go with the text below, as long as each is deeper than the one before.
    """
    section: list[Block] = []
    for block in loaded.blocks:
        if section and not _continues(section[-1], block):
            yield section
            section = []
        section.append(block)
    if section:
        yield section


def _continues(before: Block, block: Block) -> bool:
    if block.page != before.page:
        return False
    if block.kind == "heading":
        return before.kind == "heading" and len(block.heading) > len(before.heading)
    # A place such as `rows 2-9` may stand behind the heading.
    return block.heading == before.heading or (before.kind == "heading" and block.heading[:-1] == before.heading)


def _cut(text: str, section: list[Block]) -> Iterator[Chunk]:
    tokens = TokenCount(text, section[0].start, section[-1].end)
    last = section[-1]
    for start, end in _pack(_units(text, section, tokens), tokens):
        # Code may begin with an indented line.
        yield Chunk(_visible(text, start, end), _trimmed(text, start, end), last.page, " > ".join(last.heading))


class TokenCount:
    """Counts word pieces between two places of a stretch of text, which is tokenised once."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self._starts: list[int] = []
        while start < end:
            stop = _window_end(text, start, end)
            self._starts += [start + begin for begin in token_starts(text[start:stop])]
            start = stop

    def between(self, start: int, end: int) -> int:
        """Word pieces that begin in `start`-`end`."""
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)

    def limit(self, start: int, end: int) -> int:
        """Where a chunk from `start` has to end at the latest, at most `end`."""
        index = bisect_left(self._starts, start) + MAX_TOKENS
        reach = self._starts[index] if index < len(self._starts) else end
        return min(reach, start + MAX_CHARS, end)

    def fits(self, start: int, end: int) -> bool:
        """Whether a chunk may be that large."""
        return self.limit(start, end) == end


def _window_end(text: str, start: int, end: int) -> int:
    """End of what is tokenised at once: behind white space where there is some, for every word ends there."""
    stop = min(start + WINDOW_CHARS, end)
    return stop if stop == end else _last_cut(text, stop - MAX_CHARS, stop, CUTS[2]) or stop


def _units(text: str, section: list[Block], tokens: TokenCount) -> Iterator[Unit]:
    """The units of a section; the first one below a heading is made to fit into one chunk with it."""
    lead: int | None = None
    for block in section:
        lead = block.start if lead is None or not _may_lead(lead, block.start, tokens) else lead
        if block.kind == "heading" and _may_lead(lead, block.end, tokens):
            yield Unit(block.start, block.end)
        else:
            yield from _block_units(text, block, lead, tokens)
            lead = None


def _may_lead(start: int, end: int, tokens: TokenCount) -> bool:
    return end - start <= LEAD_CHARS and tokens.between(start, end) <= LEAD_TOKENS


def _block_units(text: str, block: Block, lead: int, tokens: TokenCount) -> Iterator[Unit]:
    whole = block.kind in ("code", "table")
    if whole and tokens.fits(lead, block.end):
        yield Unit(block.start, block.end)
        return
    spans = _line_spans if whole else sentence_spans
    # A copy of the block keeps the time linear: slices of the whole text would be made for every block.
    for begin, finish in spans(text[block.start : block.end]):
        start, end = block.start + begin, block.start + finish
        if tokens.fits(lead, end):
            yield Unit(start, end, repeats=not whole)
        else:
            yield from _parts(text, start, end, lead, tokens)
        lead = _visible(text, end, block.end)


def _line_spans(text: str) -> list[tuple[int, int]]:
    return [(line.start(), line.end()) for line in LINE.finditer(text)]


def _parts(text: str, start: int, end: int, lead: int, tokens: TokenCount) -> Iterator[Unit]:
    """Cut what is too long for a chunk that begins at `lead`."""
    inside = False  # a word
    while start < end:
        stop = _stop(text, start, tokens.limit(lead, end), end)
        inside = inside or not (stop == end or _is_word_edge(text, stop))
        if inside:
            stop = _shrunk(text, lead, start, stop)
        yield Unit(start, _trimmed(text, start, stop), counted_from=lead if inside else None)
        inside = stop < end and not _is_word_edge(text, stop)
        start = lead = _visible(text, stop, end)


def _stop(text: str, start: int, limit: int, end: int) -> int:
    """The best place for a cut in the later half of `start`-`limit`."""
    if limit == end:
        return end
    middle = start + (limit - start) // 2
    for pattern in CUTS:
        if cut := _last_cut(text, middle, limit, pattern):
            return cut
    return _grapheme_end(text, start, limit)


def _last_cut(text: str, start: int, end: int, pattern: regex.Pattern[str]) -> int | None:
    ends = [found.end() for found in pattern.finditer(text, start, end)]
    return ends[-1] if ends else None


def _grapheme_end(text: str, start: int, limit: int) -> int:
    """End of the last whole grapheme cluster before `limit`; a cluster that is larger itself is cut."""
    stop = start
    for found in GRAPHEME.finditer(text, start, min(limit + 1, len(text))):
        if found.end() > limit:
            break
        stop = found.end()
    return stop if stop > start else limit


def _shrunk(text: str, lead: int, start: int, stop: int) -> int:
    """Move a cut inside a word towards the start until the tokens, counted anew, are few enough."""
    while stop > start + 1 and count_tokens(text[lead:stop]) > MAX_TOKENS:
        stop = _grapheme_end(text, start, start + (stop - start) // 2)
    return stop


def _is_word_edge(text: str, position: int) -> bool:
    return bool(WORD_EDGE.match(text[position - 1]) or WORD_EDGE.match(text[position]))


def _visible(text: str, start: int, end: int) -> int:
    """The first place in `start`-`end` that is no white space."""
    while start < end and text[start].isspace():
        start += 1
    return start


def _trimmed(text: str, start: int, end: int) -> int:
    while end > start and text[end - 1].isspace():
        end -= 1
    return end


def _pack(units: Iterator[Unit], tokens: TokenCount) -> Iterator[tuple[int, int]]:
    """Join units as long as they fit; a chunk begins with the last sentence of the one before where that fits."""
    packed: list[Unit] = []
    for unit in units:
        if packed and not _joins(packed, unit, tokens):
            yield packed[0].start, packed[-1].end
            last = packed[-1]
            packed = [last] if len(packed) > 1 and last.repeats and _joins([last], unit, tokens) else []
        packed.append(unit)
    if packed:
        yield packed[0].start, packed[-1].end


def _joins(packed: list[Unit], unit: Unit, tokens: TokenCount) -> bool:
    if packed[-1].counted_from is not None:
        return False
    if unit.counted_from is not None:
        return unit.counted_from == packed[0].start
    return tokens.fits(packed[0].start, unit.end)
