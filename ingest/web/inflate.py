"""gzip, undone piece by piece: a bomb grows no further than its reader lets it."""

import zlib
from collections.abc import Iterable, Iterator

from ingest.web import NotFetched

MAGIC = b"\x1f\x8b"
PIECE_BYTES = 64 * 1024
GZIP = 31
"""zlib's word for the gzip format and its largest window."""


def inflate(parts: Iterable[bytes]) -> Iterator[bytes]:
    """What was compressed, in pieces of at most 64 KB. Raises NotFetched when it is damaged, or cut off."""
    member = zlib.decompressobj(GZIP)
    begun = False
    try:
        for part in parts:
            while part:
                if member.eof:  # members may follow each other, and zeros the last one
                    part = part.lstrip(b"\0")
                    if not part:
                        break
                    member = zlib.decompressobj(GZIP)
                begun = True
                piece = member.decompress(part, PIECE_BYTES)
                yield piece
                part = member.unconsumed_tail or member.unused_data
                while len(piece) == PIECE_BYTES and not part and not member.eof:
                    piece = member.decompress(b"", PIECE_BYTES)
                    yield piece
    except zlib.error as exc:
        raise NotFetched("malformed", "what it is compressed as is damaged") from exc
    if begun and not member.eof:
        raise NotFetched("malformed", "it is cut off")
