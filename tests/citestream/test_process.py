"""What a command asks of the system: to go behind others where it may run beside a server, and few arenas of memory."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from citestream import process

COMMAND = """
import atexit, os, sys
from citestream.cli import main
atexit.register(lambda: print("niceness", os.nice(0)))
main()
"""
ARENAS = """
import ctypes, threading
from citestream import process
{call}
together = threading.Barrier(8)
def allocate():
    together.wait()
    kept = [bytearray(1000) for _ in range(1000)]
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
ctypes.CDLL(None).malloc_stats()
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)


@pytest.mark.parametrize(("arguments", "behind"), [(("index", "list"), 10), (("version",), 0)])
def test_commands_that_may_run_beside_a_server_let_it_go_first(
    arguments: tuple[str, ...], behind: int, tmp_path: Path
) -> None:
    ours = int(run("import os; print(os.nice(0))").stdout)
    more = ("--data-dir", str(tmp_path)) if arguments[0] == "index" else ()
    assert f"niceness {min(19, ours + behind)}" in run(COMMAND, *arguments, *more).stdout


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")
def test_threads_share_two_arenas() -> None:
    many, few = (run(ARENAS.format(call=call)).stderr.count("Arena ") for call in ("", "process.keep_few_arenas()"))
    assert few <= process.ARENAS < many
