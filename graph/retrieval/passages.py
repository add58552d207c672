"""From ranked chunks to the passages of an answer: hits that stand side by side become one passage."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from graph.library import LiveChunk, Section, parse_source_id
from graph.retrieval.ranking import GAP_CHARS, are_neighbours
from graph.retrieval.tokenizer import count_tokens
from graph.retrieval.wording import pairs_of
from graph.sentences import LEADS_ON
from graph.state.evidence import Passage

ROOM_TOKENS = (280, 200, 140)
"""Most tokens of the first passage, the second, and the others: the better one ranks, the more its surroundings help.
Whole answers of SQuAD 2.0 are then in the first 500 tokens for .948 of the questions, .938 with 240 for each."""
LAST_ROOM_TOKENS = 300
"""Room of the passages after these, which is filled with what stands around them: a net for what ranks low.
Also that of a passage that ends with a colon, so that what it leads to is there."""
HITS_BEYOND_K = 20
"""Ranks after the k-th that may still join a passage."""
SAME = 0.9
"""Of the word pairs of two chunks, the least share in both that makes one a copy of the other."""

ReadTexts = Callable[[Iterable[str]], Mapping[str, str]]
"""Source ids -> their text; ids whose text is gone are left out."""
ReadSections = Callable[[Iterable[str]], Mapping[str, Section]]
"""Source ids -> what stands around them; ids whose text is gone are left out."""


@dataclass
class _Stretch:
    """Neighbouring chunks of one section and page, in their order in the document."""

    place: tuple[str, int | None, str]
    chunks: list[LiveChunk]
    score: float
    room_tokens: int

    def takes(self, chunk: LiveChunk) -> bool:
        """Whether the chunk, of the same place, stands right before or after these, and there is room for it."""
        first, last = self.chunks[0], self.chunks[-1]
        if not (are_neighbours(last, chunk) or are_neighbours(chunk, first)):
            return False
        return _tokens(_joined(sorted([*self.chunks, chunk], key=_start))) <= self.room_tokens

    def has(self, chunk: LiveChunk) -> bool:
        """Whether these say the same as a chunk out of another document."""
        if chunk.version == self.chunks[0].version:
            return False
        return any(_is_copy(chunk.text, own.text) for own in self.chunks)

    def add(self, chunk: LiveChunk) -> None:
        self.chunks = sorted([*self.chunks, chunk], key=_start)

    @property
    def id(self) -> str:
        """The source id of the whole stretch."""
        first, last = self.chunks[0], self.chunks[-1]
        return f"{first.version}.{first.start}-{last.end}"


def to_passages(hits: Sequence[tuple[LiveChunk, float]], k: int, read_texts: ReadTexts) -> list[Passage]:
    """The best `k` passages of `hits` (chunk, score; best first).

    What answers a question often runs on into the next chunk, which ranks a little lower. A hit among the first
    k + 20 whose neighbour is already a passage joins it, so that it takes no place of its own. Nor does one that
    repeats what a passage has, as where a manual is there as a web page and as a PDF.
    """
    stretches: list[_Stretch] = []
    for rank, (chunk, score) in enumerate(hits):
        if len(stretches) == k and rank >= k + HITS_BEYOND_K:
            break
        place = _place(chunk)
        neighbour = next((stretch for stretch in stretches if stretch.place == place and stretch.takes(chunk)), None)
        if neighbour is not None:
            neighbour.add(chunk)
        elif len(stretches) < k and not any(stretch.has(chunk) for stretch in stretches):
            room = ROOM_TOKENS[min(len(stretches), len(ROOM_TOKENS) - 1)]
            stretches.append(_Stretch(place, [chunk], score, room))
    texts = read_texts([stretch.id for stretch in stretches if len(stretch.chunks) > 1])
    # A pair without a text belongs to a document that was removed a moment ago.
    there = [stretch for stretch in stretches if len(stretch.chunks) == 1 or stretch.id in texts]
    return [_passage(index, stretch, texts) for index, stretch in enumerate(there, start=1)]


def widen(passages: Sequence[Passage], read_sections: ReadSections, room_tokens: int) -> list[Passage]:
    """Each passage with what stands around it in its section and page, up to `room_tokens`.

    The later ones, and those that lead to what comes next, are widened in any case. A passage does not grow into
    another one, so that nothing is read twice.
    """
    rooms = {}
    for number, passage in enumerate(passages):
        wants = number >= len(ROOM_TOKENS) or passage["text"].endswith(LEADS_ON)
        rooms[passage["id"]] = max(room_tokens, LAST_ROOM_TOKENS if wants else 0)
    sections = read_sections([source_id for source_id, room in rooms.items() if room])
    wide: list[Passage] = []
    for number, passage in enumerate(passages):
        section = sections.get(passage["id"])
        if section is None:
            wide.append(passage)
            continue
        others = [other for other in (*wide, *passages[number + 1 :]) if _version(other) == _version(passage)]
        start, end = _widened(passage, section, others, rooms[passage["id"]])
        source_id = f"{_version(passage)}.{start}-{end}"
        wide.append({**passage, "id": source_id, "text": section.slice(start, end), "start": start, "end": end})
    return wide


def _widened(passage: Passage, section: Section, others: Sequence[Passage], room_tokens: int) -> tuple[int, int]:
    """The passage's range with whole chunks after and before it, in turns, as far as its room goes."""
    start, end = passage["start"], passage["end"]
    growing = [_after, _before]
    while growing:
        for grow in list(growing):
            wider = grow(section.chunks, start, end)
            if (
                wider is None
                or any(_meets(other, (wider[0], start)) or _meets(other, (end, wider[1])) for other in others)
                or _tokens(section.slice(*wider)) > room_tokens
            ):
                growing.remove(grow)
            else:
                start, end = wider
    return start, end


