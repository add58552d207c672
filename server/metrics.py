"""What an operator watches, for Prometheus. Several processes add up where PROMETHEUS_MULTIPROC_DIR names a folder."""

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client import REGISTRY as OF_THIS_PROCESS

MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"

ACTIVE_RUNS = Gauge("citestream_active_runs", "Runs that have not ended.", multiprocess_mode="livesum")
ACTIVE_READERS = Gauge("citestream_active_readers", "Connections that read a run.", multiprocess_mode="livesum")
LEAKED_RUNS = Gauge(
    "citestream_leaked_runs", "Runs that ended while their task would not.", multiprocess_mode="livesum"
)
DROPPED_READERS = Counter("citestream_dropped_readers", "Connections that read too slowly and were closed.")
ENDED_RUNS = Counter("citestream_ended_runs", "Runs that ended, by their status.", ["status"])
FEEDBACK = Counter(
    "citestream_feedback", "Scores given to answers; one that is changed counts again, one taken back stays.", ["score"]
)
CANCEL_SECONDS = Histogram(
    "citestream_cancel_seconds",
    "From asking a run to stop until its task has ended.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10),
)
UNSAVED_TURNS = Gauge(
    "citestream_unsaved_turns", "Ended turns that wait for the database.", multiprocess_mode="livesum"
)


def render() -> tuple[bytes, str]:
    """All metrics in Prometheus's text format, and its media type."""
    registry = OF_THIS_PROCESS
    if MULTIPROCESS_DIR in os.environ:  # noqa: TID251  # prometheus_client reads it itself; it is no setting
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST


def forget_process(pid: int, folder: str) -> None:
    """Take what a dead process counted as active out of the sums."""
    multiprocess.mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
