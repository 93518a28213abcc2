"""Glances and shop images are encoded once more on a larger canvas for late interaction."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sgmn.errors import CheckpointError
from sgmn.media.content_loader import load_product_content
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.model.glance import cut_out
from sgmn.model.inputs import fit_to_canvas
from sgmn.records import Clip, Product, ProductContent
from sgmn.training.data.token_cache import TokenCache, hash_towers
from sgmn.training.validation import Validation
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


def test_only_the_first_image_of_a_product_is_encoded_closer(
    closer: Embedder, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, encode = list[int](), closer.towers.encode_fine

    def count(pixels: Tensor) -> Tensor:
        counts.append(len(pixels))
        return encode(pixels)

    monkeypatch.setattr(closer.towers, "encode_fine", count)
    views = [noise(rng, 40, 30), noise(rng, 30, 30), noise(rng, 20, 40)]
    contents = [ProductContent(tuple(views), "jar"), ProductContent((), "box")]
    products = closer.encode_products(contents)
    assert sum(counts) == 1
    alone = closer.encode_products([ProductContent(tuple(views[:1]), "jar")])
    torch.testing.assert_close(products.patches[0], alone.patches[0])
    assert not torch.equal(products.image[0], alone.image[0])  # all images count there
    assert not products.patches[1].any()


def test_validation_encodes_products_as_inference_does(
    closer: Embedder, rng: np.random.Generator, tmp_path: Path
) -> None:
    image = tmp_path / "jar.png"
    Image.fromarray(noise(rng, 40, 30)).save(image)
    product = Product("jar", "Red jar", image)
    model = closer.model
    cache = TokenCache(tmp_path / "cache", hash_towers(model))
    clip = Clip("clip", frames=(image,), product_ids=("jar",))
    validation = Validation.create([clip], [product], model, cache)
    tokens = validation._encode_product(product)
    with torch.inference_mode():
        [patches] = closer.network.parts.encode_products(tokens).patches
    content = load_product_content(product, max_side=closer.max_side)
    assert len(patches)
    torch.testing.assert_close(patches, closer.encode_products([content]).patches[0])


@pytest.mark.parametrize("damaged", ["320", [320], [], [320, "wide"]])
def test_a_damaged_canvas_is_reported(closer: Embedder, tmp_path: Path, damaged: Any) -> None:
    checkpoint.save(closer.model, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    stored = json.loads(path.read_text())
    assert checkpoint.load(tmp_path / "model").network.config.fine_canvas == CANVAS
    stored["network"]["fine_canvas"] = damaged
    path.write_text(json.dumps(stored))
    with pytest.raises(CheckpointError, match="invalid network config"):
        checkpoint.load(tmp_path / "model")


def test_cached_tokens_depend_on_the_canvas(closer: Embedder) -> None:
    model = replace(closer.model, network=copy(closer.network))
    model.network.config = replace(model.network.config, fine_canvas=None)
    assert hash_towers(model) != hash_towers(closer.model)
