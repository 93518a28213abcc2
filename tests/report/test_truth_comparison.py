"""Comparison of segments with the ground truth."""

from __future__ import annotations

import pytest

from sgmn.records import Segment
from sgmn.report.truth_comparison import compare_with_truth, find_differences


def test_short_overlaps_and_uncovered_time_are_left_out() -> None:
    truth = [Segment(0, 5, "a"), Segment(5, 5.5, "b"), Segment(5.5, 8, "c"), Segment(8, 9, "a")]
    comparison = compare_with_truth(Segment(0, 10, "a"), truth)
    assert comparison is not None and comparison.correct_share == pytest.approx(6 / 9)
    assert comparison.other_products == (("c", 2.5),)
    assert compare_with_truth(Segment(20, 30, "a"), truth) is None


def test_uncovered_time_counts_as_nothing_on_sale() -> None:
    assert find_differences([], [Segment(0, 4, None), Segment(4, 9, "a")]) == [(4, 9)]
    assert find_differences([Segment(0, 9, "a")], [Segment(2, 4, "a")]) == []
