"""The token cache: an entry depends on everything that determines its content."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sgmn.product_text import TEXT_FIELDS
from sgmn.records import Product
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data.cached_batches import CachedBatches
from sgmn.training.data.examples import Examples
from sgmn.training.data.token_cache import hash_file


def test_changed_talking_points_in_the_same_file_are_encoded_again(
    world: Path, examples: Examples, tiny: Callable[[], Any], tmp_path: Path
) -> None:
    path = tmp_path / "points.jsonl"
    names = []
    for point in ("it is red", "it is red", "it is green"):
        path.write_text(json.dumps({"product_id": "p2", "talking_points": [point]}))
        hash_file.cache_clear()  # it remembers files for the life of a process
        data = DataConfig((world,), talking_points=(path,))
        batches = CachedBatches(examples, tiny(), data, TrainConfig(), tmp_path / "tokens")
        names.append(batches.clip_entry(examples.photos_by_product["", "p2"][0], 0))
    assert names[0] == names[1] != names[2]


def test_the_text_of_a_product_is_part_of_its_entry_and_is_what_runs_read(
    world: Path, examples: Examples, tiny: Callable[[], Any], rng: np.random.Generator
) -> None:
    soap = Product("p", "Soap", attributes={"brand": "Oro", "description": "Mild."})
    names = set()
    for fields, text in zip(TEXT_FIELDS, ("Soap", "Soap, Oro", "Soap, Oro. Mild."), strict=True):
        data, train = DataConfig((world,), product_text=fields), TrainConfig(drop_title_prob=0.0)
        batches = CachedBatches(examples, tiny(), data, train, Path("tokens"))
        names.add(batches._product_entry(soap, 0))
        assert batches.loader.load_plain_product(soap).title == text
        assert batches.loader.load_product(soap, rng).title == text
    assert len(names) == 3
