"""Boxes reach the right patches of the right frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sgmn.records import Clip
from sgmn.training.data.boxes import boxes_at_times
from tests.training.painting import box_mask, bright_patches, paint


@pytest.mark.parametrize("shape", [(320, 180), (200, 200), (240, 320), (150, 450)])
def test_patches_inside_boxes_are_those_that_the_tower_sees_there(shape: tuple[int, int]) -> None:
    """Compared with an image of the boxes, scaled and padded like any other image."""
    two = ((0.01, 0.02, 0.23, 0.97), (0.52, 0.48, 0.84, 0.77))
    for boxes in [((0.52, 0.23, 0.97, 0.57),), two, ((0.0, 0.0, 1.0, 1.0),), ()]:
        image = paint(shape, boxes)
        assert torch.equal(box_mask([[image]], [[boxes]])[0, 0], bright_patches(image))


def test_a_box_smaller_than_a_patch_covers_the_patch_around_it(rng: np.random.Generator) -> None:
    square = paint((32, 32), ())
    for x, y in rng.uniform(0, 0.999, (200, 2)):
        center = int(8 * (y + 5e-4)), int(8 * (x + 5e-4))
        mask = box_mask([[square]], [[((x, y, x + 1e-3, y + 1e-3),)]])[0, 0].reshape(8, 8)
        assert mask.nonzero().tolist() == [list(center)]


def test_a_box_without_an_area_covers_nothing() -> None:
    square = paint((32, 32), ())
    assert not box_mask([[square]], [[((0.0, 0.0, 0.0, 0.0), (0.2, 0.3, 0.9, 0.3))]]).any()


def test_padding_is_inside_no_box() -> None:
    """A photo, a clip of two shapes and one without a frame: the mask has the tokens' shape."""
    whole, high, square = ((0.0, 0.0, 1.0, 1.0),), paint((160, 120), ()), paint((32, 32), ())
    mask = box_mask([[square], [high, square, high], []], [[], [whole, whole, ()], []])
    assert mask.shape == (3, 3, 64)
    assert not mask[0].any() and not mask[2].any()
    assert mask[1, 0, :48].all() and not mask[1, 0, 48:].any()
    assert mask[1, 1].all() and not mask[1, 2].any()
    assert box_mask([[]], [[]]).shape == (1, 1, 0)


def test_a_frame_takes_the_boxes_of_its_time(tmp_path: Path) -> None:
    sets = tuple(((0.0, 0.0, 1.0, (n + 1) / 10),) for n in range(10))
    cut = Clip("c", video=tmp_path / "v.mp4", start=2.0, end=7.0, boxes=sets)
    boxes = boxes_at_times(cut, (2.0, 2.2, 2.3, 3.0, 4.6, 6.99), rate_hz=1.0)
    assert [sets.index(one) for one in boxes] == [0, 0, 1, 2, 5, 9]
    disk = Clip("d", frames=(tmp_path / "f.png",) * 10, boxes=sets)
    assert boxes_at_times(disk, [n / 4.0 for n in range(10)], rate_hz=4.0) == sets
    half = replace(disk, boxes=sets[:5])
    assert boxes_at_times(half, (0.0, 4.0, 9.0), rate_hz=1.0) == (sets[0], sets[2], sets[4])
    assert boxes_at_times(replace(disk, boxes=()), (0.0, 1.0), 1.0) == ((), ())
