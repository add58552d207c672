"""The chunks that searches come upon: read once, and looked up anew only in whether they are live."""

from collections.abc import Iterable, Mapping

from graph.library import Library, LiveChunk

KEPT = 8192
"""Chunks kept, some 1.5 KB each, before it begins anew."""


class LiveChunks:
    """The chunks of a library by id. Calls block; threads may share one object.

    A search comes upon more than a hundred, and to read them takes as long as all else that it does with them. What an
    id stands for never changes; whether it is live does with each publication.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._known: dict[str, LiveChunk] = {}
        self._live: tuple[int, dict[str, bool]] = (-1, {})
        """A generation, and whether versions were live in it."""

    def read(
        self, ids: Iterable[str], generation: int, where: Mapping[str, list[str]] | None = None
    ) -> dict[str, LiveChunk]:
        """Those of the chunks that were live in a generation and whose document has the metadata `where`, by id.

        No text is given that was erased since.
        """
        if where:
            return self._library.live_chunks(ids, where, generation=generation)
        if len(self._known) > KEPT:
            self._known = {}
        known = self._known
        versions = {chunk_id: chunk_id.rpartition(".")[0] for chunk_id in ids}
        live = self._live_versions(set(versions.values()), generation)
        for chunk_id, version in versions.items():
            if version not in live:
                known.pop(chunk_id, None)
        wanted = [chunk_id for chunk_id, version in versions.items() if version in live]
        if unknown := [chunk_id for chunk_id in wanted if chunk_id not in known]:
            known.update(self._library.live_chunks(unknown, generation=generation))
        return {chunk_id: chunk for chunk_id in wanted if (chunk := known.get(chunk_id))}

    def _live_versions(self, versions: set[str], generation: int) -> set[str]:
        """Those of the versions that were live; from memory while that generation is the library's."""
        if self._library.generation() != generation:
            return self._library.live_versions(versions, generation)
        held, states = self._live
        if held != generation or len(states) > KEPT:
            states = {}
            self._live = (generation, states)
        if new := versions - states.keys():
            live = self._library.live_versions(new, generation)
            states.update((version, version in live) for version in new)
        return {version for version in versions if states[version]}
