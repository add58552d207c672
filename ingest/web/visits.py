"""Visits: what came of asking for the pages that were named, and for those that named sitemaps list."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from graph.errors import SettingsError
from graph.library import KnownDocument
from graph.settings import Settings
from ingest.loaders import MAX_BYTES, SNIFF_BYTES, format_of
from ingest.sync import is_read_as
from ingest.web import NotFetched, sitemap
from ingest.web.address import Address, folder_of, parse_address, site_of
from ingest.web.connection import CheckedBackend
from ingest.web.fetch import NONE, Answer, Fetcher, Validators
from ingest.web.guard import Guard
from ingest.web.memory import Memory, Remembered
from ingest.web.sitemap import is_sitemap, read_sitemap, too_many, unpack

MAX_RUN_BYTES = 1024**3
"""Of all new pages of one run together, as of an archive."""
SKIPPED = ("unsupported", "robots", "elsewhere")
"""Reasons that are nobody's failure."""
CREDENTIALS = re.compile(r"//[^/?#]*@")
"""A name and password in an address that was refused for them; they are not told on."""

Outcome = Literal["read", "unchanged", "gone", "failed", "skipped"]
Tell = Callable[[str], None]
"""Told about each address before it is asked for."""


@dataclass(frozen=True)
class Visit:
    """What came of one address. `url` is where the page finally was, or the address itself where none was fetched.

    A page that was `read` is in `file`; an `unchanged` one is what the index has. `moved`: `asked` leads there for
    good. `sha256` is that of the page, as read now or before.
    """

    asked: str
    url: str
    outcome: Outcome
    reason: str = ""
    detail: str = ""
    file: Path | None = None
    name: str = ""
    sha256: str = ""
    size_bytes: int = 0
    validators: Validators = NONE
    moved: bool = False


def visit_pages(
    addresses: Sequence[str],
    settings: Settings,
    collection: str,
    known: Iterable[KnownDocument],
    spool: Path,
    *,
    prune: bool,
    keep: bool,
    tell: Tell,
) -> list[Visit]:
    """Ask for pages, and for all that sitemaps among them list; new ones are put into the folder `spool`.

    `known` are the documents of the collection. With `keep`, what servers gave for asking again is remembered in the
    data folder. Raises SettingsError when the hosts that the settings allow are none.
    """
    try:
        guard = Guard.parse(settings.web_private_hosts or "")
    except ValueError as exc:
        raise SettingsError(f"CITESTREAM_WEB_PRIVATE_HOSTS: {exc}. See docs/settings.md.") from exc
    memory = Memory(settings.data_dir)
    documents = {document.path: document for document in known}
    with Fetcher(CheckedBackend(guard), delay_s=settings.web_delay_s) as fetcher:
        visitor = Visitor(
            fetcher, spool, documents, memory.recall(collection), max_pages=settings.web_max_pages, tell=tell
        )
        visits = visitor.visit(addresses, prune=prune)
    if keep:
        memory.keep(
            collection,
            {visit.url: Remembered(visit.sha256, visit.validators) for visit in visits if visit.validators.headers},
            documents=documents.keys(),
        )
    return visits


