"""Difficulty of a clip in the three buckets of LPR4M, computed from boxes of sampled frames."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sgmn.records import Box

# Upper limit and name of each bucket.
SCALE_BUCKETS = ((0.2, "small"), (0.4, "medium"), (float("inf"), "large"))
VISIBILITY_BUCKETS = ((0.4, "short"), (0.7, "medium"), (float("inf"), "long"))
PRODUCT_COUNT_BUCKETS = ((3.0, "few"), (7.0, "medium"), (float("inf"), "abundant"))


def select_boxes(
    frames: Sequence[Mapping[int, Box]], products: Collection[int]
) -> tuple[tuple[Box, ...], ...]:
    """Return the boxes of the given products in each frame."""
    return tuple(
        tuple(box for product, box in frame.items() if product in products) for frame in frames
    )


def measure_difficulty(
    frames: Sequence[Mapping[int, Box]], products: Collection[int]
) -> dict[str, float | str]:
    """Return the buckets of a clip that sells `products`, and the numbers behind them.

    Keys of the numbers:
        area: mean area of the products' boxes, as a fraction of the frame, over the frames that
            have one.
        visible_share: fraction of the frames that have a box of the products.
        boxes: mean number of products of any kind per frame.
    """
    own_boxes = [boxes for boxes in select_boxes(frames, products) if boxes]
    areas = [sum(map(box_area, boxes)) / len(boxes) for boxes in own_boxes]
    mean_area = sum(areas) / max(len(areas), 1)
    visible_fraction = len(own_boxes) / max(len(frames), 1)
    product_count = sum(map(len, frames)) / max(len(frames), 1)
    return {
        "scale": bucket_of(mean_area, SCALE_BUCKETS),
        "visible": bucket_of(visible_fraction, VISIBILITY_BUCKETS),
        "products": bucket_of(product_count, PRODUCT_COUNT_BUCKETS),
        "area": round(mean_area, 4),
        "visible_share": round(visible_fraction, 4),
        "boxes": round(product_count, 2),
    }


def box_area(box: Box) -> float:
    """Return the area of a box as a fraction of the frame, 0..1."""
    left, top, right, bottom = box
    return (right - left) * (bottom - top)


def bucket_of(value: float, buckets: Sequence[tuple[float, str]]) -> str:
    """Return the name of the first bucket whose upper limit is not exceeded.

    >>> bucket_of(0.2, SCALE_BUCKETS), bucket_of(0.21, SCALE_BUCKETS)
    ('small', 'medium')
    """
    return next(name for limit, name in buckets if value <= limit)
