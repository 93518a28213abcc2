"""A tiny world, made once for all tests of this room."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from sgmn.data.dataset import Dataset, read
from sgmn.synth.world import WorldSettings, make

SETTINGS = WorldSettings(
    shops=3,
    products=9,
    clips=6,
    streams=1,
    seed=7,
    size=(72, 128),
    fps=4,
    clip_s=(8, 10),
    stream_s=(24, 26),
    sale_s=(6, 8),
    distractors=(2, 5),
    visible=(0.5, 0.8),
    several=0.5,
    boxes_hz=4,
    image_px=64,
)


@dataclass(frozen=True)
class World:
    root: Path
    splits: dict[str, Dataset]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("world")
    make(root, SETTINGS)
    return World(root, {name: read(root / name) for name in ("train", "val", "test")})
