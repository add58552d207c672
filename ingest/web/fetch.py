"""Fetching: one page after the other, at a polite pace, each hop of a redirect looked at anew."""

import hashlib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self

import httpcore2

from ingest.loaders import FORMATS, MAX_BYTES, Format
from ingest.loaders.encoding import recode
from ingest.web import NotFetched, robots
from ingest.web.address import Address, host_of, parse_address, port_of, site_of
from ingest.web.connection import CONNECT_SECONDS, CheckedBackend
from ingest.web.inflate import inflate
from ingest.web.media import file_name, parse_type
from ingest.web.robots import Rules

USER_AGENT = f"{robots.TOKEN}/{version('citestream')}"
ACCEPT = "text/html, application/xhtml+xml, application/pdf, text/*;q=0.9, application/xml;q=0.9, */*;q=0.5"
REQUEST_SECONDS = 60.0
"""What one request may take, from connecting to the last byte."""
READ_SECONDS = 15.0
"""How long a server may be silent."""
KEEP_SECONDS = 3.0
"""How long a connection is kept for the next page: less than any server keeps it."""
MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
PERMANENT = (301, 308)
GONE = (404, 410)
BUSY = (429, 503)
BUSY_WAIT_S, MAX_BUSY_WAIT_S = 5.0, 60.0
MAX_FAILURES = 3
"""After so many requests without an answer, one after the other, a site is left alone."""
MAX_VALIDATOR_CHARS = 512
TEXTS: tuple[Format, ...] = ("html", "markdown", "text", "csv", "json", "jsonl", "notebook", "code")
"""Formats for which a charset means something."""


