"""Outline: the headings that are open at a place in a document."""


class Outline:
    """Follows the headings of a document from top to bottom."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []

    @property
    def path(self) -> tuple[str, ...]:
        """Titles from the outermost heading inwards."""
        return tuple(title for _, title in self._open)

    def enter(self, title: str, level: int) -> None:
        """Begin a section, which ends those of the same or a deeper level. Smaller levels are further out."""
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        if title:
            self._open.append((level, title))
