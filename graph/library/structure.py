"""Structure: the blocks of a document's text, kept with it so that it can be cut into other chunks without its file."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["heading", "paragraph", "list", "code", "table"]


@dataclass(frozen=True)
class Block:
    """A stretch of the canonical text, half-open, in code points.

    `heading` is the path of titles it stands under; a heading's own title ends its path. Where a format counts
    parts that are no pages, the path ends with one: `rows 2-9`, `cell 3`, `line 12`. `page` counts pages or slides
    from 1 and is None where a format has none. A block never spans two pages.
    """

    start: int
    end: int
    kind: Kind
    heading: tuple[str, ...] = ()
    page: int | None = None


def pack_blocks(blocks: Sequence[Block]) -> bytes:
    """Blocks as compressed JSON: the headings there are, and for each block its fields with its heading's number."""
    numbers = {heading: number for number, heading in enumerate(dict.fromkeys(block.heading for block in blocks))}
    rows = [[block.start, block.end, block.kind, numbers[block.heading], block.page] for block in blocks]
    return zlib.compress(json.dumps([list(numbers), rows], separators=(",", ":")).encode(), 1)


def unpack_blocks(packed: bytes) -> tuple[Block, ...]:
    """What `pack_blocks` was given."""
    headings, rows = json.loads(zlib.decompress(packed))
    paths = [tuple(heading) for heading in headings]
    return tuple(Block(start, end, kind, paths[number], page) for start, end, kind, number, page in rows)
