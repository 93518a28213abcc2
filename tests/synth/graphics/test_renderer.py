"""Rendered views against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sgmn.synth.graphics.camera import Camera
from sgmn.synth.graphics.mesh import (
    color_texture,
    rotation_matrix,
    transform,
    transform_matrix,
)
from sgmn.synth.graphics.renderer import Scene
from sgmn.synth.graphics.shading import Lighting
from sgmn.synth.graphics.shapes import cuboid, ellipsoid, lathe

RED = color_texture((255, 0, 0))
CAMERA = Camera((0.0, 0.0, 2.0), (0.0, 0.0, 0.0), 1.0, (64, 64))


def test_a_cube_fills_the_pixels_between_its_projected_corners() -> None:
    cube = transform(cuboid((0.5, 0.5, 0.5), RED, RED, RED, RED), transform_matrix((0, -0.25, 0)))
    view = Scene([(3, cube)]).render(CAMERA.rays(), Lighting())
    rows, columns = np.nonzero(view.object_ids == 3)
    half = 64 * 0.25 / 1.75  # focal length 1 image height, front face at 1.75 m
    assert rows.min() == columns.min() == round(32 - half)
    assert rows.max() == columns.max() == round(32 + half) - 1
    corner = CAMERA.project(np.array([[0.25, 0.25, 0.25]], np.float32))[0]
    assert corner == pytest.approx([32 + half, 32 - half, 1.75], abs=1e-3)
    assert view.depth[32, 32] == pytest.approx(1.75, abs=1e-3)


def test_near_objects_hide_far_objects() -> None:
    ball = ellipsoid((0, 0, 0), (0.3, 0.3, 0.3), RED)
    wall = transform(cuboid((2, 2, 0.1), RED, RED, RED, RED), transform_matrix((0, -1, -1)))
    view = Scene([(1, wall), (2, [ball])]).render(CAMERA.rays(), Lighting())
    assert view.object_ids[32, 32] == 2
    assert view.object_ids[16, 16] == 1


def test_a_coarse_search_gives_the_same_image() -> None:
    ball = lathe([(0, 0.4), (0.3, 0.2), (0.2, -0.3), (0, -0.3)], RED)
    scene = Scene([(1, [ball])])
    full, searched = (scene.render(CAMERA.rays(), Lighting(), search_step=step) for step in (0, 4))
    assert np.array_equal(full.object_ids, searched.object_ids)
    assert np.array_equal(full.color, searched.color)


def test_antialiasing_changes_only_edges() -> None:
    ball = ellipsoid((0, 0, 0), (0.5, 0.5, 0.5), RED)
    scene = Scene([(1, [ball])])
    plain = scene.render(CAMERA.rays(), Lighting())
    antialiased = scene.render_antialiased(CAMERA, Lighting())
    samples = scene.render(CAMERA.rays(0.5), Lighting()).color
    expected = samples.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    changed = (plain.color != antialiased.color).any(axis=2)
    assert 0 < changed.sum() < 400
    assert np.abs(antialiased.color - expected)[changed].max() < 1e-5
    assert np.abs(antialiased.color - expected).max() < 0.1


def test_shadows_fall_away_from_the_key_light() -> None:
    ball = ellipsoid((0, 1, 0), (0.3, 0.3, 0.3), RED)
    scene = Scene([(1, [ball])])
    below, beside = np.array([[0, 0, 0], [2, 0, 0]], np.float32)
    lighting = Lighting(key_direction=(0, 1, 0))
    assert scene.shadow_mask(np.stack([below, beside]), lighting).tolist() == [1, 0]


def test_rotations_keep_lengths_and_angles() -> None:
    matrix = rotation_matrix(0.3, -1.0, 2.0)
    assert matrix @ matrix.T == pytest.approx(np.eye(3), abs=1e-6)
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-6)
