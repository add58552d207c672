"""Progress: a line that moves on a terminal, errors above it, and nothing at all elsewhere but the errors."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ingest.sync import Step
from ingest.tally import Standing, Tally
from ingest.terminal import shown

REFRESHES = 4
"""A second."""
BAR_CHARS = 30
MEGABYTE = 2**20


class Progress:
    """What a person sees of a run on stderr. A context manager; a Watcher of the steps (ingest/sync.py).

    It draws where stderr is a terminal, unless the results go to the same terminal.
    """

    def __init__(self, *, results_on_stdout: bool = False) -> None:
        self._lock = threading.Lock()
        self._tally: Tally | None = None
        self._ready: Callable[[], int] | None = None
        self._doing = ""
        self._is_embedding = False
        self._asked_for = self._looked_at = self._looked_bytes = 0
        self._console = Console(stderr=True)
        on_terminal = sys.stderr.isatty() and not self._console.is_dumb_terminal
        self._live: Live | None = None
        if on_terminal and not (results_on_stdout and sys.stdout.isatty()):
            # Results must not be drawn: rich would send them to stderr.
            self._live = Live(
                get_renderable=self._draw,
                console=self._console,
                refresh_per_second=REFRESHES,
                transient=True,
                redirect_stdout=False,
            )

    @property
    def is_drawn(self) -> bool:
        """Whether a person is looking."""
        return self._live is not None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start(refresh=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, plan: Sequence[Step], ready: Callable[[], int] | None = None) -> None:
        """Show how far a plan is; `ready` says how many chunks have their vectors, without it all that were read do."""
        with self._lock:
            self._tally, self._ready = Tally(plan), ready

    def say(self, line: str) -> None:
        """A line for a person, above what moves."""
        if self._live is not None:
            self._console.print(Text(line), soft_wrap=True)
        else:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    def doing(self, what: str) -> None:
        """Show what goes on meanwhile."""
        with self._lock:
            self._doing, self._is_embedding = what, False

    def asking(self, address: str) -> None:
        """Show the page of the web that is asked for."""
        with self._lock:
            self._asked_for += 1
            self._doing = f"page {self._asked_for:,}: {shown(address)}"

    def looked(self, step: Step) -> None:
        """Count a file that was compared."""
        with self._lock:
            self._looked_at += 1
            self._looked_bytes += step.size_bytes
            size = f"{self._looked_bytes / MEGABYTE:,.0f} MB"
            self._doing = f"looking at files: {self._looked_at:,}, {size}  {shown(step.source)}"

    def reading(self, step: Step) -> None:
        """Show the file that is waited for."""
        self.doing(f"reading {shown(step.source)}")

    def storing(self, step: Step, chunks: int) -> None:
        """Count a file's chunks."""
        with self._lock:
            self._is_embedding = True
            if self._tally is not None:
                self._tally.stored(step, chunks)

    def refused(self, step: Step) -> None:
        """Count a file that cannot be read."""
        with self._lock:
            if self._tally is not None:
                self._tally.refused(step)

    def publishing(self) -> None:
        """Show that what waits is embedded and published."""
        with self._lock:
            self._doing, self._is_embedding = "publishing", True

    def _draw(self) -> RenderableType:
        """Called from the thread that draws, a few times a second."""
        with self._lock:
            if self._tally is None:
                return Text(self._doing, no_wrap=True, overflow="ellipsis", style="dim")
            ready = self._tally.given if self._ready is None else self._ready()
            at = self._tally.standing(ready, time.monotonic())
            doing = f"embedding {shown(at.embedding)}" if self._is_embedding and at.embedding else self._doing
            of_files, of_bytes = self._tally.of_files, self._tally.of_bytes
        line = Table.grid(padding=(0, 2))
        for _ in range(2):
            line.add_column(no_wrap=True)
        share = at.size_bytes / of_bytes if of_bytes else 1.0
        bar = ProgressBar(total=1.0, completed=share, width=min(BAR_CHARS, self._console.width // 4))
        line.add_row(bar, numbers(at, share, of_files))
        return Group(line, Text(_cut(doing, self._console.width - 1), no_wrap=True, style="dim"))


def numbers(at: Standing, share: float, of_files: int) -> str:
    """What stands behind the bar."""
    told = [f"{share:4.0%}", f"{at.files:,}/{of_files:,} files", f"{at.chunks:,} chunks"]
    if at.per_second:
        told.append(f"{at.per_second:,.0f}/s")
    if at.left_s:
        told.append(f"{duration(at.left_s)} left")
    return "  ".join(told)


def duration(seconds: float) -> str:
    """Roughly how long, as one would say it."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _cut(line: str, width: int) -> str:
    """The line, without the middle where it is too long: the ends of paths tell most."""
    if len(line) <= width:
        return line
    head = width // 3
    return f"{line[:head]}…{line[len(line) - (width - head - 1) :]}"
