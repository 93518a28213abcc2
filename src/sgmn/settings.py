"""Config dataclasses from TOML: every key is known and of its type, or is refused by name."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from sgmn.errors import SettingsError

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises SettingsError naming the file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot be read ({error})", path, "give a TOML file") from error


def parse_tables(kinds: Mapping[str, type[Any]], tables: Mapping[str, Any], where: object) -> Any:
    """One config a table, in the order of `kinds`; an absent table is all defaults."""
    for name in tables:
        if name not in kinds:
            raise SettingsError(f"unknown table [{name}]", where, _near(name, list(kinds)))
    return tuple(
        parse_table(kind, tables.get(name, {}), f"{where} [{name}]") for name, kind in kinds.items()
    )


def parse_table(kind: type[T], table: Mapping[str, Any], where: object) -> T:
    """A config dataclass from a mapping of its keys."""
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    for key in table:
        if key not in known:
            raise SettingsError(f"unknown key {key!r}", where, _near(key, list(known)))
    for name, field in known.items():
        if name not in table and field.default is MISSING and field.default_factory is MISSING:
            raise SettingsError(f"{name!r} is missing", where, f"add {name} = …")
    fitted = {key: _fitted(value, hints[key], key, where) for key, value in table.items()}
    try:
        return kind(**fitted)
    except SettingsError as error:  # from `require`, which does not know the file
        raise SettingsError(error.message, where, error.remedy) from error


def _near(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"


def _fitted(value: Any, hint: Any, key: str, where: object) -> Any:
    """The value as the hint wants it: whole numbers serve as floats, lists as tuples."""
    if get_origin(hint) is tuple and isinstance(value, list):
        inner = get_args(hint)[0]
        return tuple(_fitted(part, inner, key, where) for part in value)
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for wanted in kinds:
        if wanted is float and type(value) is int:
            return float(value)
        if wanted is Path and isinstance(value, str):
            return Path(value)
        if type(value) is (get_origin(wanted) or wanted):
            return value
    names = " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
    raise SettingsError(f"{key!r} is {value!r}", where, f"give a value of type {names}")


def require(holds: bool, key: str, value: object, remedy: str) -> None:
    """Refuse a value of a config: `require(lr > 0, "lr", lr, "give a number above 0")`."""
    if not holds:
        raise SettingsError(f"{key!r} is {value!r}", remedy=remedy)
