"""JSON lines with checked fields: what a dataset and a shop's feed have in common.

Every refusal is a RecordError that names file, line and field, and says what would do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from sgmn.errors import RecordError
from sgmn.records import Product

_BOM = b"\xef\xbb\xbf"
_SHOWN = 60  # characters of a wrong value that an error repeats
_TEXT = 'give a text, such as "a1"'
_SECONDS = "give seconds, such as 2.5"
_PATH = "give a path relative to the folder, or leave the field out"


def read_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """The lines of a file that are not blank, each with its place `file:line`.

    Lines are bytes, so that one line with invalid UTF-8 does not hide the others.
    Raises RecordError when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.removeprefix(_BOM) if number == 1 else line
                if text.strip():
                    yield f"{path}:{number}", text.strip()
    except OSError as error:
        raise RecordError(
            f"cannot be read ({error.strerror or error})", where=path, remedy="give a readable file"
        ) from error


def path_exists(path: Path) -> bool:
    """Whether there is a file or folder; RecordError for a path that cannot be looked up."""
    try:
        return path.exists()
    except OSError as error:  # a name too long, a folder that may not be entered
        raise RecordError(
            f"cannot be looked up ({error.strerror or error})", where=path, remedy="check the path"
        ) from error


def parse_object(text: bytes, where: str) -> Fields:
    """One JSON object in UTF-8 as Fields; RecordError for anything else.

    Refused as well: NaN and infinite numbers, a key given twice, half a surrogate pair.
    """
    try:
        line = text.decode()
        value = json.loads(
            line, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique
        )
        if "\\u" in line:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise RecordError(
            f"is no UTF-8 text ({error})", where=where, remedy="save the file as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f"is no JSON ({error})",
            where=where,
            remedy='give one object, such as {"title": "Lime"}',
        ) from error
    return Fields.from_value(value, where)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise ValueError(f"{digits} is out of range")
    return number


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return values


class Fields:
    """The fields of one JSON object. Each getter checks one; `rest` is what nobody asked for.

    A field that is absent or null takes the default; without a default it is required.
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values, self.where = values, where
        self._asked: set[str] = set()

    @classmethod
    def from_value(cls, value: object, where: str) -> Fields:
        """Fields of a JSON value that has to be an object."""
        if not isinstance(value, dict):
            raise RecordError(
                f"is {_shown(value)} and no object",
                where=where,
                remedy='give an object, such as {"title": "Lime"}',
            )
        return cls(value, where)

    def get_text(self, key: str, default: str | None = None) -> str:
        """A string; a required one must not be empty."""
        value = self._get(key, _TEXT, required=default is None)
        if value is None:
            assert default is not None
            return default
        holds = isinstance(value, str) and (value != "" or default is not None)
        return str(self._checked(holds, key, value, _TEXT))

    def get_number(self, key: str, default: float | None = None) -> float:
        """A finite number as float, in seconds."""
        value = self._get(key, _SECONDS, required=default is None)
        if value is None:
            assert default is not None
            return default
        return float(self._checked(is_finite_number(value), key, value, _SECONDS))

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        self._asked.add(key)
        return self.values.get(key) is not None

    def get_path(self, key: str, root: Path) -> Path | None:
        """A path, taken relative to `root`; None when absent."""
        value = self._get(key, _PATH, required=False)
        return None if value is None else root / self._checked(_is_path(value), key, value, _PATH)

    def get_paths(self, key: str, root: Path) -> tuple[Path, ...]:
        """A list of paths, each taken relative to `root`."""
        return tuple(
            root / self._checked(_is_path(value), f"{key}[{place}]", value, _PATH)
            for place, value in enumerate(self.get_list(key))
        )

    def get_texts(self, key: str) -> tuple[str, ...]:
        """A list of strings, none of them empty."""
        return tuple(
            self._checked(isinstance(value, str) and value != "", f"{key}[{place}]", value, _TEXT)
            for place, value in enumerate(self.get_list(key))
        )

    def get_list(self, key: str) -> Sequence[Any]:
        """A list of anything; empty when absent."""
        remedy = "give a list in [ ]"
        value = self._get(key, remedy, required=False)
        return () if value is None else self._checked(isinstance(value, list), key, value, remedy)

    def get_objects(self, key: str) -> Iterator[Fields]:
        """A list of objects, each as Fields whose place is `file:line: key[place]`."""
        for place, value in enumerate(self.get_list(key)):
            yield Fields.from_value(value, f"{self.where}: {key}[{place}]")

    def get_mapping(self, key: str) -> dict[str, Any]:
        """An object as it stands; empty when absent."""
        remedy = "give an object in { }"
        value = self._get(key, remedy, required=False)
        return {} if value is None else self._checked(isinstance(value, dict), key, value, remedy)

    def unread_fields(self) -> dict[str, Any]:
        """The fields that no getter asked for."""
        return {key: value for key, value in self.values.items() if key not in self._asked}

    def invalid_value(self, key: str, value: object, remedy: str) -> RecordError:
        """The error to raise for a field whose value will not do."""
        return RecordError(f"{key!r} is {_shown(value)}", where=self.where, remedy=remedy)

    def _get(self, key: str, remedy: str, *, required: bool) -> Any:
        self._asked.add(key)
        value = self.values.get(key)
        if value is None and required:
            raise RecordError(f"{key!r} is missing", where=self.where, remedy=remedy)
        return value

    def _checked(self, holds: bool, key: str, value: Any, remedy: str) -> Any:
        if not holds:
            raise self.invalid_value(key, value, remedy)
        return value


def parse_product(fields: Fields, root: Path, shop_id: str = "") -> Product:
    """The product of one line of products.jsonl; paths are relative to `root`.

    `shop_id` serves lines that name no shop. Raises RecordError with the line's place.
    """
    try:
        return Product(
            product_id=fields.get_text("product_id"),
            title=fields.get_text("title", ""),
            image=fields.get_path("image", root),
            images=fields.get_paths("images", root),
            shop_id=fields.get_text("shop_id", shop_id),
            category=fields.get_text("category", ""),
            attributes=fields.get_mapping("attributes"),
            extra=fields.unread_fields(),
        )
    except RecordError as error:
        raise with_location(error, fields.where) from error


def with_location(error: RecordError, where: str) -> RecordError:
    """The same refusal with its place in a file, which records themselves do not know."""
    if str(error.where).startswith(where):
        return error
    what = error.message if error.where is None else f"{error.where} {error.message}"
    return RecordError(what, where=where, remedy=error.remedy)


def is_finite_number(value: object) -> bool:
    """Whether a JSON value is a number that a float can hold (true and false are none)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return isfinite(float(value))
    except OverflowError:
        return False


def _is_path(value: object) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
