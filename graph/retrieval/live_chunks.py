"""The chunks that searches of one view have read, kept while they are what the library would say."""

from collections.abc import Iterable, Mapping

from graph.library import Library, LiveChunk

KEPT = 8192
"""Chunks kept, some 1.5 KB each, before it begins anew."""


class LiveChunks:
    """The chunks that were live in one generation of a library. Calls block; threads may share one object.

    A search reads more than a hundred, which takes as long as all else that it does with them.
    """

    def __init__(self, library: Library, generation: int) -> None:
        self._library = library
        self._generation = generation
        self._known: dict[str, LiveChunk | None] = {}

    def read(self, ids: Iterable[str], where: Mapping[str, list[str]] | None = None) -> dict[str, LiveChunk]:
        """Those of the chunks that were live and whose document has the metadata `where`, by id.

        What was published since may have erased a text, so nothing that is known is believed from then on.
        """
        if where or self._library.generation() != self._generation:
            return self._library.live_chunks(ids, where, generation=self._generation)
        if len(self._known) > KEPT:
            self._known = {}
        wanted, known = list(ids), self._known
        unknown = [chunk_id for chunk_id in wanted if chunk_id not in known]
        if unknown:
            live = self._library.live_chunks(unknown, generation=self._generation)
            known.update((chunk_id, live.get(chunk_id)) for chunk_id in unknown)
        return {chunk_id: chunk for chunk_id in wanted if (chunk := known[chunk_id]) is not None}
