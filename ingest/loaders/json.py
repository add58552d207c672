"""JSON: every value in a line with the names that lead to it."""

import json
import re
from collections.abc import Iterator
from typing import Any

from ingest.loaders import Loaded, Unreadable
from ingest.loaders.encoding import decode
from ingest.loaders.language import language_of
from ingest.loaders.pieces import Piece, assemble
from ingest.loaders.rows import BLOCK_CHARS, grouped

SURROGATE = re.compile("[\ud800-\udfff]")
MAX_DEPTH = 200
DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,[\w+/=\s]{64,}")


def load(data: bytes, name: str) -> Loaded:
    """Read records as `name.name: value` lines, and say in which item or entry of the outermost value they are.

    Half a surrogate pair becomes U+FFFD. Raises Unreadable where the syntax is broken.
    """
    value = parsed(decode(data))
    canonical, blocks = assemble(_pieces(value))
    return Loaded(canonical, _title(value) or name, language_of(canonical), "json", tuple(blocks))


def parsed(text: str) -> Any:
    """The value of a JSON text. Raises Unreadable."""
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError) as exc:
        raise Unreadable("malformed", "not valid JSON") from exc


def shown(text: str) -> str:
    """Text as it can be stored and read: whole characters, and no files in it."""
    return DATA_URI.sub("[data]", SURROGATE.sub("\ufffd", text)).strip()


def _pieces(value: Any) -> Iterator[Piece]:
    if _holds_records(value):
        yield from _items(value, "")
    elif isinstance(value, dict):
        yield from _members(value)
    else:
        yield Piece("paragraph", record(value))


def _members(value: dict[str, Any]) -> Iterator[Piece]:
    """What an object holds: short values together, long ones and lists of records apart, placed by their names."""
    for number, (name, held) in enumerate(value.items(), start=1):
        shown_name = shown(name)
        if _holds_records(held):
            yield from _items(held, shown_name)
            continue
        text = record(held, shown_name)
        if len(text) <= BLOCK_CHARS:
            yield Piece("table", text, group=1)
        else:
            yield Piece("table", text, group=number + 1, place=shown_name)


def _items(value: list[Any], above: str) -> Iterator[Piece]:
    return grouped(((number, record(item)) for number, item in enumerate(value, start=1)), "item", above)


def _holds_records(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict | list) for item in value)


def record(value: Any, name: str = "") -> str:
    """A value as lines, each with the names that lead to what it holds."""
    return "\n".join(_flat(value, name))


def _flat(value: Any, prefix: str) -> Iterator[str]:
    """A line for each value that holds no others, without recursion."""
    waiting = [(prefix, value, 0)]
    while waiting:
        name, item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise Unreadable("malformed", f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(item, dict):
            inner = [(f"{name}.{shown(key)}" if name else shown(key), held, depth + 1) for key, held in item.items()]
            waiting += reversed(inner)
        elif _holds_records(item):
            inner = [(f"{name}[{index}]", held, depth + 1) for index, held in enumerate(item)]
            waiting += reversed(inner)
        else:
            text = ", ".join(map(_scalar, item)) if isinstance(item, list) else _scalar(item)
            if text:
                yield f"{name}: {text}" if name else text


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return shown(value)
    return "" if value is None else json.dumps(value)


def _title(value: Any) -> str:
    title = value.get("title") or value.get("name") if isinstance(value, dict) else None
    return shown(title) if isinstance(title, str) else ""
