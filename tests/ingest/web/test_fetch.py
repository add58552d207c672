"""Fetching from servers that are honest, slow, endless, or up to something."""

import gzip
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ingest.loaders import load
from ingest.web import NotFetched
from ingest.web.address import parse_address
from ingest.web.connection import CheckedBackend
from ingest.web.fetch import NONE, Answer, Fetcher, Validators
from ingest.web.guard import Guard
from tests.ingest.web.site import HTML, Page, Site, Write, page, redirect

LOCAL = Guard.parse("127.0.0.1")
PUBLIC = "8.8.8.8"

Get = Callable[..., Answer]


@pytest.fixture
def fetch(tmp_path: Path) -> Iterator[Callable[..., Get]]:
    """Make a function that fetches an address."""
    opened: list[Fetcher] = []
    numbers = itertools.count()

    def make(backend: CheckedBackend | None = None, *, delay_s: float = 0, seconds: float = 10) -> Get:
        fetcher = Fetcher(backend or CheckedBackend(LOCAL), delay_s=delay_s, seconds=seconds)
        opened.append(fetcher)

        def get(address: str, *arguments: Any, **options: Any) -> Answer:
            return fetcher.get(parse_address(address), tmp_path / str(next(numbers)), *arguments, **options)

        return get

    yield make
    for fetcher in opened:
        fetcher.__exit__()


@pytest.fixture
def get(fetch: Callable[..., Get]) -> Get:
    return fetch()


@contextmanager
def refused(reason: str) -> Iterator[None]:
    with pytest.raises(NotFetched) as found:
        yield
    assert found.value.reason == reason, found.value.detail


class Elsewhere(httpcore2.NetworkBackend):
    """Stands for the public internet: notes which address is connected to, and connects to a server here instead."""

    def __init__(self, port: int) -> None:
        self.connected: list[str] = []
        self._port = port
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        self.connected.append(host)
        return self._sockets.connect_tcp("127.0.0.1", self._port, timeout)


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that says what it likes to every connection."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        def one(connection: socket.socket) -> None:
            with closing(connection):
                try:
                    connection.recv(65536)
                    answer(connection)
                except OSError:
                    pass

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        listening.shutdown(socket.SHUT_RDWR)


# The guard and the connection


def test_nothing_on_this_machine_is_asked_by_default(fetch, site):
    site.pages["/"] = page("Apples are red.")
    for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "017700000001", "127.1", "[::1]", "[::ffff:7f00:1]"):
        with refused("private-address"):
            fetch(CheckedBackend(Guard()))(f"http://{host}:{site.port}/")
    assert site.asked == []


def test_the_address_that_was_checked_is_the_one_connected_to(fetch, site):
    """A name server that answers with a public address first, and with a private one when it is asked again."""
    site.pages["/"] = page("Apples are red.", Connection="close")
    answers = iter([[PUBLIC], ["127.0.0.1"], ["10.0.0.1"]])
    resolved: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        resolved.append(host)
        return next(answers)

    sockets = Elsewhere(site.port)
    site.pages["/robots.txt"] = Page(b"", headers={"Content-Type": "text/plain"})
    get = fetch(CheckedBackend(Guard(), resolve, sockets))
    assert get("http://rebind.example/").file is not None
    assert (resolved, sockets.connected) == (["rebind.example"], [PUBLIC])
    # That page's connection was closed, so the name has to be resolved again, and is now refused.
    for _ in range(2):
        with refused("private-address"):
            get("http://rebind.example/")
    assert sockets.connected == [PUBLIC]
    assert len(resolved) == 3


