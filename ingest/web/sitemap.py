"""Sitemaps: the pages of a site as it lists them itself (https://www.sitemaps.org/protocol.html).

Read as a stream. A sitemap with a document type is refused: none needs one, and entities can grow without end.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.parsers import expat

from ingest.web import NotFetched
from ingest.web.address import MAX_CHARS
from ingest.web.inflate import MAGIC, inflate

MAX_BYTES = 50 * 1024 * 1024
"""Of a sitemap when unpacked, by the protocol."""
MAX_DEPTH = 50
SNIFF_BYTES = 4096
READ_BYTES = 64 * 1024
ENTRIES = {"urlset": "url", "sitemapindex": "sitemap"}


@dataclass(frozen=True)
class Sitemap:
    """What a sitemap lists, in its order: pages, or further sitemaps."""

    kind: Literal["pages", "sitemaps"]
    addresses: tuple[str, ...]


def unpack(file: Path) -> None:
    """Unpack a file in place where it is gzip. Raises NotFetched when it is damaged or larger than a sitemap may be."""
    with file.open("rb") as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            return
        opened.seek(0)
        unpacked = file.with_name(file.name + ".unpacked")
        size = 0
        with unpacked.open("wb") as written:
            for piece in inflate(iter(lambda: opened.read(READ_BYTES), b"")):
                size += len(piece)
                if size > MAX_BYTES:
                    raise NotFetched("too-large", f"larger than {MAX_BYTES // 2**20} MB when unpacked")
                written.write(piece)
    unpacked.replace(file)


def is_sitemap(file: Path) -> bool:
    """Whether a file begins like a sitemap, perhaps one that will be refused."""
    names: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, _: names.append(name)
    parser.StartDoctypeDeclHandler = lambda name, *_: names.append(name)
    with file.open("rb") as opened:
        try:
            parser.Parse(opened.read(SNIFF_BYTES), False)
        except (expat.ExpatError, ValueError, LookupError):
            pass  # what was begun before is known
    return bool(names) and names[0].rpartition(" ")[2] in ENTRIES


def read_sitemap(file: Path, max_addresses: int) -> Sitemap:
    """Read a sitemap. Raises NotFetched when it is no sound one, or lists more than `max_addresses`."""
    reader = _Reader(max_addresses)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        with file.open("rb") as opened:
            parser.ParseFile(opened)
    except (expat.ExpatError, ValueError, LookupError) as exc:
        raise NotFetched("malformed", "the sitemap is damaged, or cut off") from exc
    return Sitemap("pages" if reader.root == "urlset" else "sitemaps", tuple(reader.found))


def too_many(max_addresses: int) -> NotFetched:
    """What to raise about more pages than are wanted."""
    return NotFetched(
        "too-many",
        f"it lists more than {max_addresses:,} pages, and none was taken; CITESTREAM_WEB_MAX_PAGES can allow more",
    )


class _Reader:
    """Collects the `loc` of each entry; those of pictures and films inside an entry are passed over."""

    def __init__(self, max_addresses: int) -> None:
        self.root = ""
        self.found: list[str] = []
        self._max = max_addresses
        self._path: list[str] = []
        self._loc: list[str] | None = None
        self._chars = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        self._path.append(name.rpartition(" ")[2])
        if len(self._path) == 1:
            self.root = self._path[0]
            if self.root not in ENTRIES:
                raise NotFetched("malformed", "it is no sitemap")
        if len(self._path) > MAX_DEPTH:
            raise NotFetched("malformed", "it is no sitemap: its parts are nested too deep")
        if self._path[1:] == [ENTRIES[self.root], "loc"]:
            self._loc, self._chars = [], 0

    def text(self, data: str) -> None:
        if self._loc is not None:
            self._chars += len(data)
            if self._chars <= 2 * MAX_CHARS:  # more is an address that will be refused
                self._loc.append(data)

    def end(self, _: str) -> None:
        self._path.pop()
        if self._loc is not None and len(self._path) == 2:
            if address := "".join(self._loc).strip():
                if len(self.found) >= self._max:
                    raise too_many(self._max)
                self.found.append(address)
            self._loc = None

    def doctype(self, *_: object) -> None:
        raise NotFetched("malformed", "the sitemap has a document type, which no sitemap needs")
