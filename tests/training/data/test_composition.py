"""Scenes composed of photos: what is visible, and what stays as it was."""

from __future__ import annotations

import numpy as np
import pytest

from sgmn.training.data.composition import (
    MAX_CORNER_SHIFT,
    MIRROR_PROB,
    Scene,
    add_fingers,
    change_surroundings,
    rounded_rectangle_mask,
    warp_perspective,
)


def test_a_scene_shows_the_held_product_and_keeps_its_background() -> None:
    rng = np.random.default_rng(2)
    gray, red = np.full((60, 60, 3), 128, np.uint8), np.zeros((60, 60, 3), np.uint8)
    red[..., 0] = 255
    scene = Scene.compose(gray, [gray], 160, rng)
    frame, box = scene.render(red, 0.5, rng)
    assert frame.shape == (160, 90, 3)
    is_red = (frame[..., 0] == 255) & (frame[..., 1] == 0)
    assert 0.05 < is_red.mean() < 0.5
    rows, columns = np.flatnonzero(is_red.any(1)), np.flatnonzero(is_red.any(0))
    sides = columns[0] / 90, rows[0] / 160, (columns[-1] + 1) / 90, (rows[-1] + 1) / 160
    assert box == pytest.approx(sides, abs=0.03)  # fingers may cover an edge
    assert np.abs(scene.background.astype(int) - 128).max() <= 1


def test_round_corners_cover_less_than_sharp_ones() -> None:
    sharp, soft = rounded_rectangle_mask(40, 60, 0.0), rounded_rectangle_mask(40, 60, 0.3)
    assert sharp.shape == (40, 60, 1) and sharp[1:-1, 1:-1].min() == 1
    assert soft[0, 0] == soft[-1, -1] == 0 and soft[20, 30] == soft[20, 0] == 1
    assert 0.9 < soft.mean() < sharp.mean()


def test_fingers_cover_a_small_part_of_the_product() -> None:
    blue = np.zeros((80, 60, 3), np.uint8)
    blue[..., 2] = 255
    shares = []
    for seed in range(40):
        held = add_fingers(blue, np.random.default_rng(seed))
        assert held.shape == blue.shape and held.dtype == np.uint8
        shares.append((held[..., 0] > 0).mean())
    assert min(shares) > 0 and max(shares) < 0.35


def test_a_warped_image_keeps_its_size_its_center_and_usually_its_sides(
    rng: np.random.Generator,
) -> None:
    """Red left of the center, blue right of it; the border, at least a fifth, is white."""
    image = np.full((100, 60, 3), 255, np.uint8)
    image[21:79, 13:47] = 0
    image[21:79, 13:30, 0] = image[21:79, 30:47, 2] = 200
    warped = [warp_perspective(image, rng) for _ in range(200)]
    assert all(one.shape == image.shape for one in warped)
    assert all((one[50, 30] < 255).any() for one in warped)
    assert all((one[50, 10:50].min() == 0) for one in warped)
    mirrored = np.mean([one[50, 40, 0] > one[50, 20, 0] for one in warped])
    assert mirrored == pytest.approx(MIRROR_PROB, abs=0.1)
    white = np.mean([(one.min(-1) == 255).mean() for one in warped])
    assert white < (image.min(-1) == 255).mean() - MAX_CORNER_SHIFT / 2


def test_new_surroundings_keep_the_center_and_replace_the_corners(
    rng: np.random.Generator,
) -> None:
    image, surroundings = np.full((100, 60, 3), 200, np.uint8), np.zeros((40, 80, 3), np.uint8)
    changed = [change_surroundings(image, surroundings, rng) for _ in range(100)]
    assert all(one.shape == image.shape and one[50, 30].min() > 100 for one in changed)
    corners = np.mean([one[[0, 0, -1, -1], [0, -1, 0, -1]].max() for one in changed])
    shares = [float((one[..., 0] > 100).mean()) for one in changed]
    assert corners < 1 and 0.05 < min(shares) < 0.2 and 0.4 < max(shares) < 0.8
