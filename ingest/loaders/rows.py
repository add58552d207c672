"""Rows: a table of records as text in which every row says what its cells are."""

from collections.abc import Iterable, Iterator, Sequence

from ingest.loaders.pieces import Piece

BLOCK_CHARS = 350
"""Rows of so much text together are a block: about a chunk, so that a place names few rows."""

Row = tuple[int, Sequence[str]]
"""Its number as people count, from 1, and its cells; trailing empty ones may be missing."""


def pieces_of_rows(rows: Iterable[Row]) -> Iterator[Piece]:
    """Blocks of neighbouring rows, `name: value | name: value` each, placed as `rows 2-9`.

    Names come from the first row, if it is a head: all of its cells are filled, differ and are no numbers, and rows
    follow. A row too long for a block has a line a cell. Empty rows are left out.
    """
    filled = ((number, [" ".join(cell.split()) for cell in cells]) for number, cells in rows if any(cells))
    first = next(filled, None)
    if first is None:
        return
    second = next(filled, None)
    if second is None or not _is_head(first[1]):
        names: Sequence[str] = ()
        known: tuple[Row, ...]
        known = (first, second) if second is not None else (first,)
    else:
        names, known = first[1], (second,)
    yield from grouped(((number, _row(names, cells)) for number, cells in _chain(known, filled)), "row")


def grouped(records: Iterable[tuple[int, str]], noun: str, above: str = "") -> Iterator[Piece]:
    """Blocks of neighbouring records, given by number and text, as long as they are short: `rows 2-9`, `row 10`.

    `above` stands before the place, as the name of the list that the records are of.
    """
    group = 1
    waiting: list[tuple[int, str]] = []
    size = 0
    for number, text in records:
        if not text:
            continue
        if waiting and size + len(text) > BLOCK_CHARS:
            yield _block(waiting, group, noun, above)
            waiting, size, group = [], 0, group + 1
        waiting.append((number, text))
        size += len(text)
    if waiting:
        yield _block(waiting, group, noun, above)


def _chain(known: Iterable[Row], rest: Iterable[Row]) -> Iterator[Row]:
    yield from known
    yield from rest


def _is_head(cells: Sequence[str]) -> bool:
    named = [cell for cell in cells if cell]
    return (
        len(named) == len(cells) == len(set(named))
        and len(cells) > 1
        and not any(cell[0].isdigit() or cell[0] in "-+" for cell in named)
    )


def _row(names: Sequence[str], cells: Sequence[str]) -> str:
    shown = [f"{names[column]}: {cell}" if column < len(names) else cell for column, cell in enumerate(cells) if cell]
    text = " | ".join(shown)
    return text if len(text) <= BLOCK_CHARS else "\n".join(shown)


def _block(records: list[tuple[int, str]], group: int, noun: str, above: str) -> Piece:
    first, last = records[0][0], records[-1][0]
    place = f"{noun} {first}" if first == last else f"{noun}s {first}-{last}"
    text = "\n".join(text for _, text in records)
    return Piece("table", text, group, place=f"{above}, {place}" if above else place)
