"""Reads the settings of a training run from a TOML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sgmn.configs import is_packaged, resolve
from sgmn.errors import SettingsError
from sgmn.settings import parse_tables, read_toml
from sgmn.training.config import DataConfig, LossConfig, ModelConfig, RunConfig, TrainConfig


def read_config(name_or_path: str | Path, folders: Sequence[Path] = ()) -> RunConfig:
    """Read the settings of a run from a packaged config or a TOML file.

    Args:
        name_or_path: name of a packaged config, such as "own-pairs", or path of a TOML file.
        folders: dataset folders to use instead of `[data] folders`; relative to the current
            directory.

    Relative paths in a packaged config are relative to the current directory, those in any other
    file to the file. Raises SettingsError for an unknown key or an invalid value.
    """
    path = resolve(name_or_path)
    tables = read_toml(path)
    if folders:
        chosen = [str(folder.absolute()) for folder in folders]
        tables["data"] = {**tables.get("data", {}), "folders": chosen}
    kinds = {"model": ModelConfig, "data": DataConfig, "train": TrainConfig, "loss": LossConfig}
    model, data, train, loss = parse_tables(kinds, tables, path)
    try:
        return RunConfig(model, _resolved(data, path), train, loss)
    except SettingsError as error:  # from `require`, which does not know the file
        raise SettingsError(error.message, path, error.remedy) from error


def _resolved(data: DataConfig, path: Path) -> DataConfig:
    """Resolve the relative paths of a config file."""
    base = Path() if is_packaged(path) else path.parent
    return replace(
        data,
        folders=tuple(base / folder for folder in data.folders),
        talking_points=tuple(base / file for file in data.talking_points),
        phrases=data.phrases and base / data.phrases,
    )
