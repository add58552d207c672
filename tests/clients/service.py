"""A `citestream serve` that can be killed and started again."""

import subprocess
import time
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.conftest import COMMAND, READY, Environment, Process


class Service:
    """The command in a folder of its own; its port changes with each start."""

    def __init__(self, folder: Path, env: Environment) -> None:
        self._folder = folder
        self._env = env
        self._popen: subprocess.Popen[bytes] | None = None
        self._process: Process | None = None
        self.address = ""

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        log = self._folder / f"serve-{time.monotonic_ns()}.log"
        with log.open("wb") as out:
            self._popen = subprocess.Popen(
                [COMMAND, "serve", "--port", "0"],
                cwd=self._folder, env=self._env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        self._process = Process(self._popen, log)
        self._process.wait_for(lambda output: READY.search(output) is not None)
        found = READY.search(self._process.output)
        assert found is not None
        self.address = found[1]

    def kill(self) -> None:
        """End it at once, without a word to anyone."""
        assert self._popen is not None
        self._popen.kill()
        self._popen.wait()

    def end(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._process.end()
            assert "Traceback" not in self._process.output, self._process.output

    def get(self, path: str, **parameters: Any) -> Any:
        """JSON that it answers with."""
        return httpx2.get(f"{self.address}{path}", params=parameters).raise_for_status().json()

    def post(self, path: str) -> Any:
        return httpx2.post(f"{self.address}{path}").raise_for_status().json()

    def threads(self) -> list[str]:
        """The ids of all threads."""
        found: list[str] = []
        cursor = ""
        while True:
            page = self.get("/v1/threads", limit=100, **({"cursor": cursor} if cursor else {}))
            found += [thread["id"] for thread in page["items"]]
            if page["next"] is None:
                return found
            cursor = page["next"]
