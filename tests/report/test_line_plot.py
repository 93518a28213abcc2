"""Line plots: everything is inside the frame, in SVG and in PNG."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from sgmn.errors import SgmnError
from sgmn.report import line_plot
from sgmn.report.line_plot import Axis, Line, LinePlot
from sgmn.report.plot_canvas import PNG_SCALE

SVG = "{http://www.w3.org/2000/svg}"
PLOT = LinePlot(
    "T",
    Axis("size", -0.5, 2.5, [(0, "2"), (1, "5"), (2, "10")]),
    "R@1",
    [
        Line("a < b & c", [0, 1, 2], [0.0, 0.5, 1.0], [0.0, 0.4, 0.9], [0.1, 0.6, 1.0]),
        Line("long " * 30, [1], [0.25], [0.2], [0.3]),
    ],
    has_diagonal=True,
)


def coordinates(root: ElementTree.Element) -> Iterator[tuple[float, float]]:
    """Every point that is drawn."""
    for part in root:
        name = part.tag.removeprefix(SVG)
        numbers = {key: float(value) for key, value in part.attrib.items() if is_number(value)}
        if name == "path":
            steps = re.findall(r"[-\d.]+", part.attrib["d"])
            yield from zip(map(float, steps[::2]), map(float, steps[1::2]), strict=True)
        elif name == "circle":
            yield numbers["cx"], numbers["cy"]
        else:
            yield numbers["x"], numbers["y"]


def is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def test_svg_is_well_formed_and_inside_its_frame() -> None:
    root = ElementTree.fromstring(PLOT.to_svg())
    assert root.tag == f"{SVG}svg"
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    points = list(coordinates(root))
    assert len(points) > 30
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)


def test_points_are_where_their_values_are() -> None:
    root = ElementTree.fromstring(PLOT.to_svg())
    width = float(root.attrib["viewBox"].split()[2])
    circles = [part.attrib for part in root.iter(f"{SVG}circle")]
    xs, ys = ([float(circle[key]) for circle in circles] for key in ("cx", "cy"))
    assert xs[0] < xs[1] == xs[3] < xs[2] and ys[0] > ys[3] > ys[1] > ys[2]
    assert ys[1] == pytest.approx((ys[0] + ys[2]) / 2, abs=0.1)
    assert xs[1] == pytest.approx((line_plot.LEFT + width - line_plot.RIGHT) / 2, abs=0.1)


def test_labels_are_complete_and_long_names_are_cut() -> None:
    root = ElementTree.fromstring(PLOT.to_svg())
    texts = [part.text for part in root.iter(f"{SVG}text")]
    assert {"T", "size", "R@1", "2", "5", "10", "a < b & c"} <= set(texts)
    assert max(len(text or "") for text in texts) == line_plot.LEGEND_CHARACTERS


def test_png_shows_the_same_plot(tmp_path: Path) -> None:
    PLOT.save(tmp_path / "plot.png")
    pixels = np.array(Image.open(tmp_path / "plot.png"))
    width, height = PLOT.size
    assert pixels.shape == (PNG_SCALE * height, PNG_SCALE * width, 3)
    for circle in ElementTree.fromstring(PLOT.to_svg()).iter(f"{SVG}circle"):
        x, y = (round(PNG_SCALE * float(circle.attrib[key])) for key in ("cx", "cy"))
        color = tuple(int(circle.attrib["fill"][i : i + 2], 16) for i in (1, 3, 5))
        assert tuple(pixels[y, x]) == color


def test_save_writes_svg_and_refuses_other_formats(tmp_path: Path) -> None:
    PLOT.save(tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").read_text() == PLOT.to_svg()
    with pytest.raises(SgmnError, match=r"pass a \.svg or \.png file"):
        PLOT.save(tmp_path / "plot.pdf")
