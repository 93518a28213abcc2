"""A tiny model and an index of the six products, shared by the tests of the commands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgmn.model import checkpoint
from tests.command import run_main


@pytest.fixture(scope="session")
def model_folder(tiny: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    checkpoint.save(tiny(), folder)
    return folder


@pytest.fixture(scope="session")
def shared_index(world: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index for tests that only read it."""
    path = tmp_path_factory.mktemp("shared") / "index"
    assert run_main("index", world, "-o", path, "-m", model_folder) == 0
    return path


@pytest.fixture
def index(shared_index: Path, tmp_path: Path) -> Path:
    """A copy of the index for tests that change it."""
    path = tmp_path / "index"
    shutil.copytree(shared_index, path)
    return path


@pytest.fixture
def video(stream: Path) -> Path:
    return stream / "streams" / "s.mp4"


@pytest.fixture
def truth(stream: Path) -> Path:
    return stream / "streams" / "s.json"


@pytest.fixture
def transcript(stream: Path) -> Path:
    return stream / "transcript.json"