@dataclass(frozen=True)
class Validators:
    """What a server gave with a page, to ask later whether the page has changed (RFC 9110, 8.8)."""

    etag: str = ""
    last_modified: str = ""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The conditions of a request."""
        named = ((b"If-None-Match", self.etag), (b"If-Modified-Since", self.last_modified))
        return [(name, value.encode("latin-1")) for name, value in named if value]


NONE = Validators()
Known = Callable[[str], Validators]
"""The validators of the page at an address, where what they were given with is in the index."""


@dataclass(frozen=True)
class Answer:
    """A page at its final address; without `file` it is what it was when its validators were given.

    `name` is what a loader is to take its file for. `moved`: that it is there, and not where it was asked for, holds
    for good.
    """

    url: Address
    file: Path | None
    name: str
    sha256: str
    size_bytes: int
    validators: Validators
    moved: bool


@dataclass(frozen=True)
class _Reply:
    """A response that is no redirect, and where it came from."""

    url: Address
    response: httpcore2.Response
    conditions: Validators
    moved: bool

    @property
    def status(self) -> int:
        return self.response.status

    def header(self, name: bytes) -> str:
        found = (value for key, value in self.response.headers if key.lower() == name)
        return next(found, b"").decode("latin-1").strip()


class Fetcher:
    """Fetches pages over checked connections. Use it as a context manager; one thread at a time.

    No cookies, no credentials, no proxies, whatever the environment says: behind a proxy nobody could say what is
    connected to.
    """

    def __init__(self, backend: CheckedBackend, *, delay_s: float, seconds: float = REQUEST_SECONDS) -> None:
        self._backend = backend
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpcore2.default_ssl_context(),
            network_backend=backend,
            max_connections=4,
            keepalive_expiry=KEEP_SECONDS,
        )
        self._delay_s = delay_s
        self._seconds = seconds
        self._rules: dict[str, Rules | NotFetched] = {}
        self._asked: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def get(
        self,
        url: Address,
        file: Path,
        known: Known = lambda _: NONE,
        *,
        within: str | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> Answer:
        """Fetch a page into a file. Raises NotFetched, with the reason `gone` where the server says that none is there.

        `within`: the site that redirects may not leave.
        """

        def check(hop: Address) -> None:
            if within is not None and site_of(hop) != within:
                raise NotFetched("elsewhere", "it leads to another host than the sitemap's")
            self._rules_of(hop).check(str(hop))

        with self._follow(url, check, known) as reply:
            if reply.status == 304 and reply.conditions.headers:
                return Answer(reply.url, None, "", "", 0, reply.conditions, reply.moved)
            name = _checked_name(reply)
            _save(reply, file, max_bytes)
            validators = Validators(*(_short(reply.header(name)) for name in (b"etag", b"last-modified")))
            sha256, size_bytes = _finish(file, name, reply)
            return Answer(reply.url, file, name, sha256, size_bytes, validators, reply.moved)

    @contextmanager
    def _follow(self, url: Address, check: Callable[[Address], None], known: Known) -> Iterator[_Reply]:
        """The reply at the end of redirects; `check` is asked about each address before it is connected to."""
        here, moved = url, True
        for _ in range(MAX_REDIRECTS + 1):
            check(here)
            conditions = known(str(here))
            with self._ask(here, conditions) as response:
                reply = _Reply(here, response, conditions, moved and here != url)
                if reply.status not in REDIRECTS:
                    yield reply
                    return
                moved = moved and reply.status in PERMANENT
                here = _target(reply)
        raise NotFetched("redirect", f"it is redirected more than {MAX_REDIRECTS} times")

    @contextmanager
    def _ask(self, url: Address, conditions: Validators) -> Iterator[httpcore2.Response]:
        """A response; a server that is busy is asked once more."""
        for is_last in (False, True):
            self._pace(url)
            with self._exchange(url, conditions) as response:
                if is_last or response.status not in BUSY:
                    yield response
                    return
                wait_s = _busy_s(_Reply(url, response, conditions, moved=False))
            time.sleep(wait_s)

    @contextmanager
    def _exchange(self, url: Address, conditions: Validators) -> Iterator[httpcore2.Response]:
        site = site_of(url)
        if self._failures.get(site, 0) >= MAX_FAILURES:
            raise NotFetched("unreachable", f"{host_of(url)} gave no answer {MAX_FAILURES} times in a row and was left alone")
        wanted = httpcore2.URL(
            scheme=url.scheme.encode(), host=url.raw_host, port=port_of(url), target=url.raw_path or b"/"
        )
        headers = [
            (b"Host", url.netloc),
            (b"User-Agent", USER_AGENT.encode()),
            (b"Accept", ACCEPT.encode()),
            (b"Accept-Encoding", b"gzip"),
            *conditions.headers,
        ]
        limits = {"connect": CONNECT_SECONDS, "read": READ_SECONDS, "write": READ_SECONDS, "pool": CONNECT_SECONDS}
        self._backend.deadline = time.monotonic() + self._seconds
        self._failures[site] = self._failures.get(site, 0) + 1
        try:
            with self._pool.stream("GET", wanted, headers=headers, extensions={"timeout": limits}) as response:
                if response.status not in BUSY:
                    self._failures[site] = 0
                yield response
        except httpcore2.TimeoutException as exc:
            raise NotFetched("timeout", f"{host_of(url)} did not answer in time") from exc
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as exc:
            raise NotFetched("unreachable", _broken(exc, host_of(url))) from exc
        finally:
            self._asked[site] = time.monotonic()

    def _pace(self, url: Address) -> None:
        """Wait until the site may be asked again."""
        rules = self._rules.get(_origin(url))
        delay_s = max(self._delay_s, rules.delay_s if isinstance(rules, Rules) else 0.0)
        if (asked := self._asked.get(site_of(url))) is not None:
            time.sleep(max(0.0, asked + delay_s - time.monotonic()))

    def _rules_of(self, url: Address) -> Rules:
        """The robots.txt of a site, fetched once. Raises NotFetched when nobody knows what it says."""
        origin = _origin(url)
        if origin not in self._rules:
            try:
                self._rules[origin] = self._fetch_rules(parse_address("/robots.txt", url))
            except NotFetched as exc:
                self._rules[origin] = exc
        rules = self._rules[origin]
        if isinstance(rules, NotFetched):
            raise NotFetched(rules.reason, rules.detail)
        return rules

    def _fetch_rules(self, url: Address) -> Rules:
        with self._follow(url, lambda _: None, lambda _: NONE) as reply:
            if 200 <= reply.status < 300:
                return Rules.parse(_beginning(_body(reply), robots.MAX_BYTES))
            if 400 <= reply.status < 500 and reply.status not in BUSY:
                return Rules()  # there is none, which allows everything (RFC 9309, 2.3.1.3)
        raise NotFetched("robots", f"the site's robots.txt cannot be read (status {reply.status})")


def _origin(url: Address) -> str:
    return f"{url.scheme}://{site_of(url)}"


def _target(reply: _Reply) -> Address:
    # Servers send other letters as UTF-8, where the header's own encoding has none of them.
    location = reply.header(b"location").encode("latin-1").decode("utf-8", "replace")
    if not location:
        raise NotFetched("redirect", "it is redirected to nowhere")
    try:
        return parse_address(location, reply.url)
    except NotFetched as exc:
        raise NotFetched("redirect", f"it is redirected, but {exc.detail}") from exc


def _busy_s(reply: _Reply) -> float:
    told = reply.header(b"retry-after")
    wait_s = float(told) if told.isascii() and told.isdigit() and len(told) < 9 else BUSY_WAIT_S
    return min(wait_s, MAX_BUSY_WAIT_S)


def _broken(exc: Exception, host: str) -> str:
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate of {host} is not valid"
        cause = cause.__cause__ or cause.__context__
    return f"{host} cannot be connected to, or broke off"


def _checked_name(reply: _Reply) -> str:
    """What the page's file is called. Raises NotFetched when there is no page, or none of a format that is read."""
    if reply.status in GONE:
        raise NotFetched("gone", f"the server says that there is no such page (status {reply.status})")
    if reply.status not in (200, 203):
        raise NotFetched("http-status", f"the server gives no page (status {reply.status})")
    media_type, _ = parse_type(reply.header(b"content-type"))
    name = file_name(reply.url, media_type)
    if name is None:
        raise NotFetched("unsupported", "no loader for this kind of file")
    return name


