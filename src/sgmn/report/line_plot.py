"""Line plots with confidence bands, as SVG or PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sgmn import outputs
from sgmn.errors import SgmnError
from sgmn.report.plot_canvas import (
    Anchor,
    Circle,
    Color,
    Path2D,
    Point,
    Rectangle,
    Shape,
    Text,
    draw_png,
    draw_svg,
)

WIDTH, HEIGHT = 640, 400  # of the plot with its margins, without the legend below
LEFT, RIGHT, TOP, BOTTOM = 60, 24, 40, 56  # margins
LEGEND_ROW, LEGEND_CHARACTERS = 18, 80  # height of a row, and its longest text
COLORS = ("#1f5fa8", "#c4501b", "#2e7d4f", "#8a3f8f", "#7a6a1e", "#4a4a4a")
SHARES = [(place / 5, f"{place / 5:g}") for place in range(6)]
SUFFIXES = (".svg", ".png")


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
    """The horizontal axis from `start` to `end`, with its ticks: positions and labels."""

    name: str
    start: float = 0.0
    end: float = 1.0
    ticks: Sequence[tuple[float, str]] = tuple(SHARES)


@dataclass(frozen=True, slots=True)
class LinePlot:
    """Lines whose y goes from 0 to 1; `has_diagonal` adds y = x, dashed.

    `y_ticks` are positions in 0..1 and labels, for example of values on a logarithmic axis.
    """

    title: str
    axis: Axis
    y_name: str
    lines: Sequence[Line]
    has_diagonal: bool = False
    y_ticks: Sequence[tuple[float, str]] = tuple(SHARES)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return WIDTH, HEIGHT + LEGEND_ROW * len(self.lines)

    def to_svg(self) -> str:
        """The plot as SVG."""
        return draw_svg(self.shapes(), self.size)

    def save(self, path: Path) -> None:
        """Write the plot to a .svg or .png file."""
        require_plot_suffix(path)
        if path.suffix.lower() == ".svg":
            outputs.write_text(path, self.to_svg())
        else:
            draw_png(self.shapes(), self.size).save(path)

    def shapes(self) -> Iterator[Shape]:
        """Everything that is drawn, from back to front, in pixels from the top left corner."""
        yield Rectangle((0, 0), self.size, "#ffffff")
        yield from self._frame()
        if self.has_diagonal:
            ends = [self._point(0.0, 0.0), self._point(1.0, 1.0)]
            yield Path2D(ends, stroke="#777777", is_dashed=True)
        for number, line in enumerate(self.lines):
            color = COLORS[number % len(COLORS)]
            yield from self._curve(line, color)
            yield from _legend_entry(line.name, number, color)

    def _frame(self) -> Iterator[Shape]:
        """The title, both axes with their names, and light horizontal lines."""
        middle, foot = (LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM
        yield Text((middle, 22), self.title, Anchor.MIDDLE, size=14)
        yield Text((middle, HEIGHT - 12), self.axis.name, Anchor.MIDDLE)
        for share, label in self.y_ticks:
            y = _y(share)
            yield Path2D([(LEFT, y), (WIDTH - RIGHT, y)], stroke="#dddddd")
            yield Text((LEFT - 8, y + 4), label, Anchor.END)
        for position, label in self.axis.ticks:
            x = self._point(position, 0.0)[0]
            yield Path2D([(x, foot), (x, foot + 5)], stroke="#222222")
            yield Text((x, foot + 20), label, Anchor.MIDDLE)
        yield Text((16, HEIGHT / 2), self.y_name, Anchor.MIDDLE, is_vertical=True)

    def _curve(self, line: Line, color: Color) -> Iterator[Shape]:
        """The band, the line, and a dot at each point."""
        above = [self._point(x, y) for x, y in zip(line.x, line.high, strict=True)]
        below = [self._point(x, y) for x, y in zip(line.x, line.low, strict=True)]
        yield Path2D([*above, *reversed(below)], fill=color, fill_opacity=0.15)
        points = [self._point(x, y) for x, y in zip(line.x, line.y, strict=True)]
        yield Path2D(points, stroke=color, stroke_width=2)
        yield from (Circle(point, 3, color) for point in points)

    def _point(self, x: float, y: float) -> Point:
        axis = self.axis
        share = (x - axis.start) / (axis.end - axis.start)
        return LEFT + share * (WIDTH - LEFT - RIGHT), _y(y)


def require_plot_suffix(path: Path) -> None:
    """Raise SgmnError unless a file name ends with .svg or .png."""
    if path.suffix.lower() not in SUFFIXES:
        raise SgmnError("has an unknown suffix", path, "pass a .svg or .png file")


def _legend_entry(name: str, number: int, color: Color) -> Iterator[Shape]:
    y = HEIGHT + LEGEND_ROW * number
    label = name if len(name) <= LEGEND_CHARACTERS else f"{name[: LEGEND_CHARACTERS - 1]}…"
    yield Rectangle((LEFT, y - 4), (18, 4), color)
    yield Text((LEFT + 26, y + 2), label)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
