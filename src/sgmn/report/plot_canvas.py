"""Simple shapes, drawn as SVG or PNG. Positions are pixels from the top left corner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from math import hypot
from xml.sax.saxutils import escape

from PIL import Image, ImageColor, ImageDraw

from sgmn.report.text_layout import load_font

Point = tuple[float, float]
Color = str  # "#rrggbb"
TEXT_COLOR = "#222222"
DASH, GAP = 5, 4  # pixels
PNG_SCALE = 2  # pixels of a PNG per pixel of the plot


class Anchor(Enum):
    """Which end of a text its position names; the values are those of SVG."""

    START = "start"
    MIDDLE = "middle"
    END = "end"


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A filled rectangle: its top left corner, width and height."""

    corner: Point
    size: Point
    color: Color


@dataclass(frozen=True, slots=True)
class Circle:
    """A filled circle."""

    center: Point
    radius: float
    color: Color


@dataclass(frozen=True, slots=True)
class Path2D:
    """A polyline, or a filled polygon if it has a `fill`."""

    points: Sequence[Point]
    stroke: Color | None = None
    stroke_width: float = 1
    is_dashed: bool = False
    fill: Color | None = None
    fill_opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text on its baseline; a vertical one reads upwards."""

    position: Point
    text: str
    anchor: Anchor = Anchor.START
    size: int = 12
    is_vertical: bool = False


Shape = Rectangle | Circle | Path2D | Text


def draw_svg(shapes: Iterable[Shape], size: tuple[int, int]) -> str:
    """Shapes as an SVG document."""
    width, height = size
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' font-family="sans-serif" font-size="12" fill="{TEXT_COLOR}">'
    )
    return "\n".join([head, *map(_svg, shapes), "</svg>\n"])


def _svg(shape: Shape) -> str:
    match shape:
        case Rectangle((x, y), (width, height), color):
            return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{color}"/>'
        case Circle((x, y), radius, color):
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{color}"/>'
        case Path2D():
            return _svg_path(shape)
        case Text():
            return _svg_text(shape)


def _svg_path(path: Path2D) -> str:
    steps = " L ".join(f"{x:.1f} {y:.1f}" for x, y in path.points)
    style = f'stroke="{path.stroke or "none"}" fill="{path.fill or "none"}"'
    style += f' stroke-width="{path.stroke_width:g}" fill-opacity="{path.fill_opacity:g}"'
    style += f' stroke-dasharray="{DASH} {GAP}"' if path.is_dashed else ""
    return f'<path d="M {steps}" {style}/>'


def _svg_text(text: Text) -> str:
    x, y = text.position
    style = f' text-anchor="{text.anchor.value}" font-size="{text.size}"'
    style += f' transform="rotate(-90 {x:g} {y:g})"' if text.is_vertical else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{style}>{escape(text.text)}</text>'


def draw_png(shapes: Iterable[Shape], size: tuple[int, int]) -> Image.Image:
    """Shapes as an image of `PNG_SCALE` times the size."""
    image = Image.new("RGBA", _scaled(size), "#ffffff")
    for shape in shapes:
        layer = Image.new("RGBA", image.size)
        _draw(ImageDraw.Draw(layer), layer, shape)
        image.alpha_composite(layer)
    return image.convert("RGB")


def _draw(draw: ImageDraw.ImageDraw, layer: Image.Image, shape: Shape) -> None:
    match shape:
        case Rectangle((x, y), (width, height), color):
            draw.rectangle([_scaled((x, y)), _scaled((x + width, y + height))], color)
        case Circle((x, y), radius, color):
            corners = [(x - radius, y - radius), (x + radius, y + radius)]
            draw.ellipse([_scaled(corner) for corner in corners], color)
        case Path2D():
            _draw_path(draw, shape)
        case Text():
            _draw_text(layer, shape)


def _draw_path(draw: ImageDraw.ImageDraw, path: Path2D) -> None:
    if path.fill is not None:
        color = (*ImageColor.getrgb(path.fill)[:3], round(255 * path.fill_opacity))
        draw.polygon([_scaled(point) for point in path.points], color)
    if path.stroke is not None:
        width = round(PNG_SCALE * path.stroke_width)
        for part in _dashes(path.points) if path.is_dashed else [path.points]:
            draw.line([_scaled(point) for point in part], path.stroke, width, joint="curve")


def _dashes(points: Sequence[Point]) -> Iterable[Sequence[Point]]:
    """The dashes of each piece of a polyline."""
    for (x0, y0), (x1, y1) in pairwise(points):
        length = hypot(x1 - x0, y1 - y0)
        for start in range(0, int(length), DASH + GAP):
            shares = (start / length, min(1.0, (start + DASH) / length))
            yield [(x0 + share * (x1 - x0), y0 + share * (y1 - y0)) for share in shares]


def _draw_text(layer: Image.Image, text: Text) -> None:
    font = load_font(PNG_SCALE * text.size, text.text)
    width = round(font.getlength(text.text))
    height = 2 * PNG_SCALE * text.size
    line = Image.new("RGBA", (width + 1, height))
    ImageDraw.Draw(line).text((0, height * 3 // 4), text.text, TEXT_COLOR, font, anchor="ls")
    shift = {Anchor.START: 0, Anchor.MIDDLE: width // 2, Anchor.END: width}[text.anchor]
    x, y = _scaled(text.position)
    if text.is_vertical:
        line = line.rotate(90, expand=True)
        layer.paste(line, (x - height * 3 // 4, y - (width - shift)))
    else:
        layer.paste(line, (x - shift, y - height * 3 // 4))


def _scaled(point: Point) -> tuple[int, int]:
    return round(PNG_SCALE * point[0]), round(PNG_SCALE * point[1])
