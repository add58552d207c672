"""From ranked chunks to the passages of an answer: hits that stand side by side become one passage."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Protocol

from graph.library import LiveChunk, parse_source_id
from graph.retrieval.ranking import GAP_CHARS, are_neighbours
from graph.retrieval.tokenizer import count_tokens
from graph.state.evidence import Passage

ROOM_TOKENS = (280, 180, 140)
"""Most tokens of the first passage, the second, and the others: the better one ranks, the more its surroundings help.
Whole answers of SQuAD 2.0 are then in the first 500 tokens for .951 of the questions, .938 with 240 for each."""
LAST_ROOM_TOKENS = 300
"""Room of the passages after these, which is filled with what stands around them: a net for what ranks low."""
HITS_BEYOND_K = 8
"""Ranks after the k-th that may still join a passage."""


class Surroundings(Protocol):
    """What knows the text around a passage."""

    def surroundings(self, source_ids: Iterable[str]) -> Mapping[str, Sequence[tuple[int, int]]]:
        """The chunks of the section and page of each slice."""
        ...

    def passages(self, source_ids: Iterable[str]) -> Mapping[str, str]:
        """Source ids -> their text."""
        ...


ReadTexts = Callable[[Iterable[str]], Mapping[str, str]]
"""Source ids -> their text; ids whose text is gone are left out."""


@dataclass
class _Stretch:
    """Neighbouring chunks of one section and page, in their order in the document."""

    chunks: list[LiveChunk]
    score: float
    room_tokens: int

    def takes(self, chunk: LiveChunk) -> bool:
        """Whether the chunk stands right before or after these, and there is room for it."""
        first, last = self.chunks[0], self.chunks[-1]
        if _place(first) != _place(chunk) or not (are_neighbours(last, chunk) or are_neighbours(chunk, first)):
            return False
        return count_tokens(_joined(sorted([*self.chunks, chunk], key=_start))) <= self.room_tokens

    def add(self, chunk: LiveChunk) -> None:
        self.chunks = sorted([*self.chunks, chunk], key=_start)

    @property
    def id(self) -> str:
        """The source id of the whole stretch."""
        first, last = self.chunks[0], self.chunks[-1]
        version, _, _ = parse_source_id(first.id)
        return f"{version}.{first.start}-{last.end}"


def to_passages(hits: Sequence[tuple[LiveChunk, float]], k: int, read_texts: ReadTexts) -> list[Passage]:
    """The best `k` passages of `hits` (chunk, score; best first).

    What answers a question often runs on into the next chunk, which ranks a little lower. A hit among the first
    k + 8 whose neighbour is already a passage joins it, so that it takes no place of its own.
    """
    stretches: list[_Stretch] = []
    for rank, (chunk, score) in enumerate(hits):
        if len(stretches) == k and rank >= k + HITS_BEYOND_K:
            break
        neighbour = next((stretch for stretch in stretches if stretch.takes(chunk)), None)
        if neighbour is not None:
            neighbour.add(chunk)
        elif len(stretches) < k:
            room = ROOM_TOKENS[min(len(stretches), len(ROOM_TOKENS) - 1)]
            stretches.append(_Stretch([chunk], score, room))
    texts = read_texts([stretch.id for stretch in stretches if len(stretch.chunks) > 1])
    # A pair without a text belongs to a document that was removed a moment ago.
    there = [stretch for stretch in stretches if len(stretch.chunks) == 1 or stretch.id in texts]
    return [_passage(index, stretch, texts) for index, stretch in enumerate(there, start=1)]


def widen(passages: Sequence[Passage], library: Surroundings, room_tokens: int) -> list[Passage]:
    """Each passage with what stands around it in its section and page, up to `room_tokens`.

    The later ones are widened in any case. A passage does not grow into another one, so that nothing is read twice.
    """
    rooms = [max(room_tokens, LAST_ROOM_TOKENS if number >= len(ROOM_TOKENS) else 0) for number in range(len(passages))]
    around = library.surroundings([passage["id"] for passage, room in zip(passages, rooms, strict=True) if room])
    taken = [(parse_source_id(passage["id"])[0], passage["start"], passage["end"]) for passage in passages]
    ids: dict[int, str] = {}
    for number, (passage, room) in enumerate(zip(passages, rooms, strict=True)):
        if not room:
            continue
        version, start, end = taken[number]
        others = [(s, e) for v, s, e in taken[:number] + taken[number + 1 :] if v == version]
        wide = _widened((start, end), around[passage["id"]], others, partial(_tokens, library, version), room)
        if wide != (start, end):
            taken[number] = (version, *wide)
            ids[number] = f"{version}.{wide[0]}-{wide[1]}"
    texts = library.passages(ids.values())
    return [
        {**passage, "id": ids[n], "text": texts[ids[n]], "start": taken[n][1], "end": taken[n][2]}
        if n in ids and ids[n] in texts
        else passage
        for n, passage in enumerate(passages)
    ]


def _tokens(library: Surroundings, version: str, start: int, end: int) -> int:
    source_id = f"{version}.{start}-{end}"
    return count_tokens(library.passages([source_id]).get(source_id, ""))


def _widened(
    here: tuple[int, int],
    chunks: Sequence[tuple[int, int]],
    others: Sequence[tuple[int, int]],
    tokens: Callable[[int, int], int],
    room_tokens: int,
) -> tuple[int, int]:
    """The range with whole chunks after and before it, in turns."""
    start, end = here
    grows = {"after": True, "before": True}
    while any(grows.values()):
        for side in ("after", "before"):
            if not grows[side]:
                continue
            if side == "after":
                wider = next(((start, e) for s, e in chunks if s > start and e > end and s - end <= GAP_CHARS), None)
            else:
                wider = next(((s, end) for s, e in reversed(chunks) if s < start and start - e <= GAP_CHARS), None)
            free = wider and not any(s < wider[1] and e > wider[0] and not (s < end and e > start) for s, e in others)
            if wider is None or not free or tokens(*wider) > room_tokens:
                grows[side] = False
            else:
                start, end = wider
    return start, end


def _start(chunk: LiveChunk) -> int:
    return chunk.start


def _joined(chunks: Sequence[LiveChunk]) -> str:
    """The text of neighbours as far as tokens are concerned: white space between them counts for nothing."""
    parts = [
        before.text[: max(0, after.start - before.start)] if after.start < before.end else f"{before.text} "
        for before, after in pairwise(chunks)
    ]
    return "".join(parts) + chunks[-1].text


def _place(chunk: LiveChunk) -> tuple[str, int | None, str]:
    version, _, _ = parse_source_id(chunk.id)
    return version, chunk.page, chunk.heading


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
