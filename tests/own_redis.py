"""A Redis of a test's own, which it may kill."""

import signal
import socket
import subprocess
import time
from pathlib import Path

from redis import Redis

from tests.services import need


class OwnRedis:
    """A redis-server without persistence on a free port. `start()` first, `kill()` last."""

    def __init__(self, directory: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(directory)]
        self._command += ["--save", "", "--appendonly", "no", *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        try:
            self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        except FileNotFoundError:
            need(False, "redis-server")
            raise
        end = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < end, "redis-server did not start"
            time.sleep(0.01)

    def admin(self, password: str | None = None) -> Redis:
        """A client for what only an administrator does."""
        return Redis(port=self.port, password=password, decode_responses=True)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def hang(self) -> None:
        """Keep the connections open and answer nothing; `go_on()` ends it."""
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)
