"""Which listings count as the same product before a run, and when the towers have no say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from sgmn.data.dataset import read_dataset, write_jsonl
from sgmn.model.bundle import ModelBundle
from sgmn.training.config import DataConfig, LossConfig, TrainConfig
from sgmn.training.data.batch_mining import encode_products, find_duplicates
from sgmn.training.data.batches import Batches
from sgmn.training.data.examples import Examples

SHADES, STRIDE = 25, 11  # in an order in which each one is far from the next


@pytest.fixture
def listings(tiny: Callable[[], ModelBundle], tmp_path: Path) -> tuple[ModelBundle, Batches]:
    """Products without titles in shades from red to blue, the first of them listed twice."""
    places = [number * STRIDE % SHADES for number in range(SHADES)]
    for place in places:
        share = place / (SHADES - 1)
        color = (round(250 * (1 - share)), 40, round(250 * share))
        Image.new("RGB", (32, 32), color).save(tmp_path / f"{place}.png")
    rows = [{"product_id": f"p{place}", "image": f"{place}.png"} for place in places]
    write_jsonl(tmp_path / "products.jsonl", [*rows, {"product_id": "again", "image": "0.png"}])
    clip = {"clip_id": "c", "frames": ["0.png"], "product_ids": ["p0"]}
    write_jsonl(tmp_path / "clips.jsonl", [clip])
    model = tiny()
    data = DataConfig((tmp_path,), split="", frames_per_clip=1)
    examples = Examples([read_dataset(tmp_path)])
    return model, Batches(examples, model.preprocessor, data, TrainConfig(steps=1, device="cpu"))


def test_a_chain_of_similar_products_is_not_one_product(
    listings: tuple[ModelBundle, Batches],
) -> None:
    """Each shade is close to the next one, so that all would be one product."""
    model, batches = listings
    vectors = encode_products(model.network, batches).image[:SHADES]
    in_order = vectors[torch.argsort(torch.arange(SHADES) * STRIDE % SHADES)]
    threshold = float((in_order[1:] * in_order[:-1]).sum(1).min()) - 1e-6
    assert (vectors * vectors.roll(1, 0)).sum(1).median() < threshold
    config = LossConfig(duplicate_image_cosine=threshold)
    found = find_duplicates(model.network, batches, config)
    assert found.count == 2  # the image that is listed twice
    assert len(found.classes.unique()) == SHADES


def test_similar_products_are_not_looked_for(listings: tuple[ModelBundle, Batches]) -> None:
    model, batches = listings
    config = LossConfig(duplicate_image_cosine=0.999999)
    assert find_duplicates(model.network, batches, config).count >= 2
    found = find_duplicates(model.network, batches, replace(config, near_duplicates=False))
    assert found.count == 0 and found.classes.tolist() == list(range(SHADES + 1))
