"""A tiny world that all tests of this folder share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sgmn.data.dataset import Dataset, read_dataset
from sgmn.synth.settings import WorldSettings
from sgmn.synth.world import generate_world

SETTINGS = WorldSettings(
    shops=3,
    products_per_shop=9,
    clips=6,
    streams=1,
    seed=7,
    frame_size=(72, 128),
    fps=4,
    clip_duration_s=(8, 10),
    stream_duration_s=(24, 26),
    sale_duration_s=(6, 8),
    distractors=(2, 5),
    visible_fraction=(0.5, 0.8),
    two_product_prob=0.5,
    box_rate_hz=4,
    image_size_px=64,
)


def one_shop(**changes: Any) -> WorldSettings:
    """Return settings with one shop of six products, in the split train, and one clip."""
    small = replace(SETTINGS, shops=1, train_ratio=1.0, val_ratio=0.0, test_ratio=0.0)
    return replace(small, **{"products_per_shop": 6, "clips": 1, "streams": 0, **changes})


@dataclass(frozen=True)
class World:
    root: Path
    splits: dict[str, Dataset]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("world")
    generate_world(root, SETTINGS)
    return World(root, {name: read_dataset(root / name) for name in ("train", "val", "test")})
