"""The report of a run: lines for programs, a summary for people, and the exit code."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from ingest.command import EXIT_ALL_FAILED, EXIT_NOTHING_TO_READ, EXIT_SOME_FAILED
from ingest.sync import Status, Step
from ingest.terminal import shown

NAMED = 3
"""Empty files that are named."""


def step_line(step: Step) -> dict[str, Any]:
    """What became of a file, for programs."""
    line: dict[str, Any] = {"path": step.source, "status": step.status}
    if step.reason is not None:
        line["reason"] = step.reason
    if step.chunks is not None:
        line["chunks"] = step.chunks
    return line


def trouble_line(step: Step) -> str | None:
    """Why a file failed or was passed over, for people; None where it was not, or where `skipped_lines` tell of it."""
    if step.status not in ("failed", "skipped") or step.reason in ("empty", "unsupported"):
        return None
    kept = f"; the version indexed before stays ({step.chunks} chunks)" if step.chunks else ""
    return f"  {step.status}: {shown(step.source)}: {step.reason}: {step.detail}{kept}"


def counts_of(steps: Sequence[Step]) -> dict[str, int]:
    """Files by what happened to them, and the chunks that were written."""
    by_status = Counter(step.status for step in steps)
    counts = {str(status): by_status[status] for status in get_args(Status)}
    return {**counts, "chunks": sum(step.chunks or 0 for step in steps if step.status in ("added", "changed"))}


def exit_code(steps: Sequence[Step]) -> int:
    """How a run that came to its end leaves.

    That nothing has changed, or that files are gone, is as good as any other outcome: scripts run again and again.
    """
    counts = counts_of(steps)
    good = counts["added"] + counts["changed"] + counts["unchanged"]
    if counts["failed"]:
        return EXIT_SOME_FAILED if good else EXIT_ALL_FAILED
    return 0 if good or counts["removed"] else EXIT_NOTHING_TO_READ


def summary(steps: Sequence[Step], seconds: float, *, dry_run: bool) -> list[str]:
    """What a run came to; of a trial also what would be done with each file."""
    counts = counts_of(steps)
    chunks = counts.pop("chunks")
    told = ", ".join(f"{count:,} {status}" for status, count in counts.items() if count) or "no files"
    if dry_run:
        return [f"would be: {told}", *(f"  {step.status}: {shown(step.source)}" for step in steps if step.is_work)]
    rate = f" ({chunks / seconds:,.0f}/s)" if chunks and seconds >= 1 else ""
    return [f"{told}; {chunks:,} chunks written in {seconds:.1f} s{rate}"]


def skipped_lines(steps: Sequence[Step]) -> list[str]:
    """What there was nothing to be read in, by why."""
    lines = []
    empty = [shown(step.source) for step in steps if step.status == "skipped" and step.reason == "empty"]
    if empty:
        more = f" and {len(empty) - NAMED:,} more" if len(empty) > NAMED else ""
        lines.append(f"  skipped, as there is no text in it: {', '.join(empty[:NAMED])}{more}")
    unsupported = Counter(
        Path(step.source).suffix.lower() or "no extension" for step in steps if step.reason == "unsupported"
    )
    if unsupported:
        listed = ", ".join(f"{count:,} × {shown(suffix)}" for suffix, count in unsupported.most_common())
        lines.append(f"  skipped for want of a loader: {listed}")
    return lines
