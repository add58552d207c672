"""What a command asks of the system: to go behind others where it may run beside a server."""

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = """
import atexit, os, sys
from citestream.cli import main
atexit.register(lambda: print("niceness", os.nice(0)))
main()
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
