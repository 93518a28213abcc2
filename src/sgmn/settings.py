"""Config dataclasses from TOML: unknown keys, wrong types and invalid values are errors."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from difflib import get_close_matches
from math import inf
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sgmn.errors import SettingsError, error_reason

T = TypeVar("T")
_TOML_NAMES: Mapping[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    tuple: "a list",
    Path: "a path",
    type(None): "nothing",
}


def read_toml(path: Path) -> dict[str, Any]:
    """Read the tables of a TOML file. Raises SettingsError with its path."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"cannot be read ({error_reason(error)})", path, "pass a TOML file"
        ) from error


def parse_tables(
    config_types: Mapping[str, type[Any]], tables: Mapping[str, Any], where: object
) -> Any:
    """Build one config per table, in the order of `config_types`.

    Args:
        config_types: The config dataclass of each table name.
        tables: The tables of a TOML file. An absent table takes all defaults.
        where: The file, for error messages.

    Raises:
        SettingsError: For an unknown table, or as `parse_table`.
    """
    for name in tables:
        if name not in config_types:
            raise SettingsError(f"unknown table [{name}]", where, _suggest(name, config_types))
    return tuple(
        parse_table(config_type, tables.get(name, {}), f"{where} [{name}]")
        for name, config_type in config_types.items()
    )


def parse_table(config_type: type[T], table: Mapping[str, Any], where: object) -> T:
    """Build a config dataclass from a mapping of its keys.

    Raises SettingsError for an unknown or missing key, a wrong type or an invalid value.
    """
    known = {field.name: field for field in fields(config_type)}  # type: ignore[arg-type]
    type_hints = get_type_hints(config_type)
    for key in table:
        if key not in known:
            raise SettingsError(f"unknown key {key!r}", where, _suggest(key, known))
    for name, field in known.items():
        if name not in table and field.default is MISSING and field.default_factory is MISSING:
            raise SettingsError(f"{name!r} is missing", where, f"add {name} = …")
    values = {key: _convert(value, type_hints[key], key, where) for key, value in table.items()}
    try:
        return config_type(**values)
    except SettingsError as error:  # from `require`, which does not know the file
        raise SettingsError(error.message, where, error.remedy) from error


def require(condition: bool, key: str, value: object, remedy: str) -> None:
    """Raise SettingsError unless the condition of a config value holds.

    >>> require(0.1 > 0, "lr", 0.1, "pass a number above 0")
    """
    if not condition:
        raise SettingsError(f"{key!r} is {value!r}", remedy=remedy)


def require_at_least(config: object, least: int, *names: str) -> None:
    """Raise SettingsError unless these values of a config are finite and not below `least`."""
    for name in names:
        value = getattr(config, name)
        require(least <= value < inf, name, value, f"use {least} or more")


def require_above_zero(config: object, *names: str) -> None:
    """Raise SettingsError unless these values of a config are finite and above 0."""
    for name in names:
        value = getattr(config, name)
        require(0 < value < inf, name, value, "use a number above 0")


def require_fraction(config: object, *names: str) -> None:
    """Raise SettingsError unless these values of a config lie in 0..1."""
    for name in names:
        value = getattr(config, name)
        require(0 <= value <= 1, name, value, "use a number in 0..1")


def _suggest(name: str, known_names: Mapping[str, Any]) -> str:
    close = get_close_matches(name, known_names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known_names)}"


def _convert(value: Any, type_hint: Any, key: str, where: object) -> Any:
    """Convert a TOML value to the type of its field: integers to floats, lists to tuples."""
    if get_origin(type_hint) is tuple and isinstance(value, list):
        item_type = get_args(type_hint)[0]
        return tuple(_convert(item, item_type, key, where) for item in value)
    if get_origin(type_hint) is Literal:
        return _require_choice(value, get_args(type_hint), key, where)
    is_union = get_origin(type_hint) in (Union, UnionType)
    types = get_args(type_hint) if is_union else (type_hint,)
    for candidate in types:
        if candidate is float and type(value) is int:
            return float(value)
        if candidate is Path and isinstance(value, str):
            return Path(value)
        if type(value) is (get_origin(candidate) or candidate):
            return value
    names = " or ".join(_TOML_NAMES.get(get_origin(t) or t, str(t)) for t in types)
    raise SettingsError(f"{key!r} is {value!r}", where, f"use {names}")


def _require_choice(value: object, choices: Sequence[object], key: str, where: object) -> object:
    if value not in choices:
        names = ", ".join(map(repr, choices))
        raise SettingsError(f"{key!r} is {value!r}", where, f"choose from {names}")
    return value
