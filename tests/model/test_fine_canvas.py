"""Glances and shop images are encoded once more on a larger canvas for late interaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sgmn.model.embedder import Embedder
from sgmn.model.glance import cut_out
from sgmn.model.inputs import fit_to_canvas
from sgmn.records import ProductContent
from tests.conftest import noise
from tests.model.part_cases import build_tiny_lite, enable_all_parts

CANVAS = 112, 112


@pytest.fixture(scope="module")
def closer(backbone: Callable[[str], Path]) -> Embedder:
    model = enable_all_parts(build_tiny_lite(backbone("bert"), fine_patches=True), randomize=True)
    model.network.config = replace(model.network.config, fine_canvas=CANVAS)
    return Embedder(model, "cpu")


def test_fine_patches_of_glances_and_products_come_from_the_larger_canvas(
    closer: Embedder, rng: np.random.Generator
) -> None:
    image = noise(rng, 40, 30)
    frames = closer.encode_frames([image])
    closer.encode_windows([frames], ["a jar"])
    [(region, glance)] = frames.images[0].glances.items()
    [product] = closer.encode_images([image], compares_patches=True).fine_patches
    assert len(product) == glance.fine_patches.shape[1] == 49  # 112 / 16, squared
    pixels = fit_to_canvas(cut_out(image, region), CANVAS, closer.preprocessor.fill_color)
    with torch.inference_mode():
        towers, normalize = closer.network.towers, closer.network._normalize
        expected = towers.encode_fine(normalize(pixels[None]))
        [(_, small)] = closer.preprocessor.prepare_regions([cut_out(image, region)]).groups
        length = towers.encode_image(normalize(small)).pooled.norm()
    torch.testing.assert_close(glance.fine_patches, expected / length)
    torch.testing.assert_close(towers.encode_image(normalize(pixels[None])).fine_patches, expected)


def test_frames_are_not_encoded_on_the_larger_canvas(
    closer: Embedder, rng: np.random.Generator
) -> None:
    assert not closer.preprocessor.prepare_images([noise(rng)]).closer
    assert closer.encode_images([noise(rng)]).fine_patches.shape[1] == 0


def test_training_prepares_products_and_glances_as_inference_does(
    closer: Embedder, rng: np.random.Generator
) -> None:
    content = ProductContent((noise(rng, 40, 30), noise(rng, 64, 64)), "jar")
    inputs = closer.preprocessor.prepare_products([content])
    with torch.inference_mode():
        [patches] = closer.network.encode_products(inputs).patches
    torch.testing.assert_close(patches, closer.encode_products([content]).patches[0])
    [pixels] = closer.preprocessor.prepare_regions([noise(rng, 20, 30)]).closer
    assert pixels.shape == (1, 3, *CANVAS)
