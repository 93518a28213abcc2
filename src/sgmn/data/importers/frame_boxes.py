"""Boxes of frames: from pixels or shares to the boxes of a clip, and the buckets of LPR4M."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from sgmn.data.importers.lpr4m import PixelBox
from sgmn.records import Box

FrameBoxes = Sequence[Sequence[PixelBox]]  # the boxes of each frame
PIXEL_TOLERANCE = 2.0  # of rounding, beyond the edges of the original frame


def are_shares(boxes: FrameBoxes) -> bool:
    """Whether boxes are shares of width and height, 0..1, rather than pixels.

    >>> are_shares([[(0.1, 0.2, 1.0, 0.9)], []]), are_shares([[(10, 20, 300, 400)]])
    (True, False)
    """
    return all(side <= 1 for frame in boxes for box in frame for side in box)


def normalize(boxes: Sequence[PixelBox], size: tuple[int, int] | None) -> tuple[list[Box], int]:
    """Return the boxes of a frame as shares, and how many of them leave the frame.

    Args:
        boxes: Of one frame.
        size: Width and height of the original frame in pixels; None if the boxes are shares.

    A box that leaves the frame is clipped to it; one without an area is left out and not counted.
    """
    width, height = size or (1, 1)
    tolerance = PIXEL_TOLERANCE if size else 0.0
    normalized, outside = [], 0
    for left, top, right, bottom in boxes:
        outside += (
            min(left, top) < -tolerance or right > width + tolerance or bottom > height + tolerance
        )
        x0, x1 = (min(max(x / width, 0.0), 1.0) for x in (left, right))
        y0, y1 = (min(max(y / height, 0.0), 1.0) for y in (top, bottom))
        if x0 < x1 and y0 < y1:
            normalized.append(tuple(round(side, 5) for side in (x0, y0, x1, y1)))
    return normalized, outside  # type: ignore[return-value]  # four sides each


def compute_buckets(frames: Sequence[Sequence[Box]]) -> dict[str, str]:
    """Return the buckets of a test clip, from the normalized boxes of all of its frames.

    As LPR4M defines them: the mean area of the boxes, a frame without a box having none; the
    share of frames with a box; the mean number of boxes in a frame.

    >>> compute_buckets([[(0, 0, 0.5, 0.5)], []])
    {'scale': 'small', 'visible': 'medium', 'products': 'few'}
    """
    if not frames:
        return {}
    areas = [fmean([(r - x) * (b - y) for x, y, r, b in boxes] or [0.0]) for boxes in frames]
    visible, count = fmean(bool(boxes) for boxes in frames), fmean(map(len, frames))
    return {
        "scale": _bucket(fmean(areas), (0.2, "small"), (0.4, "medium"), "large"),
        "visible": _bucket(visible, (0.4, "short"), (0.7, "medium"), "long"),
        "products": _bucket(count, (3, "few"), (7, "medium"), "abundant"),
    }


def _bucket(value: float, low: tuple[float, str], middle: tuple[float, str], highest: str) -> str:
    for limit, name in (low, middle):
        if value <= limit:
            return name
    return highest
