"""Several server processes on one address: started, watched, started again when they die, and ended together.

Each has a socket of its own there, and a lifeline, by which it also ends when the supervisor is killed.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from graph.errors import SettingsError
from graph.settings import Settings
from server.logs import set_up_logs
from server.metrics import MULTIPROCESS_DIR, forget_process
from server.process import READY, address_of, announce, end_by, open_shared_socket, open_socket

log = structlog.get_logger(__name__)

POLL_S = 0.2
RESTART_PAUSE_S = 1.0
"""Least time between two starts of a process that dies at once."""
KILL_AFTER_S = 30.0
"""A process that has not ended so long after the grace of its running answers is killed."""
CANNOT_START = 2
"""Exit status of a process whose settings cannot work, so that starting it again is no use."""


def supervise(settings: Settings) -> None:
    """Serve with several workers until a signal ends the process, which is raised again once all have ended.

    Raises SettingsError when the workers cannot share what they have to, or one of them cannot start.
    """
    set_up_logs(settings.log_level)
    check_shareable(settings)
    end_by(Supervisor(settings).run(announce))


def check_shareable(settings: Settings) -> None:
    """Raise SettingsError unless the settings let several processes share what they have to."""
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


@dataclass
class _Worker:
    process: "subprocess.Popen[bytes]"
    lifeline: socket.socket
    """Our end. The worker writes READY into its own, and ends when ours is closed."""
    started_at: float
    starting: bool = True
    ready: bool = False


class Supervisor:
    """Keeps the workers of the settings alive on one address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._workers: list[_Worker] = []
        self._signals: list[int] = []

    def run(self, on_ready: Callable[[str], None]) -> list[int]:
        """Watch the workers until a signal comes, end them, and return the signals; a second one ends them at once.

        `on_ready` gets the address once all of them serve. Raises SettingsError when one cannot start.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: self._signals.append(number))
        with (
            self._reserve_address() as reserved,
            tempfile.TemporaryDirectory(prefix="citestream-metrics-") as metrics,
        ):
            host, port = reserved.getsockname()[:2]
            start = partial(self._start, host, port, metrics)
            told = False
            try:
                self._workers = [start() for _ in range(self._settings.workers)]
                while not self._signals:
                    self._watch_starts()
                    if not told and all(worker.ready for worker in self._workers):
                        on_ready(address_of(reserved))
                        told = True
                    self._restart_dead(start, metrics)
            finally:
                self._end()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        return self._signals

    def _reserve_address(self) -> socket.socket:
        """A socket that never listens and keeps the address while no worker has it. Raises SettingsError."""
        # A shared one would not notice another server of this user there.
        with open_socket(self._settings.host, self._settings.port) as alone:
            host, port = alone.getsockname()[:2]
        return open_shared_socket(host, port)

    def _start(self, host: str, port: int, metrics: str) -> _Worker:
        """A new worker with a socket of its own, which goes with it: the others get what comes then."""
        ours, its = socket.socketpair()
        with its, open_shared_socket(host, port) as listener:
            descriptors = (listener.fileno(), its.fileno())
            command = [sys.executable, "-m", "citestream", "serve", "--data-dir", str(self._settings.data_dir)]
            command += ["--model", self._settings.model, "--worker-fds", *map(str, descriptors)]
            environment = {**os.environ, MULTIPROCESS_DIR: metrics}  # noqa: TID251  # handed on whole
            # The command is our own. A signal of the terminal is for the supervisor alone, hence the new session.
            process = subprocess.Popen(command, pass_fds=descriptors, env=environment, start_new_session=True)  # noqa: S603
        return _Worker(process, ours, time.monotonic())

    def _watch_starts(self) -> None:
        """Wait a little for workers that become ready or die while they start."""
        starting = {worker.lifeline: worker for worker in self._workers if worker.starting}
        readable, _, _ = select.select(list(starting), [], [], POLL_S)
        for lifeline in readable:
            starting[lifeline].starting = False
            starting[lifeline].ready = lifeline.recv(len(READY)) == READY

    def _restart_dead(self, start: Callable[[], _Worker], metrics: str) -> None:
        for index, worker in enumerate(self._workers):
            if worker.process.poll() is None or time.monotonic() - worker.started_at < RESTART_PAUSE_S:
                continue
            if worker.process.returncode == CANNOT_START:
                raise SettingsError("a worker cannot start; what it said above tells why.")
            log.warning("worker_died", pid=worker.process.pid, status=worker.process.returncode)
            forget_process(worker.process.pid, metrics)
            worker.lifeline.close()
            self._workers[index] = start()

    def _end(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        end = time.monotonic() + self._settings.shutdown_grace_s + KILL_AFTER_S
        while any(worker.process.poll() is None for worker in self._workers):
            if len(self._signals) > 1 or time.monotonic() > end:
                for worker in self._workers:
                    worker.process.kill()
            time.sleep(POLL_S)
        for worker in self._workers:
            worker.lifeline.close()
