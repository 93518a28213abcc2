"""The token cache: an entry depends on everything that determines its content."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
