"""A site on this machine: pages that a test puts there, and what was asked for."""

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

HTML = "text/html; charset=utf-8"
Write = Callable[[bytes], Any]


@dataclass
class Page:
    """What is answered: a body, or a function that writes whatever it likes behind the status line and headers."""

    body: bytes | Callable[[Write], None] = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    path: str
    headers: dict[str, str]
    at: float


def page(text: str, **headers: str) -> Page:
    title = text.split(".")[0]
    return Page(
        f"<!doctype html><title>{title}</title><h1>{title}</h1><p>{text}</p>".encode(),
        headers={"Content-Type": HTML, **headers},
    )


def redirect(to: str, status: int = 302) -> Page:
    return Page(b"", status, {"Location": to})


def sitemap(*addresses: str) -> Page:
    urls = "".join(f"<url><loc>{address}</loc><lastmod>2020-01-01</lastmod></url>" for address in addresses)
    body = f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'
    return Page(body.encode(), headers={"Content-Type": "application/xml"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """The other side may break off whenever it has had enough."""


class Site:
    """A server on 127.0.0.1. Pages with an ETag are answered 304 when that is what was asked with."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.asked.append(Asked(self.path, {k.lower(): v for k, v in self.headers.items()}, time.monotonic()))
                found = site.pages.get(self.path, Page(b"there is nothing", 404, {"Content-Type": "text/plain"}))
                etag = found.headers.get("ETag")
                if etag is not None and self.headers.get("If-None-Match") == etag:
                    self.send_response(304)
                    self.end_headers()
                    return
                self.send_response(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                if isinstance(found.body, bytes):
                    if "Content-Length" not in found.headers:
                        self.send_header("Content-Length", str(len(found.body)))
                    self.end_headers()
                    self.wfile.write(found.body)
                    return
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                found.body(self.wfile.write)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        """What was asked for since the last time, without robots.txt."""
        paths = [asked.path for asked in self.asked if asked.path != "/robots.txt"]
        self.asked.clear()
        return paths

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def stop(self) -> None:
        """Answer nobody any more."""
        if not self.closing.is_set():
            self.closing.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.stop()
