"""Boxes in pixels or shares, and the buckets of LPR4M at their limits."""

from __future__ import annotations

import pytest

from sgmn.data.importers.frame_boxes import are_shares, compute_buckets, normalize


def test_pixels_are_divided_by_the_original_size() -> None:
    assert normalize([(135, 240, 405, 480)], (540, 960)) == ([(0.25, 0.25, 0.75, 0.5)], 0)


def test_shares_stay() -> None:
    assert normalize([(0.1, 0.2, 0.3, 1.0)], None) == ([(0.1, 0.2, 0.3, 1.0)], 0)


def test_a_box_beyond_the_frame_is_clipped_and_counted() -> None:
    assert normalize([(-50, 0, 270, 960)], (540, 960)) == ([(0.0, 0.0, 0.5, 1.0)], 1)
    assert normalize([(0, 0, 541, 961)], (540, 960)) == ([(0.0, 0.0, 1.0, 1.0)], 0)  # rounding
    assert normalize([(0.0, 0.0, 1.2, 0.5)], None) == ([(0.0, 0.0, 1.0, 0.5)], 1)


def test_a_box_without_an_area_is_left_out() -> None:
    assert normalize([(5, 5, 5, 9), (0, 0, 270, 480)], (540, 960)) == ([(0, 0, 0.5, 0.5)], 0)


def test_the_unit_is_detected_over_all_boxes() -> None:
    assert are_shares([]) and are_shares([[(0, 0, 1, 1)]])
    assert not are_shares([[(0, 0, 1, 1)], [(0, 0, 2, 1)]])


@pytest.mark.parametrize(
    "side, scale", [(0.2, "small"), (0.2001, "medium"), (0.4, "medium"), (0.4001, "large")]
)
def test_scale_is_the_mean_area(side: float, scale: str) -> None:
    assert compute_buckets([[(0, 0, side, 1)]])["scale"] == scale


@pytest.mark.parametrize(
    "visible, frames, bucket",
    [(4, 10, "short"), (5, 10, "medium"), (7, 10, "medium"), (8, 10, "long")],
)
def test_visible_is_the_share_of_frames_with_a_box(visible: int, frames: int, bucket: str) -> None:
    boxes = [[(0.0, 0.0, 0.1, 0.1)]] * visible + [[]] * (frames - visible)
    assert compute_buckets(boxes)["visible"] == bucket


@pytest.mark.parametrize(
    "counts, bucket",
    [((3, 3), "few"), ((3, 4), "medium"), ((7, 7), "medium"), ((7, 8), "abundant")],
)
def test_products_is_the_mean_number_of_boxes(counts: tuple[int, ...], bucket: str) -> None:
    assert compute_buckets([[(0, 0, 0.1, 0.1)] * n for n in counts])["products"] == bucket


def test_a_clip_without_annotated_frames_has_no_buckets() -> None:
    assert compute_buckets([]) == {}