def _body(reply: _Reply) -> Iterator[bytes]:
    """The body, without what it was compressed by."""
    parts = iter(reply.response.iter_stream())
    match reply.header(b"content-encoding").lower():
        case "" | "identity":
            return parts
        case "gzip" | "x-gzip":
            return inflate(parts)
        case _:
            raise NotFetched("malformed", "it is compressed in a way that was not asked for")


def _save(reply: _Reply, file: Path, max_bytes: int) -> None:
    """Write the body to a file, as it comes, and no more than `max_bytes` of it."""
    told = reply.header(b"content-length")
    too_large = NotFetched("too-large", f"larger than {max_bytes // 2**20} MB")
    if told.isascii() and told.isdigit() and int(told[:20]) > max_bytes:
        raise too_large
    size = 0
    with file.open("wb") as written:
        for part in _body(reply):
            size += len(part)
            if size > max_bytes:
                raise too_large
            written.write(part)


def _finish(file: Path, name: str, reply: _Reply) -> tuple[str, int]:
    """Bring a text into UTF-8 where the server says what it is in; the hash and size of the file."""
    data = file.read_bytes()
    _, charset = parse_type(reply.header(b"content-type"))
    if charset and FORMATS.get(Path(name).suffix.lower()) in TEXTS:
        recoded = recode(data, charset)
        if recoded is not data:
            data = recoded
            file.write_bytes(data)
    return hashlib.sha256(data).hexdigest(), len(data)


def _beginning(parts: Iterator[bytes], max_bytes: int) -> bytes:
    found = b""
    for part in parts:
        found += part
        if len(found) >= max_bytes:
            break
    return found


def _short(value: str) -> str:
    return value if len(value) <= MAX_VALIDATOR_CHARS else ""
