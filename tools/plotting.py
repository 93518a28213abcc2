"""Lines with bands in a plain SVG: what the figures of a model card need, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDE, HIGH = 640, 400  # of the plot with its margins, without the legend below
LEFT, RIGHT, TOP, BOTTOM = 60, 24, 40, 56  # margins
ROW, LETTERS = 18, 80  # height of a line of the legend, and its longest text
COLOURS = ("#1f5fa8", "#c4501b", "#2e7d4f", "#8a3f8f", "#7a6a1e", "#4a4a4a")
SHARES = [(place / 5, f"{place / 5:g}") for place in range(6)]


@dataclass(frozen=True, slots=True)
class Line:
    """Points from left to right, y in 0..1, with the ends of their intervals."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True, slots=True)
class Axis:
    """The horizontal axis from `start` to `end`, and what stands where below it."""

    name: str
    start: float = 0.0
    end: float = 1.0
    ticks: Sequence[tuple[float, str]] = tuple(SHARES)


def figure(
    title: str, axis: Axis, y_name: str, lines: Sequence[Line], diagonal: bool = False
) -> str:
    """The SVG of lines whose y goes from 0 to 1; `diagonal` adds y = x, dashed."""
    high = HIGH + ROW * len(lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {high}"'
        ' font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect x="0" y="0" width="{WIDE}" height="{high}" fill="#fff"/>',
        *_frame(title, axis, y_name),
    ]
    if diagonal:
        parts.append(
            _path(
                [(0.0, 0.0), (1.0, 1.0)], axis, 'stroke="#777" stroke-dasharray="5 4" fill="none"'
            )
        )
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        parts += [*_drawn(line, axis, colour), *_named(line.name, number, colour)]
    return "\n".join([*parts, "</svg>\n"])


def _frame(title: str, axis: Axis, y_name: str) -> Iterator[str]:
    """The title, both axes with their names, and faint lines at the shares."""
    middle, foot = (LEFT + WIDE - RIGHT) / 2, HIGH - BOTTOM
    yield _text(middle, 22, title, "middle", ' font-size="14"')
    yield _text(middle, HIGH - 12, axis.name, "middle")
    for share, label in SHARES:
        y = _y(share)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDE - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>'
        yield _text(LEFT - 8, y + 4, label, "end")
    for place, label in axis.ticks:
        x = _x(place, axis)
        yield f'<line x1="{x:.1f}" y1="{foot}" x2="{x:.1f}" y2="{foot + 5}" stroke="#222"/>'
        yield _text(x, foot + 20, label, "middle")
    upright = f' transform="rotate(-90 16 {HIGH / 2:g})"'
    yield _text(16, HIGH / 2, y_name, "middle", upright)


def _drawn(line: Line, axis: Axis, colour: str) -> Iterator[str]:
    """The band, the line, a dot at each point."""
    there, back = zip(line.x, line.high, strict=True), zip(line.x, line.low, strict=True)
    band = [*there, *reversed(list(back))]
    yield _path(band, axis, f'stroke="none" fill="{colour}" fill-opacity="0.15"')
    points = list(zip(line.x, line.y, strict=True))
    yield _path(points, axis, f'stroke="{colour}" stroke-width="2" fill="none"')
    for x, y in points:
        yield f'<circle cx="{_x(x, axis):.1f}" cy="{_y(y):.1f}" r="3" fill="{colour}"/>'


def _named(name: str, number: int, colour: str) -> Iterator[str]:
    y = HIGH + ROW * number
    yield f'<rect x="{LEFT}" y="{y - 4}" width="18" height="4" fill="{colour}"/>'
    yield _text(LEFT + 26, y + 2, name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…")


def _path(points: Sequence[tuple[float, float]], axis: Axis, style: str) -> str:
    steps = " L ".join(f"{_x(x, axis):.1f} {_y(y):.1f}" for x, y in points)
    return f'<path d="M {steps}" {style}/>'


def _text(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def _x(place: float, axis: Axis) -> float:
    return LEFT + (place - axis.start) / (axis.end - axis.start) * (WIDE - LEFT - RIGHT)


def _y(share: float) -> float:
    return HIGH - BOTTOM - share * (HIGH - TOP - BOTTOM)
