"""Media types: what a page is, by what its server says, as the name of a file that a loader knows."""

from collections.abc import Mapping
from email.message import Message
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

from ingest.loaders import FORMATS, SUFFIXES, Format
from ingest.web.address import Address

OFFICE: Final = "application/vnd.openxmlformats-officedocument."
EXACT: Final[Mapping[str, Format]] = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    "application/epub+zip": "epub",
    f"{OFFICE}wordprocessingml.document": "docx",
    f"{OFFICE}presentationml.presentation": "pptx",
    f"{OFFICE}spreadsheetml.sheet": "xlsx",
}
"""Types that say all."""
LOOSE: Final[Mapping[str, str]] = {
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/json": ".json",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/x-ipynb+json": ".ipynb",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "text/javascript": ".js",
    "application/javascript": ".js",
    "application/yaml": ".yaml",
    "application/gzip": "",
    "application/x-gzip": "",
    "application/zip": "",
    "application/octet-stream": "",
    "binary/octet-stream": "",
    "": "",
}
"""Types that servers also give to others than these; where the address ends in an extension that is known, that says
more. Any other `text/…` is text."""


def parse_type(header: str) -> tuple[str, str | None]:
    """The media type and the charset of a Content-Type, `("", None)` where there is none."""
    if not header.strip():
        return "", None
    message = Message()
    message["content-type"] = header
    charset = message.get_content_charset()
    return header.partition(";")[0].strip().lower(), charset


def file_name(url: Address, media_type: str) -> str | None:
    """What to call a page's file, so that the loader of its format reads it; None when there is none for its type.

    Without a type the address alone says it, and a page that begins like one is HTML.
    """
    last = unquote(url.path).rstrip("/").rpartition("/")[2].replace("\0", "").strip() or "index"
    suffix = PurePosixPath(last).suffix.lower()
    if exact := EXACT.get(media_type):
        return last if FORMATS.get(suffix) == exact else last + SUFFIXES[exact].split()[0]
    loose = LOOSE.get(media_type, ".txt" if media_type.startswith("text/") else None)
    if loose is None:
        return None
    return last if suffix in FORMATS or not loose else last + loose