def test_a_name_is_resolved_once_for_each_connection_and_never_again(fetch, site, monkeypatch):
    """The socket is given a number, so that nothing below asks a name server a second time."""
    asked: list[object] = []
    system = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(host)
        return system("127.0.0.1" if host == "pages.example" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    site.pages |= {"/": page("Apples are red."), "/robots.txt": Page(b"# all are welcome")}
    fetch(CheckedBackend(Guard.parse("pages.example")))(f"http://pages.example:{site.port}/")
    assert asked == ["pages.example", "127.0.0.1"]
    assert site.asked[-1].headers["host"] == f"pages.example:{site.port}"


def test_a_host_with_one_private_address_among_public_ones_is_refused(fetch, site):
    sockets = Elsewhere(site.port)
    with refused("private-address"):
        fetch(CheckedBackend(Guard(), lambda *_: [PUBLIC, "192.168.0.1"], sockets))("http://both.example/")
    assert sockets.connected == []


def test_the_next_address_of_a_host_is_tried_when_one_does_not_answer(fetch, site):
    site.pages["/"] = page("Apples are red.")
    guard = Guard.parse("127.0.0.0/8")
    get = fetch(CheckedBackend(guard, lambda *_: ["127.9.9.9", "127.0.0.1"]))
    assert get(f"http://two.example:{site.port}/").file is not None


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data/", "private-address"),
        ("http://[fd00:ec2::254]/", "private-address"),
        ("http://10.0.0.1/", "private-address"),
        ("//192.168.1.1/", "private-address"),
        ("file:///etc/passwd", "redirect"),
        ("gopher://127.0.0.1/", "redirect"),
        ("http://user:pw@127.0.0.1/", "redirect"),
        ("javascript:alert(1)", "redirect"),
        ("", "redirect"),
        ("/loop", "redirect"),
    ],
)
def test_redirects_are_looked_at_hop_by_hop(get, site, target, reason):
    site.pages["/loop"] = redirect(target)
    site.pages["/first"] = redirect("/loop")
    with refused(reason):
        get(f"{site.address}/first")


def test_five_redirects_are_followed_and_no_more(get, site):
    for number in range(7):
        site.pages[f"/{number}"] = redirect(f"/{number + 1}#part", 301)
    site.pages["/6"] = page("Apples are red.")
    answer = get(f"{site.address}/1")
    assert str(answer.url) == f"{site.address}/6"
    assert answer.moved
    with refused("redirect"):
        get(f"{site.address}/0")


def test_a_redirect_may_name_its_target_in_plain_letters(get, site):
    site.pages |= {"/a": redirect("/äpfel".encode().decode("latin-1")), "/%C3%A4pfel": page("Apples are red.")}
    assert str(get(f"{site.address}/a").url) == f"{site.address}/%C3%A4pfel"


def test_one_passing_redirect_among_lasting_ones_moves_nothing(get, site):
    site.pages |= {"/a": redirect("/b", 301), "/b": redirect("/c", 302), "/c": page("Apples are red.")}
    assert not get(f"{site.address}/a").moved
    assert not get(f"{site.address}/c").moved


def test_a_page_of_a_sitemap_may_not_lead_to_another_site(get, site):
    with Site() as other:
        other.pages["/"] = page("Bananas are yellow.")
        site.pages["/a"] = redirect(f"{other.address}/")
        assert get(f"{site.address}/a").url.port == other.port
        other.asked.clear()
        with refused("elsewhere"):
            get(f"{site.address}/a", within=f"127.0.0.1:{site.port}")
        assert other.asked == []