@lru_cache(2048)
def _tokens(text: str) -> int:
    """Tokens of what may become a passage; the same passages come up again and again."""
    return count_tokens(text)


def _after(chunks: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int] | None:
    return next(((start, e) for s, e in chunks if s > start and e > end and s - end <= GAP_CHARS), None)


def _before(chunks: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int] | None:
    return next(((s, end) for s, e in reversed(chunks) if s < start and start - e <= GAP_CHARS), None)


def _meets(passage: Passage, span: tuple[int, int]) -> bool:
    return max(passage["start"], span[0]) < min(passage["end"], span[1])


def _version(passage: Passage) -> str:
    return parse_source_id(passage["id"])[0]


def _start(chunk: LiveChunk) -> int:
    return chunk.start


def _joined(chunks: Sequence[LiveChunk]) -> str:
    """The text of neighbours as far as tokens are concerned: white space between them counts for nothing."""
    parts = [
        before.text[: max(0, after.start - before.start)] if after.start < before.end else f"{before.text} "
        for before, after in pairwise(chunks)
    ]
    return "".join(parts) + chunks[-1].text


def _is_copy(text: str, other: str) -> bool:
    """Whether two texts have nearly all their word pairs in common; texts without any are compared as they are."""
    pairs, others = pairs_of(text), pairs_of(other)
    return len(pairs & others) >= SAME * len(pairs | others) if pairs or others else text == other


def _place(chunk: LiveChunk) -> tuple[str, int | None, str]:
    return chunk.version, chunk.page, chunk.heading


def _passage(index: int, stretch: _Stretch, texts: Mapping[str, str]) -> Passage:
    first, last = stretch.chunks[0], stretch.chunks[-1]
    passage: Passage = {
        "index": index,
        "id": stretch.id,
        "text": texts.get(stretch.id, first.text),
        "score": round(stretch.score, 4),
        "document": first.document,
        "source": first.source,
        "title": first.title,
        "start": first.start,
        "end": last.end,
        "doc_sha256": first.doc_sha256,
    }
    if first.page is not None:
        passage["page"] = first.page
    if first.heading:
        passage["heading"] = first.heading
    return passage
