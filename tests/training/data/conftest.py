"""Batches of the tiny dataset, and how to look into them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgmn.data.dataset import read_dataset
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data.batches import Batches
from sgmn.training.data.examples import Examples

TRAIN = TrainConfig(steps=20, batch_size=6, workers=0)


@pytest.fixture
def examples(world: Path) -> Examples:
    return Examples([read_dataset(world)])


@pytest.fixture
def batches(world: Path, examples: Examples, tiny: Callable[[], Any]) -> Batches:
    data = DataConfig((world,), frames_per_clip=3, extra_negatives=1)
    return Batches(examples, tiny().preprocessor, data, TRAIN)
