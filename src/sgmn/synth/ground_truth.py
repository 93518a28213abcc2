"""LPR4M's buckets, computed from the boxes of a clip's sampled frames."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sgmn.records import Box

SCALE = ((0.2, "small"), (0.4, "medium"), (float("inf"), "large"))
VISIBLE = ((0.4, "short"), (0.7, "medium"), (float("inf"), "long"))
PRODUCTS = ((3.0, "few"), (7.0, "medium"), (float("inf"), "abundant"))


def meant(
    frames: Sequence[Mapping[int, Box]], products: Collection[int]
) -> tuple[tuple[Box, ...], ...]:
    """Of each frame the boxes of the products meant."""
    return tuple(tuple(box for place, box in f.items() if place in products) for f in frames)


def measures(
    frames: Sequence[Mapping[int, Box]], products: Collection[int]
) -> dict[str, float | str]:
    """The three buckets with the numbers behind them.

    `area` is the mean over frames with a box of the mean area (share of the picture),
    `visible_share` the share of frames with a box, `boxes` the mean number of products of any
    kind that a frame shows.
    """
    found = [boxes for boxes in meant(frames, products) if boxes]
    areas = [sum(map(area, boxes)) / len(boxes) for boxes in found]
    mean_area = sum(areas) / max(len(areas), 1)
    share = len(found) / max(len(frames), 1)
    count = sum(map(len, frames)) / max(len(frames), 1)
    return {
        "scale": bucket(mean_area, SCALE),
        "visible": bucket(share, VISIBLE),
        "products": bucket(count, PRODUCTS),
        "area": round(mean_area, 4),
        "visible_share": round(share, 4),
        "boxes": round(count, 2),
    }


def area(box: Box) -> float:
    """The share of the picture that a box covers, 0..1."""
    left, top, right, bottom = box
    return (right - left) * (bottom - top)


def bucket(value: float, limits: Sequence[tuple[float, str]]) -> str:
    """The name of the first limit that a value does not exceed.

    >>> bucket(0.2, SCALE), bucket(0.21, SCALE)
    ('small', 'medium')
    """
    return next(name for limit, name in limits if value <= limit)
