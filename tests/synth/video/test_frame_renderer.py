"""Rendered frames and their boxes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from sgmn.synth.plan.videos import plan_clip
from sgmn.synth.video.frame_renderer import FrameRenderer, find_boxes
from sgmn.synth.video.setup import build_setup
from tests.synth.conftest import SETTINGS


def test_boxes_enclose_each_product_tightly() -> None:
    object_ids = np.zeros((20, 10), np.int32)
    object_ids[4:8, 2:5], object_ids[10:20, 9:] = 10, 13
    assert find_boxes(object_ids) == {0: (0.2, 0.2, 0.5, 0.4), 3: (0.9, 0.5, 1.0, 1.0)}


def test_a_frame_does_not_depend_on_earlier_frames() -> None:
    renderer = FrameRenderer(build_setup(plan_clip(SETTINGS, 0), SETTINGS))
    first, second = renderer.render_frame(3.0), renderer.render_frame(3.0)
    renderer.render_frame(1.0)
    assert np.array_equal(first.image, renderer.render_frame(3.0).image)
    assert np.array_equal(first.image, second.image)
    assert first.boxes == second.boxes


def test_importing_the_world_imports_no_renderer() -> None:
    code = "import sys, sgmn.synth.world; sys.exit(bool({'embreex', 'torch'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