class Visitor:
    """Asks for pages, one after the other."""

    def __init__(
        self,
        fetcher: Fetcher,
        spool: Path,
        known: Mapping[str, KnownDocument],
        remembered: Mapping[str, Remembered],
        *,
        max_pages: int,
        tell: Tell = lambda _: None,
    ) -> None:
        self._fetcher = fetcher
        self._spool = spool
        self._known = known
        self._remembered = remembered
        self._max_pages = max_pages
        self._tell = tell
        self._room = MAX_RUN_BYTES
        self._files = 0
        self._visits: dict[str, Visit] = {}
        self._urls: set[str] = set()

    def visit(self, addresses: Sequence[str], *, prune: bool) -> list[Visit]:
        """Ask for pages, and for all that sitemaps among them list.

        With `prune` also for pages of the index that are below a sitemap but no longer in it: a list may leave out what
        is there, so that only the server's word makes a page gone.
        """
        for address in addresses:
            try:
                url = parse_address(address)
            except NotFetched as exc:
                self._note_failure(address, exc)
                continue
            answer = self._get(url)
            if answer is None:
                continue
            try:
                if _is_unpacked_sitemap(answer):
                    self._visit_listed(answer, prune=prune)
                else:
                    self._note(url, answer)
            except NotFetched as exc:
                self._note_failure(str(url), exc)
        return list(self._visits.values())

    def _visit_listed(self, answer: Answer, *, prune: bool) -> None:
        """Ask for the pages of a sitemap. Raises NotFetched when it cannot be read."""
        site = site_of(answer.url)
        listed, is_complete = self._listed(answer, site)
        for address in listed:
            self._visit_page(address, site)
        if prune and is_complete:
            below = folder_of(answer.url)
            for address in sorted(self._known):
                if address.startswith(below):
                    self._visit_page(address, site)

    def _visit_page(self, address: str, site: str) -> None:
        try:
            url = parse_address(address)
        except NotFetched as exc:
            self._note_failure(address, exc)
            return
        if (answer := self._get(url, site)) is not None:
            self._note(url, answer)

    def _listed(self, answer: Answer, site: str) -> tuple[list[str], bool]:
        """The pages that a sitemap lists, also by way of other sitemaps, and whether these could all be read."""
        top = read_sitemap(_file(answer), self._max_pages)
        if top.kind == "pages":
            return list(top.addresses), True
        pages: list[str] = []
        is_complete = True
        for address in top.addresses:
            part = self._part(address, site)
            is_complete = is_complete and part is not None
            pages += part or ()
            if len(pages) > self._max_pages:
                raise too_many(self._max_pages)
        return pages, is_complete

    def _part(self, address: str, site: str) -> Sequence[str] | None:
        """The pages of a sitemap that another one lists; None, and noted, where it cannot be read."""
        try:
            answer = self._fetch(parse_address(address), site, sitemap.MAX_BYTES)
            if not _is_unpacked_sitemap(answer):
                raise NotFetched("malformed", "it is no sitemap")
            found = read_sitemap(_file(answer), self._max_pages)
            if found.kind != "pages":
                raise NotFetched("malformed", "a sitemap that another one lists may itself list pages only")
        except NotFetched as exc:
            if exc.reason == "too-many":
                raise
            self._note_failure(address, exc)
            return None
        return found.addresses

    def _get(self, url: Address, site: str | None = None) -> Answer | None:
        """Fetch a page that was not asked for yet; None, and noted, where that fails."""
        if str(url) in self._visits or str(url) in self._urls:
            return None
        try:
            return self._fetch(url, site)
        except NotFetched as exc:
            self._note_failure(str(url), exc)
            return None

    def _fetch(self, url: Address, site: str | None, max_bytes: int = MAX_BYTES) -> Answer:
        self._tell(str(url))
        self._files += 1
        file = self._spool / f"page-{self._files}"
        try:
            answer = self._fetcher.get(url, file, self._validators, within=site, max_bytes=max_bytes)
            self._room -= answer.size_bytes
            if self._room < 0:
                raise NotFetched("too-large", f"more than {MAX_RUN_BYTES // 2**20:,} MB of pages in one run")
        except NotFetched:
            file.unlink(missing_ok=True)
            raise
        return answer

    def _validators(self, url: str) -> Validators:
        """What to ask with whether a page has changed since the version that the index has."""
        known, remembered = self._known.get(url), self._remembered.get(url)
        if known is None or remembered is None or not is_read_as(known, remembered.sha256):
            return NONE
        return remembered.validators

    def _note(self, asked: Address, answer: Answer) -> None:
        url = str(answer.url)
        is_new = answer.file is not None
        if answer.file is not None and not _has_loader(answer.file, answer.name):
            self._note_failure(url, NotFetched("unsupported", "no loader for this kind of file"))
            return
        self._urls.add(url)
        self._visits[str(asked)] = Visit(
            str(asked),
            url,
            "read" if is_new else "unchanged",
            file=answer.file,
            name=answer.name,
            sha256=answer.sha256 if is_new else self._remembered[url].sha256,
            size_bytes=answer.size_bytes,
            validators=answer.validators,
            moved=answer.moved,
        )

    def _note_failure(self, asked: str, exc: NotFetched) -> None:
        asked = CREDENTIALS.sub("//…@", asked)
        outcome: Outcome = "gone" if exc.reason == "gone" else "skipped" if exc.reason in SKIPPED else "failed"
        self._visits[asked] = Visit(asked, asked, outcome, exc.reason, exc.detail)


def _has_loader(file: Path, name: str) -> bool:
    with file.open("rb") as opened:
        return format_of(opened.read(SNIFF_BYTES), name) is not None


def _file(answer: Answer) -> Path:
    if answer.file is None:
        raise NotFetched("malformed", "it is no sitemap")
    return answer.file


def _is_unpacked_sitemap(answer: Answer) -> bool:
    """Whether an answer is a sitemap, which is then unpacked. Raises NotFetched when it cannot be unpacked."""
    if answer.file is None:
        return False
    unpack(answer.file)
    return is_sitemap(answer.file)
