"""Connections: a name is resolved once, its addresses are checked, and one of those is connected to.

So no second answer of a name server can lead elsewhere. The name stays what TLS asks for and verifies.
"""

import math
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from httpcore2 import SOCKET_OPTION, ConnectError, NetworkBackend, NetworkStream, ReadTimeout, SyncBackend

from ingest.web import NotFetched
from ingest.web.guard import Guard

CONNECT_SECONDS = 10.0
"""For each address of a host."""
MAX_ADDRESSES = 4

Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as the system knows them. Raises NotFetched."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise NotFetched("unreachable", f"there is no host {host}") from exc
    return [str(entry[4][0]) for entry in found]


class CheckedBackend(NetworkBackend):
    """Connects to addresses that the guard allows. Everything on its connections ends at `deadline`.

    `deadline` is a time of `time.monotonic()`. It bounds what a timeout of single reads does not: a server that sends
    a byte now and then.
    """

    def __init__(self, guard: Guard, resolve: Resolve = resolve, sockets: NetworkBackend | None = None) -> None:
        self.deadline = math.inf
        self._guard = guard
        self._resolve = resolve
        self._sockets = sockets or SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """Connect to a host, by the first of its addresses that answers."""
        addresses = self._guard.check(host, self._resolve(host, port))
        failure: Exception = ConnectError("no address")
        for address in addresses[:MAX_ADDRESSES]:
            wait_s = self.left(CONNECT_SECONDS)
            try:
                stream = self._sockets.connect_tcp(address, port, wait_s, local_address, socket_options)
            except Exception as exc:  # noqa: BLE001  # the next address may answer; the last failure goes on
                failure = exc
                continue
            return _Stream(stream, self)
        raise failure

    def left(self, timeout: float | None) -> float:
        """The seconds that an operation may take. Raises ReadTimeout when none are left."""
        left = min(math.inf if timeout is None else timeout, self.deadline - time.monotonic())
        if left <= 0:
            raise ReadTimeout("the page has had its time")
        return left


class _Stream(NetworkStream):
    """A connection whose reads and writes keep to the deadline of the backend."""

    def __init__(self, stream: NetworkStream, backend: CheckedBackend) -> None:
        self._stream = stream
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._backend.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._backend.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        left = self._backend.left(CONNECT_SECONDS if timeout is None else timeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
