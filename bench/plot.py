"""Plots: lines over a logarithmic axis, as an SVG picture that the documents show."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 32, 36, 48
LINE = 16
"""Height of a line of text."""
COLOURS = ("#2563eb", "#d97706", "#059669", "#dc2626")

Points = Sequence[tuple[float, float]]


def plot(path: Path, title: str, x: str, y: str, lines: Mapping[str, Points]) -> None:
    """Draw lines over x, which is logarithmic; y begins at 0."""
    xs = [math.log10(point[0]) for points in lines.values() for point in points]
    top = _ceiling(max(point[1] for points in lines.values() for point in points))
    low, high = min(xs), max(xs)
    upper = TOP + LINE * len(lines)

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = (math.log10(point[0]) - low) / ((high - low) or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - point[1] / top * (HEIGHT - upper - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(WIDTH / 2, 18, title, size=14),
        _text(WIDTH / 2, HEIGHT - 8, x),
        _text(14, upper - 10, y, anchor="start"),
    ]
    for step in range(5):
        _, at = place((10**low, top * step / 4))
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#e5e7eb"/>')
        parts.append(_text(LEFT - 6, at + 4, f"{top * step / 4:g}", anchor="end"))
    for value in sorted({point[0] for points in lines.values() for point in points}):
        parts.append(_text(place((value, 0))[0], HEIGHT - BOTTOM + 16, f"{value:,.0f}"))
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [place(point) for point in points]
        track = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
        parts.append(f'<polyline points="{track}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="{colour}"/>' for across, down in places]
        parts.append(_text(LEFT, TOP + LINE * number, name, anchor="start", colour=colour))
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def _ceiling(value: float) -> float:
    """A round number that is not less."""
    unit: float = 10.0 ** math.floor(math.log10(value))
    return next(unit * step for step in (1, 2, 4, 5, 8, 10) if unit * step >= value)


def _text(x: float, y: float, said: str, *, anchor: str = "middle", size: int = 12, colour: str = "#111827") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(said)}</text>'
    )
