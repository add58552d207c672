"""The plan for pages that were visited: the same steps as for files, compared by content hash."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graph.library import KnownDocument
from ingest.sync import Status, Step, is_read_as

if TYPE_CHECKING:
    from ingest.web.visits import Visit


def plan_pages(visits: "Sequence[Visit]", known: Iterable[KnownDocument], *, prune: bool = False) -> list[Step]:
    """Compare pages with the `known` documents of a collection; `prune` removes those that are gone.

    Gone is what the server itself calls so (404, 410), and what it says has moved for good, where the page there is taken.
    """
    documents = {document.source: document for document in known}
    documents.update({document.path: document for document in documents.values()})
    steps: dict[str, Step] = {}
    for visit in visits:
        steps.setdefault(visit.url, _step(visit, documents.get(visit.url), prune=prune))
    if prune:
        for visit in visits:
            left = documents.get(visit.asked)
            if visit.moved and left is not None and left.id not in {step.document_id for step in steps.values()}:
                steps[visit.asked] = Step(
                    left.source, Path(left.path), "removed", document_id=left.id, moved_to=Path(visit.url)
                )
    return list(steps.values())


def _step(visit: "Visit", known: KnownDocument | None, *, prune: bool) -> Step:
    status, reason, detail = _status(visit, known, prune=prune)
    return Step(
        known.source if known else visit.url,
        Path(visit.url),
        status,
        reason,
        detail,
        chunks=known.chunks if known and status != "removed" else None,
        document_id=known.id if known else None,
        size_bytes=visit.size_bytes,
        fetched=visit.file,
        url=visit.url,
        file_name=visit.name,
    )


def _status(visit: "Visit", known: KnownDocument | None, *, prune: bool) -> tuple[Status, str | None, str]:
    match visit.outcome:
        case "skipped":
            return "skipped", visit.reason, visit.detail
        case "failed":
            return "failed", visit.reason, visit.detail
        case "gone" if prune and known is not None:
            return "removed", None, ""
        case "gone":
            return "failed", visit.reason, visit.detail + ("; --prune removes it" if known else "")
    if known is not None:
        if is_read_as(known, visit.sha256):
            return "unchanged", None, ""
        if visit.outcome == "read":
            return "changed", None, ""
    elif visit.outcome == "read":
        return "added", None, ""
    return "failed", "changed-meanwhile", "another process has replaced or removed it meanwhile; run this again"
