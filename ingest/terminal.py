"""Terminal: names and texts of documents as they may be put there.

Nothing in them can move the cursor or change the colours.
"""

import re
import unicodedata

JOINERS = "\u200c\u200d"  # they shape Persian and Indian words, and hold emoji together
LINE_END = re.compile(r"\r\n?")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def shown(name: str) -> str:
    """A name on one line: line ends, controls and marks that change the reading direction become U+FFFD."""
    return "".join(char if _is_harmless(char) else "\ufffd" for char in name)


def shown_text(text: str) -> str:
    """Text with its lines and tabs; control characters become U+FFFD."""
    return CONTROLS.sub("\ufffd", LINE_END.sub("\n", text))


def _is_harmless(char: str) -> bool:
    return char.isprintable() or char in JOINERS or unicodedata.category(char) == "Zs"


def megabytes(size_bytes: int) -> str:
    """A size as people read it."""
    return f"{size_bytes / 2**20:,.1f} MB"
