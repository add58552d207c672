"""Real server processes, to be watched, killed and started again."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.conftest import COMMAND, READY, START_S

POLL_S = 0.03
SAMPLE = re.compile(r"^citestream_(\w+?)(?:\{.*\})? (\S+)$", re.MULTILINE)


class Server:
    """`citestream serve`, with one process or more."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.env = dict(env)
        self.address = ""
        self.ready_in_s = 0.0
        self._popen: subprocess.Popen[bytes] | None = None
        self._family: set[int] = set()

    @property
    def pid(self) -> int:
        assert self._popen is not None
        return self._popen.pid

    @property
    def data_dir(self) -> Path:
        return Path(self.env["CITESTREAM_DATA_DIR"])

    @property
    def shared(self) -> bool:
        """Whether its stores are PostgreSQL and Redis."""
        return "CITESTREAM_DATABASE_URL" in self.env

    @property
    def log(self) -> str:
        """What all processes have written so far, over all starts."""
        parts = [path.read_text("utf-8", errors="replace") for path in sorted(self.folder.glob("serve-*.log"))]
        return "".join(parts)

    def start(self) -> float:
        """Start it, also once more after its end; returns the seconds until it was ready."""
        log = self.folder / f"serve-{time.monotonic_ns()}.log"
        began = time.monotonic()
        with log.open("wb") as out:
            command: list[str | Path] = [COMMAND, "serve", "--port", "0"]
            self._popen = subprocess.Popen(
                command, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        while (found := READY.search(log.read_text("utf-8", errors="replace"))) is None:
            self.workers()
            assert self._popen.poll() is None, log.read_text("utf-8")
            assert time.monotonic() - began < START_S, log.read_text("utf-8")
            time.sleep(0.02)
        self.workers()
        self.address = found[1]
        self.ready_in_s = time.monotonic() - began
        return self.ready_in_s

    def workers(self) -> list[int]:
        """Its processes that serve: the children of the one that was started, or that one itself."""
        with suppress(FileNotFoundError, ProcessLookupError):
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii")
            self._family.update(map(int, children.split()))
            return [int(pid) for pid in children.split()] or [self.pid]
        return []

    def signal(self, number: int) -> None:
        assert self._popen is not None
        self._popen.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        """Its exit status. Fails when it is still there after the time."""
        assert self._popen is not None
        return self._popen.wait(timeout_s)

    def kill(self) -> None:
        """End all of its processes as a lost machine does."""
        self.workers()
        assert self._popen is not None
        self._popen.kill()
        for pid in self._family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._popen.wait()
        self._family.clear()

    def end(self) -> None:
        """End it, the hard way where need be."""
        if self._popen is None or self._popen.poll() is not None:
            self.kill_rest()
            return
        self.workers()
        self._popen.terminate()
        try:
            self._popen.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        self.kill_rest()

    def kill_rest(self) -> None:
        """End workers that outlived the process that watched them."""
        for pid in self._family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._family.clear()

    def metrics(self) -> dict[str, float]:
        """What `/metrics` says of citestream, labels added up."""
        sums: defaultdict[str, float] = defaultdict(float)
        where = urlsplit(self.address)
        with closing(HTTPConnection(where.hostname or "", where.port, timeout=20)) as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        for name, value in SAMPLE.findall(text):
            sums[name] += float(value)
        return sums

    def active(self) -> dict[str, float]:
        """What has to be 0 when nobody asks."""
        metrics = self.metrics()
        names = ("active_runs", "active_readers", "leaked_runs", "upstream_open", "unsaved_turns")
        return {name: metrics[name] for name in names if metrics[name]}

    def rss_mb(self) -> float:
        """Memory of its processes that serve."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) for pid in self.workers())
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def fds(self) -> int:
        """Open files of its processes that serve."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.workers())

    def wait_until(self, true: Callable[[], object], timeout_s: float) -> float:
        """Wait for something, but not for ever; returns the seconds that it took."""
        return wait_until(true, timeout_s, lambda: f"{self.active()}\n{self.log[-4000:]}")


def wait_until(true: Callable[[], object], timeout_s: float, explain: Callable[[], str] = str) -> float:
    """Wait for something, but not for ever; returns the seconds that it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < timeout_s, f"not within {timeout_s} s. {explain()}"
        time.sleep(POLL_S)
    return time.monotonic() - began


@contextmanager
def server_on(indexed: Path, folder: Path, env: Mapping[str, str]) -> Iterator[Server]:
    """A server on a copy of an index, which no other server writes into."""
    data_dir = folder / "data"
    if not data_dir.exists():
        shutil.copytree(indexed, data_dir)
    server = Server(folder, {**env, "CITESTREAM_DATA_DIR": str(data_dir)})
    try:
        server.start()
        yield server
    finally:
        server.end()
