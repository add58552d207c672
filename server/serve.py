"""The server process: uvicorn around the app, which says when it is ready and ends its runs before it goes.

With several workers this process only watches them (server/supervise.py), and each of them is a server process.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from types import FrameType

import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from graph.errors import SettingsError
from graph.settings import Settings, env_name
from server.app import build_app, open_state
from server.logs import set_up_logs
from server.runs import Runs
from server.state import AppState
from server.supervise import Supervisor, check_shareable

GRACEFUL_SHUTDOWN_S = 10


def serve(settings: Settings) -> None:
    """Serve until a signal ends the process, which is raised again once everything is closed.

    Raises SettingsError, LibraryError or DatabaseNewer when the server cannot start.
    """
    set_up_logs(settings.log_level)
    check_shareable(settings)
    with open_socket(settings.host, settings.port) as listener:
        if settings.workers > 1:
            address = address_of(listener)
            signals = Supervisor(settings, listener).run(lambda: _announce(address))
        else:
            signals = _run(settings, listener, _announce)
    for number in signals[:1]:
        signal.raise_signal(number)


def serve_as_worker(settings: Settings, listener_fd: int, ready_fd: int) -> None:
    """Serve on the socket of a supervisor, and tell it when ready by a byte. Raises what `serve` raises."""
    set_up_logs(settings.log_level)

    def tell_supervisor(_address: str) -> None:
        os.write(ready_fd, b"r")
        os.close(ready_fd)

    with socket.socket(fileno=listener_fd) as listener:
        _run(settings, listener, tell_supervisor)


def _run(settings: Settings, listener: socket.socket, on_ready: Callable[[str], None]) -> list[int]:
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        return runner.run(_serve(settings, listener, on_ready))


async def _serve(settings: Settings, listener: socket.socket, on_ready: Callable[[str], None]) -> list[int]:
    # Opened here and not in the app's lifespan, whose errors uvicorn would turn into a logged traceback.
    async with open_state(settings) as state:
        server = build_server(state, on_ready)
        await server.serve(sockets=[listener])
        return server.signals


def build_server(state: AppState, on_ready: Callable[[str], None]) -> "Server":
    """A server of the app around `state`; `on_ready` gets its address once it takes requests."""
    config = uvicorn.Config(
        build_app(lambda: nullcontext(state)),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
    )
    return Server(config, state.runs, on_ready)


class Server(uvicorn.Server):
    """uvicorn's server, which tells its address once it listens and ends all runs before it closes streams."""

    def __init__(self, config: uvicorn.Config, runs: Runs, on_ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._runs = runs
        self._on_ready = on_ready
        self.signals: list[int] = []
        """What ended it."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; a second signal ends the process at once."""
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Note signals, and leave it to `serve` to raise them again: uvicorn would do so with the index still open."""
        with super().capture_signals():
            yield
            self.signals, self._captured_signals = self._captured_signals, []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say where."""
        await super().startup(sockets)
        if self.started:
            self._on_ready(address_of(self.servers[0].sockets[0]))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all runs, so that their readers see how they ended; then close."""
        await self._runs.close()
        await super().shutdown(sockets)


def open_socket(host: str, port: int) -> socket.socket:
    """A socket bound to the address, not listening yet. Raises SettingsError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise SettingsError(
            f"cannot listen on {host}:{port} ({exc.strerror}). Another server may be running there: stop it, or set "
            f"{env_name('port')} (0 takes a free port) or {env_name('host')}."
        ) from exc
    return listener


def address_of(listener: socket.socket) -> str:
    """Where a browser on this machine finds the server."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  # listening everywhere includes here
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(address: str) -> None:
    sys.stdout.write(f"citestream is ready at {address}\n")
    sys.stdout.flush()
