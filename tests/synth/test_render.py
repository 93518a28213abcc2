"""Rays, boxes and films against sums done by hand."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from sgmn.synth import ground_truth, scenario, storyboard
from sgmn.synth.footage import Film, boxes_of
from sgmn.synth.light import Light
from sgmn.synth.mesh import at, moved, plain, turned
from sgmn.synth.render import Camera, Scene
from sgmn.synth.shapes import cuboid, ellipsoid, lathe
from sgmn.synth.storyboard import Sale
from tests.synth.conftest import SETTINGS

RED = plain((255, 0, 0))
CAMERA = Camera((0.0, 0.0, 2.0), (0.0, 0.0, 0.0), 1.0, (64, 64))


def test_a_cube_fills_the_pixels_that_its_corners_project_to() -> None:
    cube = moved(cuboid((0.5, 0.5, 0.5), RED, RED, RED, RED), at((0, -0.25, 0)))
    seen = Scene([(3, cube)]).view(CAMERA.rays(), Light())
    rows, columns = np.nonzero(seen.owner == 3)
    half = 64 * 0.25 / 1.75  # focal 1 height, front face at 1.75 m
    assert rows.min() == columns.min() == round(32 - half)
    assert rows.max() == columns.max() == round(32 + half) - 1
    corner = CAMERA.pixels(np.array([[0.25, 0.25, 0.25]], np.float32))[0]
    assert corner == pytest.approx([32 + half, 32 - half, 1.75], abs=1e-3)
    assert seen.depth[32, 32] == pytest.approx(1.75, abs=1e-3)


def test_the_nearer_thing_hides_the_farther() -> None:
    ball = ellipsoid((0, 0, 0), (0.3, 0.3, 0.3), RED)
    wall = moved(cuboid((2, 2, 0.1), RED, RED, RED, RED), at((0, -1, -1)))
    seen = Scene([(1, wall), (2, [ball])]).view(CAMERA.rays(), Light())
    assert seen.owner[32, 32] == 2
    assert seen.owner[16, 16] == 1


def test_a_coarse_search_for_things_finds_the_same_picture() -> None:
    ball = lathe([(0, 0.4), (0.3, 0.2), (0.2, -0.3), (0, -0.3)], RED)
    scene = Scene([(1, [ball])])
    whole, searched = (scene.view(CAMERA.rays(), Light(), cell=cell) for cell in (0, 4))
    assert np.array_equal(whole.owner, searched.owner)
    assert np.array_equal(whole.colour, searched.colour)


def test_fine_pictures_are_smooth_at_edges_only() -> None:
    ball = ellipsoid((0, 0, 0), (0.5, 0.5, 0.5), RED)
    scene = Scene([(1, [ball])])
    plain_view, fine = scene.view(CAMERA.rays(), Light()), scene.fine(CAMERA, Light())
    four = scene.view(CAMERA.rays(0.5), Light()).colour.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    changed = (plain_view.colour != fine.colour).any(axis=2)
    assert 0 < changed.sum() < 400
    assert np.abs(fine.colour - four)[changed].max() < 1e-5
    assert np.abs(fine.colour - four).max() < 0.1


def test_shadow_falls_away_from_the_lamp() -> None:
    ball = ellipsoid((0, 1, 0), (0.3, 0.3, 0.3), RED)
    scene = Scene([(1, [ball])])
    below, aside = np.array([[0, 0, 0], [2, 0, 0]], np.float32)
    light = Light(key_from=(0, 1, 0))
    assert scene.shadow(np.stack([below, aside]), light).tolist() == [1, 0]


def test_turns_keep_lengths_and_angles() -> None:
    matrix = turned(0.3, -1.0, 2.0)
    assert matrix @ matrix.T == pytest.approx(np.eye(3), abs=1e-6)
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-6)


def test_boxes_are_the_smallest_around_each_product() -> None:
    owner = np.zeros((20, 10), np.int32)
    owner[4:8, 2:5], owner[10:20, 9:] = 10, 13
    assert boxes_of(owner) == {0: (0.2, 0.2, 0.5, 0.4), 3: (0.9, 0.5, 1.0, 1.0)}


def test_buckets_are_those_of_lpr4m() -> None:
    half, tiny = (0.0, 0.0, 1.0, 0.5), (0.0, 0.0, 0.1, 0.1)
    found = ground_truth.measures([{0: half, 1: tiny}, {1: tiny}, {0: half}, {}], {0})
    assert found["area"] == 0.5
    assert (found["scale"], found["visible"], found["products"]) == ("large", "medium", "few")
    assert (found["visible_share"], found["boxes"]) == (0.5, 1.0)
    assert ground_truth.measures([{}], {0})["visible"] == "short"


@pytest.mark.parametrize("visible", [0.1, 0.4, 0.7, 0.95])
def test_showings_last_for_the_share_that_is_wanted(visible: float) -> None:
    for seed in range(20):
        found = storyboard.showings(
            Sale(5, 35, 0), visible, [1], 0.5, (0.1, 0.2), np.random.default_rng(seed)
        )
        own = [s for s in found if s.product == 0]
        hidden = 2 * storyboard.ENTER_S * 0.35 * len(own)
        shown = sum(s.end - s.start for s in own) - hidden
        assert shown / 30 == pytest.approx(visible, abs=0.06)
        spans = sorted((s.start, s.end) for s in found)
        assert all(5 <= a < b <= 35.01 for a, b in spans)
        assert all(a[1] <= b[0] + 1e-6 for a, b in pairwise(spans))


def test_frames_of_a_time_are_the_same_in_any_order() -> None:
    plan = scenario.clip(SETTINGS, 0)
    film = Film(scenario.set_of(plan, SETTINGS))
    later, again = film.frame(3.0), film.frame(3.0)
    film.frame(1.0)
    assert np.array_equal(later.picture, film.frame(3.0).picture)
    assert np.array_equal(later.picture, again.picture)
    assert later.boxes == again.boxes


def test_importing_the_world_needs_no_renderer() -> None:
    code = "import sys, sgmn.synth.world; sys.exit(bool({'embreex', 'torch'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
