"""The server process: uvicorn around the app, which says when it is ready and ends its runs before it goes.

With several workers each of them is such a process, and another one watches them (server/supervise.py).
"""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from types import FrameType

import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from graph.settings import Settings
from server.app import build_app, open_state
from server.logs import set_up_logs
from server.process import READY, address_of, announce, end_by, open_socket
from server.runs import Runs
from server.state import AppState

GRACEFUL_SHUTDOWN_S = 10
GC_ALLOCATIONS = 10_000
"""New objects after which garbage is looked for among them: 13 us a token of a stream at Python's 700, 4 at this."""


def serve(settings: Settings) -> None:
    """Serve until a signal ends the process, which is raised again once everything is closed.

    Raises SettingsError, LibraryError or DatabaseNewer when the server cannot start.
    """
    set_up_logs(settings.log_level)
    with open_socket(settings.host, settings.port) as listener:
        signals = _run(settings, listener, announce)
    end_by(signals)


def serve_as_worker(settings: Settings, listener_fd: int, lifeline_fd: int) -> None:
    """Serve on a socket from a supervisor, until a signal comes or it is gone. Ends and raises as `serve` does."""
    set_up_logs(settings.log_level)
    with socket.socket(fileno=lifeline_fd) as lifeline, socket.socket(fileno=listener_fd) as listener:
        signals = _run(settings, listener, lambda _address: lifeline.sendall(READY), lifeline)
    end_by(signals)


def _run(
    settings: Settings, listener: socket.socket, on_ready: Callable[[str], None], lifeline: socket.socket | None = None
) -> list[int]:
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        return runner.run(_serve(settings, listener, on_ready, lifeline))


async def _serve(
    settings: Settings, listener: socket.socket, on_ready: Callable[[str], None], lifeline: socket.socket | None
) -> list[int]:
    # Opened here and not in the app's lifespan, whose errors uvicorn would turn into a logged traceback.
    async with open_state(settings) as state:
        settle_memory()
        server = build_server(state, on_ready)
        if lifeline is not None:
            server.end_with(lifeline)
        await server.serve(sockets=[listener])
        return server.signals


def settle_memory() -> None:
    """Leave what lives as long as the process out of garbage collections.

    With it a full one took 177 ms, in which no stream moved, and came every few hundred answers.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS)


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

    def end_with(self, lifeline: socket.socket) -> None:
        """Begin to end when the other side of this socket is closed, as by the death of the process that has it."""
        loop = asyncio.get_running_loop()

        def end() -> None:
            loop.remove_reader(lifeline)
            self.handle_exit(signal.SIGTERM, None)

        loop.add_reader(lifeline, end)

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
