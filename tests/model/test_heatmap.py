"""Patch weights become heatmaps in the pixels of the original image."""

from __future__ import annotations

import numpy as np
import pytest

from sgmn.model.heatmap import Heatmap, project_to_image
from sgmn.model.inputs import Placement, compute_placement

CANVAS, GRID = (160, 96), (10, 6)  # patches of 16 by 16 pixels


def single_weight(row: int, column: int) -> Heatmap:
    cells = np.zeros(GRID)
    cells[row, column] = 1.0
    return cells


def test_weight_above_and_below_the_image_is_removed() -> None:
    square = (96, 96, 3)  # 32 pixels of padding above and below
    placement = compute_placement(square, CANVAS)
    assert placement == Placement(32, 0, 96, 96)
    for row in (0, 1, 8, 9):
        assert not project_to_image(single_weight(row, 3), CANVAS, placement, square).any()
    heatmap = project_to_image(single_weight(5, 2), CANVAS, placement, square)
    expected = np.zeros((96, 96))
    expected[48:64, 32:48] = 1 / 256
    np.testing.assert_allclose(heatmap, expected, atol=1e-12)


def test_weight_beside_the_image_is_removed() -> None:
    narrow = (160, 32)  # two columns of patches of padding on either side
    placement = compute_placement(narrow, CANVAS)
    for column in (0, 1, 4, 5):
        assert not project_to_image(single_weight(5, column), CANVAS, placement, narrow).any()
    heatmap = project_to_image(single_weight(5, 2), CANVAS, placement, narrow)
    assert heatmap[80:96, :16].sum() == pytest.approx(1.0)


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.3])
def test_a_heatmap_has_the_size_of_the_original_image(factor: float) -> None:
    side = round(96 * factor)
    placement = compute_placement((side, side, 3), CANVAS)
    heatmap = project_to_image(single_weight(5, 2), CANVAS, placement, (side, side, 3))
    assert heatmap.shape == (side, side) and heatmap.sum() == pytest.approx(1.0)
    row, column = heatmap.sum(1) @ np.arange(side), heatmap.sum(0) @ np.arange(side)
    assert (row / side, column / side) == pytest.approx((56 / 96, 40 / 96), abs=0.02)


def test_a_patch_half_on_the_padding_keeps_half_its_weight() -> None:
    shape = (144, 96)  # 8 pixels of padding above: half a patch
    placement = compute_placement(shape, CANVAS)
    heatmap = project_to_image(single_weight(0, 0), CANVAS, placement, shape)
    assert heatmap.sum() == pytest.approx(0.5)
    assert heatmap[:8, :16].sum() == pytest.approx(0.5)
