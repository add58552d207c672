"""The command in a terminal of its own, as a person has it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTROL = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")
SECONDS = 60.0


class Terminal:
    """A program that leads a session of its own, with a terminal; `stdout` goes elsewhere where one is given."""

    def __init__(self, command: Sequence[str], *, stdout: int | None = None, **environment: str) -> None:
        self._master, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        attributes = termios.tcgetattr(inside)
        attributes[3] |= termios.NOFLSH  # else Ctrl-C throws away what was written before it and is not read yet
        termios.tcsetattr(inside, termios.TCSANOW, attributes)
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=inside,
            stdout=inside if stdout is None else stdout,
            stderr=inside,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(inside, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm", **environment},
        )
        os.close(inside)
        self._seen = b""

    def press_ctrl_c(self) -> None:
        """What the keyboard does: every process of the terminal gets a SIGINT."""
        os.write(self._master, b"\x03")

    def read_until(self, wanted: bytes, times: int = 1) -> bool:
        """Read on until something is there so many times; False when the program ended before."""
        deadline = time.monotonic() + SECONDS
        while self._seen.count(wanted) < times and self._read(deadline):
            pass
        return self._seen.count(wanted) >= times

    def finish(self) -> str:
        """Read to the end; all that was shown, also what was drawn over, without colours."""
        deadline = time.monotonic() + SECONDS
        while self._read(deadline):
            pass
        self.process.wait(max(1.0, deadline - time.monotonic()))
        os.close(self._master)
        return self.shown()

    def shown(self) -> str:
        return CONTROL.sub(b"", self._seen).decode("utf-8", "replace").replace("\r", "\n")

    def processes(self) -> list[int]:
        """Those that are left of its session."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                _, _, behind = path.read_text().rpartition(")")
            except OSError:
                continue
            state, _, _, session = behind.split()[:4]
            if int(session) == self.process.pid and state != "Z":
                found.append(int(path.parent.name))
        return found

    def _read(self, deadline: float) -> bool:
        """Whether there may be more."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            self.process.kill()
            raise AssertionError(f"nothing more came: {self.shown()}")
        try:
            part = os.read(self._master, 65536)
        except OSError:  # the last process that had the terminal open has left
            return False
        self._seen += part
        return bool(part)


def citestream(*arguments: str) -> list[str]:
    """The command's command line."""
    return [sys.executable, "-m", "citestream", *arguments]
