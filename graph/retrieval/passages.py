"""From ranked chunks to the passages of an answer: hits that stand side by side become one passage."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from graph.library import LiveChunk, parse_source_id
from graph.state.evidence import Passage

MAX_CHUNKS = 2
"""Chunks in a passage. With three the answer is no more often among the first 1,000 tokens (bench/README.md)."""
HITS_BEYOND_K = 3
"""Ranks after the k-th that may still join a passage."""
GAP_CHARS = 2
"""Most characters, white space between sentences, from the end of a chunk to the start of its neighbour."""

ReadTexts = Callable[[Iterable[str]], Mapping[str, str]]
"""Source ids -> their text; ids whose text is gone are left out."""


@dataclass
class _Stretch:
    """Neighbouring chunks of one section and page, in their order in the document."""

    chunks: list[LiveChunk]
    score: float

    def takes(self, chunk: LiveChunk) -> bool:
        """Whether the chunk stands right before or after these, and there is room for it."""
        if len(self.chunks) >= MAX_CHUNKS or _place(self.chunks[0]) != _place(chunk):
            return False
        first, last = self.chunks[0], self.chunks[-1]
        follows = chunk.start > last.start and chunk.start - last.end <= GAP_CHARS
        leads = chunk.start < first.start and first.start - chunk.end <= GAP_CHARS
        return follows or leads

    def add(self, chunk: LiveChunk) -> None:
        self.chunks = sorted([*self.chunks, chunk], key=lambda c: c.start)

    @property
    def id(self) -> str:
        """The source id of the whole stretch."""
        first, last = self.chunks[0], self.chunks[-1]
        version, _, _ = parse_source_id(first.id)
        return f"{version}.{first.start}-{last.end}"


def to_passages(hits: Sequence[tuple[LiveChunk, float]], k: int, read_texts: ReadTexts) -> list[Passage]:
    """The best `k` passages of `hits` (chunk, score; best first).

    What answers a question often runs on into the next chunk, which ranks a little lower. A hit among the first
    k + 3 whose neighbour is already a passage joins it, so that it takes no place of its own.
    """
    stretches: list[_Stretch] = []
    for rank, (chunk, score) in enumerate(hits):
        if len(stretches) == k and rank >= k + HITS_BEYOND_K:
            break
        neighbour = next((stretch for stretch in stretches if stretch.takes(chunk)), None)
        if neighbour is not None:
            neighbour.add(chunk)
        elif len(stretches) < k:
            stretches.append(_Stretch([chunk], score))
    texts = read_texts([stretch.id for stretch in stretches if len(stretch.chunks) > 1])
    # A pair without a text belongs to a document that was removed a moment ago.
    there = [stretch for stretch in stretches if len(stretch.chunks) == 1 or stretch.id in texts]
    return [_passage(index, stretch, texts) for index, stretch in enumerate(there, start=1)]


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
