"""Images on canvases: nothing is cropped, and the aspect ratio is preserved."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgmn.model.inputs import choose_canvas, fit_to_canvas, prepare_images
from tests.conftest import noise

CANVASES = ((160, 96), (128, 128), (96, 160))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((960, 540), (160, 96)),
        ((400, 400), (128, 128)),
        ((1080, 1920), (96, 160)),
        ((300, 260), (128, 128)),
    ],
)
def test_the_canvas_has_the_nearest_aspect_ratio(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert choose_canvas(np.zeros((*shape, 3), np.uint8), CANVASES) == expected


@given(st.integers(1, 90), st.integers(1, 90))
def test_an_image_keeps_its_aspect_ratio_and_is_not_cropped(height: int, width: int) -> None:
    white = np.full((height, width, 3), 255, np.uint8)
    canvas = fit_to_canvas(white, (40, 24), (0, 0, 0))
    rows, columns = (canvas[0] > 0).any(1), (canvas[0] > 0).any(0)
    size = int(rows.sum()), int(columns.sum())
    scale = min(40 / height, 24 / width)
    assert size == (max(1, round(height * scale)), max(1, round(width * scale)))


def test_top_and_bottom_are_not_cropped() -> None:
    image = np.zeros((320, 180, 3), np.uint8)
    for row in (slice(0, 40), slice(280, 320)):
        image[row] = 255  # bright top and bottom of a portrait image
    canvas = fit_to_canvas(image, (160, 96), (0, 0, 0))
    assert canvas[0, 5, 48] > 200 and canvas[0, 154, 48] > 200 and canvas[0, 80, 48] < 20


def test_images_of_mixed_shapes_keep_their_index(rng: np.random.Generator) -> None:
    images = [noise(rng, 160, 90), noise(rng, 50, 50), noise(rng, 320, 180), noise(rng, 90, 160)]
    inputs = prepare_images(images, CANVASES, (1, 2, 3))
    rows = torch.cat([rows for rows, _ in inputs.groups])
    assert sorted(rows.tolist()) == [0, 1, 2, 3] and inputs.count == 4
    for rows, pixels in inputs.groups:
        for row, canvas in zip(rows.tolist(), pixels, strict=True):
            shape = (int(canvas.shape[1]), int(canvas.shape[2]))
            assert torch.equal(canvas, fit_to_canvas(images[row], shape, (1, 2, 3)))
