"""The server process."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from graph.errors import SettingsError
from server.process import address_of, open_socket

PROGRAM = """
import signal
import sys
from pathlib import Path
from graph.settings import Settings
from server.serve import serve
assert not {"chromadb", "tantivy", "onnxruntime"} & sys.modules.keys(), "the index was loaded by an import"
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
serve(Settings(data_dir=Path(sys.argv[1]), port=0))
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, -signal.SIGINT)])
def test_a_server_tells_its_address_when_it_is_ready_and_ends_by_signal(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        found = re.fullmatch(r"citestream is ready at (http://127\.0\.0\.1:\d+)\n", line)
        assert found, (line, process.stderr and process.stderr.read())
        ready = httpx2.get(f"{found[1]}/readyz")
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)

    assert ready.json()["status"] == "ready"
    assert process.returncode == status
    assert "Traceback" not in errors or number == signal.SIGINT


def test_a_port_that_is_taken_is_named_with_what_to_do(tmp_path: Path) -> None:
    with open_socket("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}.*CITESTREAM_PORT"):
            open_socket("127.0.0.1", port)


def test_an_address_is_one_that_a_browser_here_can_open() -> None:
    with open_socket("0.0.0.0", 0) as everywhere:
        assert address_of(everywhere) == f"http://127.0.0.1:{everywhere.getsockname()[1]}"
    if socket.has_ipv6:
        with open_socket("::1", 0) as six:
            assert address_of(six) == f"http://[::1]:{six.getsockname()[1]}"
