"""Several server processes on one socket: started, watched, started again when they die, and ended together."""

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import structlog

from graph.errors import SettingsError
from graph.settings import Settings
from server.metrics import MULTIPROCESS_DIR, forget_process

log = structlog.get_logger(__name__)

POLL_S = 0.2
RESTART_PAUSE_S = 1.0
"""Least time between two starts of a process that dies at once."""
KILL_AFTER_S = 30.0
"""A process that has not ended so long after the grace of its running answers is killed."""
CANNOT_START = 2
"""Exit status of a process whose settings cannot work, so that starting it again is no use."""


def check_shareable(settings: Settings) -> None:
    """Raise SettingsError unless the settings let several processes share what they have to, or there is only one."""
    if settings.workers == 1:
        return
    missing = []
    if settings.database_url is None:
        missing.append("CITESTREAM_DATABASE_URL=postgresql://… for the conversations")
    if settings.events_url.get_secret_value().startswith("memory:"):
        missing.append("CITESTREAM_EVENTS_URL=redis://… for the events of running answers")
    if missing:
        raise SettingsError(
            f"{settings.workers} workers share what one process keeps for itself, so they need "
            f"{' and '.join(missing)}. Set it, or serve with one worker."
        )


class Supervisor:
    """Keeps the workers of the settings alive on one socket."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._workers: list[subprocess.Popen[bytes]] = []
        self._started: list[float] = []
        self._signals: list[int] = []
        self._ready, self._tell_ready = os.pipe()

    def run(self, on_ready: Callable[[], None]) -> list[int]:
        """Watch the workers until a signal comes, end them, and return the signals; a second one ends them at once.

        `on_ready` is called once all of them serve. Raises SettingsError when one cannot start.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: self._signals.append(number))
        with tempfile.TemporaryDirectory(prefix="citestream-metrics-") as folder:
            environment = {**os.environ, MULTIPROCESS_DIR: folder}  # noqa: TID251  # handed on whole
            for _ in range(self._settings.workers):
                self._workers.append(self._start(environment))
                self._started.append(time.monotonic())
            ready, told = 0, False
            try:
                while not self._signals:
                    ready += self._count_ready()
                    if ready >= self._settings.workers and not told:
                        on_ready()
                        told = True
                    self._restart_dead(environment)
            finally:
                self._end()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        return self._signals

    def _start(self, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        descriptors = (self._listener.fileno(), self._tell_ready)
        command = [sys.executable, "-m", "citestream", "serve", "--data-dir", str(self._settings.data_dir)]
        command += ["--model", self._settings.model, "--worker-fds", *map(str, descriptors)]
        # The command is our own. A signal of the terminal is for the supervisor alone, hence the new session.
        return subprocess.Popen(command, pass_fds=descriptors, env=environment, start_new_session=True)  # noqa: S603

    def _count_ready(self) -> int:
        """How many workers have become ready, after waiting a little for one."""
        try:
            readable, _, _ = select.select([self._ready], [], [], POLL_S)
        except InterruptedError:
            return 0
        return len(os.read(self._ready, 64)) if readable else 0

    def _restart_dead(self, environment: dict[str, str]) -> None:
        for index, worker in enumerate(self._workers):
            if worker.poll() is None or time.monotonic() - self._started[index] < RESTART_PAUSE_S:
                continue
            if worker.returncode == CANNOT_START:
                raise SettingsError("a worker cannot start; what it said above tells why.")
            log.warning("worker_died", pid=worker.pid, status=worker.returncode)
            forget_process(worker.pid, environment[MULTIPROCESS_DIR])
            self._workers[index] = self._start(environment)
            self._started[index] = time.monotonic()

    def _end(self) -> None:
        for worker in self._workers:
            worker.terminate()
        end = time.monotonic() + self._settings.shutdown_grace_s + KILL_AFTER_S
        while any(worker.poll() is None for worker in self._workers):
            if len(self._signals) > 1 or time.monotonic() > end:
                for worker in self._workers:
                    worker.kill()
            time.sleep(POLL_S)
