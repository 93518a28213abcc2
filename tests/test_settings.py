"""Configs: unknown keys, wrong types and invalid values are refused with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgmn.errors import SettingsError
from sgmn.training.config import TrainConfig
from sgmn.training.config_file import read_config

VALID = """
[model]
source = "small"
[data]
folders = ["here", "/there"]
[train]
steps = 5
lr = 1
"""


def write_config(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text)
    return path


def test_missing_keys_take_their_defaults(tmp_path: Path) -> None:
    config = read_config(write_config(tmp_path, VALID))
    assert config.data.folders == (tmp_path / "here", Path("/there"))
    assert config.train.steps == 5 and config.train.lr == 1.0 and type(config.train.lr) is float
    assert config.train.batch_size == TrainConfig().batch_size


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps = 5", "step = 5", "did you mean 'steps'"),
        ("[train]", "[training]", r"unknown table \[training\]"),
        ("steps = 5", 'steps = "two"', "'steps' is 'two'; use an integer"),
        ("steps = 5", "steps = true", "'steps' is True"),
        ("steps = 5", "steps = 0", "'steps' is 0; use 1 or more"),
        ("lr = 1", "lr = -1", "'lr' is -1.0; use a number above 0"),
        ("lr = 1", "lr = nan", "'lr' is nan"),
        ("lr = 1", "seed = -1", "'seed' is -1; use 0 or more"),
        ("lr = 1", "workers = -1", "'workers' is -1"),
        (
            'folders = ["here", "/there"]',
            'folders = ["here"]\nextra_negatives = -1',
            "'extra_negatives' is -1",
        ),
        ("lr = 1", "warmup_fraction = 1.5", "'warmup_fraction' is 1.5; use a number in 0..1"),
        ('folders = ["here", "/there"]', "", "'folders' is missing"),
        ('folders = ["here", "/there"]', "folders = []", "name at least one dataset"),
        ('folders = ["here", "/there"]', "folders = [3]", "'folders' is 3"),
        ("steps = 5", "steps =", "cannot be read"),
    ],
)
def test_an_invalid_key_or_value_is_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = write_config(tmp_path, VALID.replace(old, new))
    with pytest.raises(SettingsError, match=message) as raised:
        read_config(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        read_config(tmp_path / "none.toml")
