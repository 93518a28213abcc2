"""Grounding figures, computed by hand on a frame of four patches."""

from __future__ import annotations

import numpy as np
import pytest

from sgmn.evaluation import grounding
from sgmn.evaluation.significance import paired_test

# Two rows of two patches, which cover the frame exactly.
PATCHES = np.array([[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]])
WEIGHTS = np.array([0.1, 0.6, 0.1, 0.2])


def test_alpha_in_box_counts_the_covered_share_of_each_patch() -> None:
    assert grounding.in_box(WEIGHTS, PATCHES, [(0.5, 0.0, 1.0, 0.5)]) == pytest.approx(0.6)
    # The right half of the first patch and the left half of the second.
    assert grounding.in_box(WEIGHTS, PATCHES, [(0.25, 0.0, 0.75, 0.5)]) == pytest.approx(0.35)


def test_patches_beyond_the_frame_count_only_inside_it() -> None:
    wide = np.array([[-0.5, 0.0, 0.5, 1.0], [0.5, 0.0, 1.5, 1.0]])
    whole_frame = [(0.0, 0.0, 1.0, 1.0)]
    assert grounding.in_box(np.array([0.5, 0.5]), wide, whole_frame) == pytest.approx(0.5)


def test_overlapping_boxes_count_once() -> None:
    boxes = [(0.0, 0.0, 0.5, 1.0), (0.25, 0.0, 0.75, 1.0)]
    assert grounding.covered_area(boxes) == pytest.approx(0.75, abs=0.01)
    assert grounding.in_box(np.array([1.0, 0, 0, 0]), PATCHES, boxes) == pytest.approx(1.0)


def test_pointing_looks_at_the_center_of_the_highest_patch() -> None:
    assert grounding.points_at(WEIGHTS, PATCHES, [(0.5, 0.0, 1.0, 0.5)]) == 1.0
    assert grounding.points_at(WEIGHTS, PATCHES, [(0.5, 0.0, 0.7, 0.5)]) == 0.0


def test_auc_is_the_share_of_ordered_pairs() -> None:
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    visible = np.array([True, False, True, False])
    pairs = [(0.4, 0.3), (0.4, 0.1), (0.2, 0.3), (0.2, 0.1)]
    expected = sum(a > b for a, b in pairs) / len(pairs)
    assert grounding.auc(weights, visible) == expected == 0.75
    assert grounding.auc(np.full(4, 0.25), visible) == 0.5
    assert grounding.auc(weights, np.ones(4, dtype=bool)) is None


def test_summary_averages_frames_in_space_and_clips_in_time() -> None:
    box = [(0.5, 0.0, 1.0, 0.5)]
    first = grounding.ground_clip(
        np.array([0.9, 0.1]), [WEIGHTS, WEIGHTS], [PATCHES, PATCHES], [box, []], [True, False]
    )
    second = grounding.ground_clip(
        np.array([0.5, 0.5]), [WEIGHTS, WEIGHTS], [PATCHES, PATCHES], [box, box], [True, True]
    )
    summary = grounding.summarize([first, second])
    assert (summary.frames, summary.clips) == (3, 1)
    assert summary.alpha_in_box == pytest.approx(0.6)
    assert summary.alpha_area == pytest.approx(0.25)
    assert summary.alpha_lift == pytest.approx(2.4)
    assert summary.pointing == 1.0 and summary.omega_auc == 1.0


def test_a_dataset_without_boxes_has_no_figures() -> None:
    clip = grounding.ground_clip(np.array([1.0]), [WEIGHTS], [PATCHES], [[]], [True])
    summary = grounding.summarize([clip])
    assert summary.alpha_lift is None and summary.omega_auc is None and summary.frames == 0


def test_report_has_the_documented_keys() -> None:
    clip = grounding.ground_clip(
        np.array([0.9, 0.1]),
        [WEIGHTS] * 2,
        [PATCHES] * 2,
        [[(0.5, 0.0, 1.0, 0.5)], []],
        [True, False],
    )
    summary = grounding.summarize([clip])
    deaf = paired_test(np.array([1.0, 1.0]), np.array([1.0, 0.0]))
    report = grounding.GroundingReport(summary, summary, summary, deaf)
    content = report.to_dict()
    figures = {"alpha_in_box", "alpha_area", "alpha_lift", "pointing", "omega_auc"}
    assert all(figures <= content[name].keys() for name in ("own", "other", "none"))
    assert content["deaf"] == {"whole": 1.0, "deaf": 0.5, "difference": -0.5, "p": deaf.p}
    assert "| own | 0.600 |" in report.markdown()
