"""JSON Lines: a record a line, read as JSON is."""

from collections.abc import Iterator

from ingest.loaders import Loaded, Unreadable
from ingest.loaders.encoding import decode
from ingest.loaders.json import parsed, record
from ingest.loaders.language import language_of
from ingest.loaders.pieces import assemble
from ingest.loaders.rows import grouped


def load(data: bytes, name: str) -> Loaded:
    """Read records as `name.name: value` lines, and say in which lines they are.

    Half a surrogate pair becomes U+FFFD. Raises Unreadable where the syntax is broken, with the line.
    """
    text, blocks = assemble(grouped(_lines(decode(data)), "line"))
    return Loaded(text, name, language_of(text), "jsonl", tuple(blocks))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield number, record(parsed(line))
            except Unreadable as exc:
                raise Unreadable("malformed", f"line {number} is not valid JSON") from exc
