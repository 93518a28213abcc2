"""Configs: every key known and of its type, or refused by name with what would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgmn.errors import SettingsError
from sgmn.training.config import TrainConfig
from sgmn.training.config_file import read_config

GOOD = """
[model]
source = "small"
[data]
folders = ["here", "/there"]
[train]
steps = 5
lr = 1
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text)
    return path


def test_a_config_is_read_with_its_defaults(tmp_path: Path) -> None:
    run = read_config(written(tmp_path, GOOD))
    assert run.data.folders == (tmp_path / "here", Path("/there"))
    assert run.train.steps == 5 and run.train.lr == 1.0 and type(run.train.lr) is float
    assert run.train.batch_size == TrainConfig().batch_size


@pytest.mark.parametrize(
    ("old", "new", "says"),
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
def test_a_wrong_key_or_value_is_named(old: str, new: str, says: str, tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(SettingsError, match=says) as refused:
        read_config(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        read_config(tmp_path / "none.toml")
