"""Reads the settings of a training run from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sgmn.configs import is_packaged, resolve
from sgmn.errors import SettingsError
from sgmn.settings import parse_tables, read_toml
from sgmn.training.config import DataConfig, LossConfig, ModelConfig, RunConfig, TrainConfig


def read_config(
    name_or_path: str | Path, folders: Sequence[Path] = (), changes: Sequence[str] = ()
) -> RunConfig:
    """Read the settings of a run from a packaged config or a TOML file.

    Args:
        name_or_path: name of a packaged config, such as "own-pairs", or path of a TOML file.
        folders: dataset folders to use instead of `[data] folders`; relative to the current
            directory.
        changes: values to use instead of those of the file, as "train.steps=50": TOML, or a string
            without quotes.

    Relative paths in a packaged config are relative to the current directory, those in any other
    file to the file. Raises SettingsError for an unknown key or an invalid value.
    """
    path = resolve(name_or_path)
    tables = read_toml(path)
    for change in changes:
        _apply(change, tables)
    if folders:
        chosen = [str(folder.absolute()) for folder in folders]
        tables["data"] = {**tables.get("data", {}), "folders": chosen}
    kinds = {"model": ModelConfig, "data": DataConfig, "train": TrainConfig, "loss": LossConfig}
    model, data, train, loss = parse_tables(kinds, tables, path)
    try:
        return RunConfig(model, _resolved(data, path), train, loss)
    except SettingsError as error:  # from `require`, which does not know the file
        raise SettingsError(error.message, path, error.remedy) from error


def _apply(change: str, tables: dict[str, Any]) -> None:
    """Set one value of the tables. Raises SettingsError if the change names no key of a table."""
    target, equals, text = change.partition("=")
    table, dot, key = target.strip().partition(".")
    if not (equals and dot and table and key):
        raise SettingsError(
            "is no change of a config", repr(change), "write TABLE.KEY=VALUE, as in train.steps=50"
        )
    tables[table] = {**tables.get(table, {}), key: _parse_value(text.strip())}


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _resolved(data: DataConfig, path: Path) -> DataConfig:
    """Resolve the relative paths of a config file."""
    base = Path() if is_packaged(path) else path.parent
    return replace(
        data,
        folders=tuple(base / folder for folder in data.folders),
        talking_points=tuple(base / file for file in data.talking_points),
        phrases=data.phrases and base / data.phrases,
    )