def test_no_proxy_is_taken_from_the_environment(fetch, site, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    site.pages["/"] = page("Apples are red.")
    assert fetch()(f"{site.address}/").file is not None


# TLS


@contextmanager
def tls_site(folder: Path, name: str) -> Iterator[tuple[int, Path, list[str | None]]]:
    """Port, certificate, and the names that clients asked for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    names: list[str | None] = []
    context.sni_callback = lambda _, asked, __: names.append(asked)
    with Site() as site:
        site.pages["/"] = page("Apples are red.")
        site.secure(context)
        yield site.port, pem, names


def test_certificates_are_verified_for_the_name_and_not_for_the_address(fetch, tmp_path, monkeypatch):
    guard = Guard.parse("pages.example, other.example")

    def backend() -> CheckedBackend:
        return CheckedBackend(guard, lambda *_: ["127.0.0.1"])

    with tls_site(tmp_path, "pages.example") as (port, pem, names):
        with pytest.raises(NotFetched, match="the certificate of pages.example is not valid"):
            fetch(backend())(f"https://pages.example:{port}/")
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        answer = fetch(backend())(f"https://pages.example:{port}/")
        assert str(answer.url) == f"https://pages.example:{port}/"
        with pytest.raises(NotFetched, match="the certificate of other.example is not valid"):
            fetch(backend())(f"https://other.example:{port}/")
        assert set(names) == {"pages.example", "other.example"}


# Limits


def test_a_server_that_drips_is_left_at_the_deadline(fetch, site):
    def drip(write: Write) -> None:
        for _ in range(100):
            write(b"x")
            site.closing.wait(0.1)

    site.pages["/"] = Page(drip, headers={"Content-Type": HTML})
    began = time.monotonic()
    with refused("timeout"):
        fetch(seconds=1)(f"{site.address}/")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_server_that_drips_its_headers_is_left_at_the_deadline(fetch, beginning):
    def drip(connection: socket.socket) -> None:
        connection.sendall(beginning)
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.1)

    began = time.monotonic()
    with raw_server(drip) as address, pytest.raises(NotFetched) as found:
        fetch(seconds=1)(address)
    assert found.value.reason in ("timeout", "unreachable")
    assert time.monotonic() - began < 5


def test_an_endless_body_is_cut_off(get, site, tmp_path):
    sent = 0

    def endless(write: Write) -> None:
        nonlocal sent
        while not site.closing.is_set():
            write(b"x" * 65536)
            sent += 65536

    site.pages["/"] = Page(endless, headers={"Content-Type": "text/plain"})
    with refused("too-large"):
        get(f"{site.address}/", max_bytes=2**20)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2**20
    assert sent < 100 * 2**20


def test_a_body_that_is_declared_too_large_is_not_waited_for(get, site):
    site.pages["/"] = Page(b"x", headers={"Content-Type": "text/plain", "Content-Length": "9" * 15})
    with refused("too-large"):
        get(f"{site.address}/")


def test_a_gzip_bomb_grows_no_further_than_the_limit(get, site, tmp_path):
    bomb = gzip.compress(b"\0" * (200 * 2**20))
    site.pages["/"] = Page(bomb, headers={"Content-Type": HTML, "Content-Encoding": "gzip"})
    with refused("too-large"):
        get(f"{site.address}/", max_bytes=2**20)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2**20


def test_compressed_pages_are_read_and_others_than_asked_for_are_refused(get, site):
    body = page("Apples are red.").body
    assert isinstance(body, bytes)
    site.pages["/"] = Page(gzip.compress(body), headers={"Content-Type": HTML, "Content-Encoding": "gzip"})
    answer = get(f"{site.address}/")
    assert answer.file is not None
    assert answer.file.read_bytes() == body
    for name, content in (("br", body), ("gzip", body), ("gzip", gzip.compress(body)[:-9]), ("gzip, gzip", body)):
        site.pages["/"] = Page(content, headers={"Content-Type": HTML, "Content-Encoding": name})
        with refused("malformed"):
            get(f"{site.address}/")


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x00\xff" * 50, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40_000, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"],
)
def test_what_is_no_http_is_one_pages_failure(fetch, answer):
    with raw_server(lambda connection: connection.sendall(answer)) as address, refused("unreachable"):
        fetch()(address)


def test_a_site_that_cannot_be_reached_is_asked_once(fetch):
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        port = closed.getsockname()[1]
    get = fetch(CheckedBackend(LOCAL, resolve))
    for _ in range(5):
        with refused("unreachable"):
            get(f"http://127.0.0.1:{port}/")
    assert len(asked) == 1


def test_a_site_that_goes_down_is_left_alone_after_three_failures(fetch, site):
    get = fetch()
    site.pages |= {"/": page("Apples are red.", Connection="close")}
    get(f"{site.address}/")
    address = site.address
    site.stop()
    details = []
    for _ in range(4):
        with pytest.raises(NotFetched) as found:
            get(f"{address}/")
        details.append(found.value.detail)
    assert "left alone" in details[3]
    assert "left alone" not in details[2]


# Manners


def test_pages_are_asked_for_one_at_a_time_with_a_pause(fetch, site):
    site.pages |= {"/a": redirect("/b"), "/b": page("Bananas are yellow.")}
    get = fetch(delay_s=0.2)
    get(f"{site.address}/a")
    get(f"{site.address}/b")
    assert [asked.path for asked in site.asked] == ["/robots.txt", "/a", "/b", "/b"]
    times = [asked.at for asked in site.asked]
    assert all(after - before >= 0.19 for before, after in itertools.pairwise(times))


def test_a_request_says_honestly_who_asks_and_carries_nothing_else(get, site):
    site.pages["/"] = page("Apples are red.", **{"Set-Cookie": "id=1"})
    get(f"{site.address}/")
    get(f"{site.address}/")
    headers = site.asked[-1].headers
    assert headers["user-agent"] == f"citestream/{version('citestream')}"
    assert set(headers) == {"host", "user-agent", "accept", "accept-encoding"}


@pytest.mark.parametrize(
    ("robots", "allowed"),
    [
        (Page(b"User-agent: *\nDisallow: /private", 200, {"Content-Type": "text/plain"}), False),
        (Page(b"User-agent: citestream\nDisallow: /\nUser-agent: *\nAllow: /"), False),
        (Page(b"User-agent: *\nDisallow: /\nUser-agent: Citestream\nAllow: /"), True),
        (Page(b"User-agent: *\nDisallow: /\nAllow: /private/p"), True),
        (Page(b"User-agent: *\nDisallow: /*age$"), False),
        (Page(b"User-agent: *\nDisallow: /*" + b"*a" * 500 + b"$"), True),
        (Page(b"\xff\xfe\x00 not a robots.txt"), True),
        (Page(b"", 404), True),
        (Page(b"", 403), True),
        (Page(b"", 500), False),
        (redirect("/robots2.txt"), False),
        (redirect("http://10.0.0.1/"), None),
        (Page(b"User-agent: *\nCrawl-delay: 86400"), False),
        (Page(b"#" * 600_000 + b"\nUser-agent: *\nDisallow: /"), True),
    ],
)
def test_robots_txt_is_obeyed(get, site, robots, allowed):
    site.pages |= {
        "/robots.txt": robots,
        "/robots2.txt": Page(b"User-agent: *\nDisallow: /private/page"),
        "/private/page": page("Apples are red."),
    }
    if allowed:
        assert get(f"{site.address}/private/page").file is not None
    else:
        with refused("robots" if allowed is False else "private-address"):
            get(f"{site.address}/private/page")
        assert "/private/page" not in site.paths()


def test_each_site_on_the_way_has_its_own_rules(get, site):
    with Site() as other:
        other.pages |= {"/x": page("Bananas are yellow."), "/robots.txt": Page(b"User-agent: *\nDisallow: /")}
        site.pages["/a"] = redirect(f"{other.address}/x")
        with refused("robots"):
            get(f"{site.address}/a")
        assert other.paths() == []


def test_the_pause_that_a_site_asks_for_is_kept(fetch, site):
    site.pages |= {"/robots.txt": Page(b"User-agent: *\nCrawl-delay: 0.3"), "/": page("Apples are red.")}
    get = fetch()
    get(f"{site.address}/")
    get(f"{site.address}/")
    first, second = (asked.at for asked in site.asked if asked.path == "/")
    assert second - first >= 0.29


def test_a_busy_server_is_asked_once_more(get, site):
    site.pages["/"] = Page(b"", 503, {"Retry-After": "0"})
    with refused("http-status"):
        get(f"{site.address}/")
    assert site.paths() == ["/", "/"]


def test_a_site_that_stays_busy_is_left_alone(get, site):
    site.pages |= {"/robots.txt": Page(b""), "/": Page(b"", 429, {"Retry-After": "0"})}
    for reason in ("http-status", "unreachable", "unreachable"):
        with refused(reason):
            get(f"{site.address}/")
    assert site.paths() == ["/", "/", "/"]


# What comes back


def test_unchanged_pages_are_not_sent_again(get, site):
    site.pages |= {"/old": redirect("/"), "/": page("Apples are red.", ETag='W/"1"', **{"Last-Modified": "Mon"})}
    first = get(f"{site.address}/")
    assert first.validators == Validators('W/"1"', "Mon")
    again = get(f"{site.address}/old", lambda url: first.validators if url == f"{site.address}/" else NONE)
    assert (again.file, str(again.url)) == (None, f"{site.address}/")
    headers = site.asked[-1].headers
    assert (headers["if-none-match"], headers["if-modified-since"]) == ('W/"1"', "Mon")


def test_unchanged_is_no_answer_to_a_question_that_was_not_asked(get, site):
    site.pages["/"] = Page(b"", 304)
    with refused("http-status"):
        get(f"{site.address}/")


@pytest.mark.parametrize(("status", "reason"), [(404, "gone"), (410, "gone"), (401, "http-status"), (500, "http-status"), (204, "http-status"), (206, "http-status")])  # fmt: skip
def test_the_servers_word_is_told(get, site, status, reason):
    site.pages["/"] = Page(b"", status, {"Content-Type": HTML})
    with refused(reason):
        get(f"{site.address}/")


@pytest.mark.parametrize(
    ("path", "content_type", "format"),
    [
        ("/a", "text/html", "html"),
        ("/", "text/html", "html"),
        ("/a.php?x=1", "TEXT/HTML; charset=utf-8", "html"),
        ("/a.md", "text/html", "html"),
        ("/a.md", "text/plain", "markdown"),
        ("/a", "text/markdown", "markdown"),
        ("/a", "text/plain", "text"),
        ("/a.py", "text/x-python", "code"),
        ("/a.html", "", "html"),
        ("/a", "", "html"),
        ("/a", "application/octet-stream", "html"),
        ("/b.txt", "application/octet-stream", "text"),
        ("/a.ipynb", "application/json", "notebook"),
        ("/a", "application/json", "json"),
    ],
)
def test_what_a_page_is_follows_from_its_type_and_then_from_its_address(get, site, path, content_type, format):
    body = b'{"cells": [{"cell_type": "markdown", "source": "hi"}]}' if "json" in content_type else page("Hi.").body
    site.pages[path] = Page(body, headers={"Content-Type": content_type} if content_type else {})
    answer = get(site.address + path)
    assert answer.file is not None
    assert load(answer.file.read_bytes(), answer.name).format == format


@pytest.mark.parametrize("content_type", ["image/png", "video/mp4", "application/x-msdownload", "font/woff2"])
def test_what_no_loader_reads_is_not_even_fetched(get, site, content_type):
    read = threading.Event()

    def endless(write: Write) -> None:
        while not site.closing.is_set():
            write(b"x" * 65536)
        read.set()

    site.pages["/a.html"] = Page(endless, headers={"Content-Type": content_type})
    with refused("unsupported"):
        get(f"{site.address}/a.html")


RUSSIAN = "<title>Яблоки</title><p>Яблоки красные и растут на деревьях.</p>"


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        (RUSSIAN.encode("cp1251"), "windows-1251", "Яблоки красные"),
        (f"<meta charset=koi8-r>{RUSSIAN}".encode("cp1251"), "windows-1251", "Яблоки красные"),
        (RUSSIAN.encode(), "koi8-r", "Яблоки красные"),
        (f"<meta charset=koi8-r>{RUSSIAN}".encode("koi8-r"), "utf-8", "Яблоки красные"),
        (f"<meta charset=koi8-r>{RUSSIAN}".encode("koi8-r"), "no-such-charset", "Яблоки красные"),
        ("<p>日本語の文書です。</p>".encode("iso2022_jp"), "iso-2022-jp", "日本語の文書です。"),
        ("<p>日本語の文書です。</p>".encode("shift_jis"), '"Shift_JIS"', "日本語の文書です。"),
        ("<p>caf\xe9 “x”</p>".encode("cp1252"), "iso-8859-1", "café “x”"),
        (b"<p>plain words</p>", "punycode", "plain words"),
        (b"<p>plain words</p>", "zlib", "plain words"),
        (b"<p>+ADw-script+AD4- words</p>", "utf-7", "+ADw-script+AD4- words"),
    ],
)
def test_the_servers_charset_goes_before_the_pages_own(get, site, data, charset, text):
    site.pages["/"] = Page(data, headers={"Content-Type": f"text/html; charset={charset}"})
    answer = get(f"{site.address}/")
    assert answer.file is not None
    assert text in load(answer.file.read_bytes(), answer.name).text
