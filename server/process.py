"""What a server process does at its edges, whether it serves or watches those that do: listen, say so, and end.

It imports nothing heavy, so that the process that only watches stays small.
"""

import signal
import socket
import sys

from graph.errors import SettingsError
from graph.settings import env_name

READY = b"r"
"""What a worker says to its supervisor, on its lifeline, once it serves."""


def open_socket(host: str, port: int) -> socket.socket:
    """A socket bound to the address, not listening yet. Raises SettingsError when the address cannot be had."""
    return _bind(host, port, shared=False)


def open_shared_socket(host: str, port: int) -> socket.socket:
    """A socket like that, beside which others of this user may listen on the same address (SO_REUSEPORT).

    The kernel spreads new connections evenly over those that listen. With one socket that all processes accept on,
    whoever wakes first took nearly everything: 175 of 180 answers in one of two processes.
    """
    return _bind(host, port, shared=True)


def address_of(listener: socket.socket) -> str:
    """Where a browser on this machine finds the server."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  # listening everywhere includes here
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def announce(address: str) -> None:
    """Tell whoever started this process that it serves, and where."""
    sys.stdout.write(f"citestream is ready at {address}\n")
    sys.stdout.flush()


def end_by(signals: list[int]) -> None:
    """End this process by the first signal that it was sent, as its parent expects; all has to be closed by now.

    It also spares the interpreter's own end, which takes seconds after many streams.
    """
    for number in signals[:1]:
        signal.raise_signal(number)


def _bind(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise SettingsError(
            f"cannot listen on {host}:{port} ({exc.strerror}). Another server may be running there: stop it, or set "
            f"{env_name('port')} (0 takes a free port) or {env_name('host')}."
        ) from exc
    return listener
