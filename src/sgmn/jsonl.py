"""JSON lines with validated fields, shared by datasets and shop feeds.

Every error is a RecordError that names the file, the line and the field, and a remedy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from sgmn import tar_member
from sgmn.errors import RecordError
from sgmn.records import Product

BOM = b"\xef\xbb\xbf"
_MAX_VALUE_LENGTH = 60  # characters of an invalid value that an error message repeats
_TEXT_REMEDY = 'pass a string, such as "a1"'
_NUMBER_REMEDY = "pass seconds, such as 2.5"
_PATH_REMEDY = "pass a path relative to the folder, or omit the field"


def read_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each non-blank line of a file with its location, `file:line`.

    Lines are bytes, so that invalid UTF-8 in one line does not hide the others.
    Raises RecordError if the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.removeprefix(BOM) if number == 1 else line
                if text.strip():
                    yield f"{path}:{number}", text.strip()
    except OSError as error:
        raise RecordError(
            f"cannot be read ({error.strerror or error})",
            where=path,
            remedy="check the path and its permissions",
        ) from error


def path_exists(path: Path) -> bool:
    """Whether a file, a folder or a member of a tar shard exists.

    Raises RecordError for a path that cannot be accessed.
    """
    member = tar_member.parse_path(path)
    try:
        return path.exists() if member is None else member.exists()
    except OSError as error:  # the name is too long, or a folder cannot be entered
        raise RecordError(
            f"cannot be accessed ({error.strerror or error})", where=path, remedy="check the path"
        ) from error


def parse_object(text: bytes, where: str) -> Fields:
    """Parse one JSON object in UTF-8. Raises RecordError for anything else.

    NaN, infinite numbers, duplicate keys and lone surrogates are errors too.
    """
    try:
        line = text.decode()
        value = json.loads(
            line,
            parse_constant=_reject_constant,
            parse_float=_parse_finite,
            object_pairs_hook=_unique_keys,
        )
        if "\\u" in line:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise RecordError(
            f"is not UTF-8 text ({error})", where=where, remedy="save the file as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f"is not valid JSON ({error})",
            where=where,
            remedy='write one object, such as {"title": "Lime"}',
        ) from error
    return Fields.from_value(value, where)


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _parse_finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise ValueError(f"{digits} is out of range")
    return number


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {duplicate!r} occurs twice")
    return values


class Fields:
    """The fields of one JSON object, with getters that validate them.

    A field that is absent or null takes the default of its getter. Without a default it is
    required. All getters raise RecordError for a missing or invalid value.
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values, self.where = values, where
        self._read_keys: set[str] = set()

    @classmethod
    def from_value(cls, value: object, where: str) -> Fields:
        """Create from a JSON value, which must be an object."""
        if not isinstance(value, dict):
            raise RecordError(
                f"is {_shorten(value)}, not an object",
                where=where,
                remedy='pass an object, such as {"title": "Lime"}',
            )
        return cls(value, where)

    def get_text(self, key: str, default: str | None = None) -> str:
        """Return a string. A required string must not be empty."""
        value = self._get(key, _TEXT_REMEDY, required=default is None)
        if value is None:
            assert default is not None
            return default
        is_valid = isinstance(value, str) and (value != "" or default is not None)
        return str(self._require(is_valid, key, value, _TEXT_REMEDY))

    def get_number(self, key: str, default: float | None = None) -> float:
        """Return a finite number, in seconds."""
        value = self._get(key, _NUMBER_REMEDY, required=default is None)
        if value is None:
            assert default is not None
            return default
        return float(self._require(is_finite_number(value), key, value, _NUMBER_REMEDY))

    def has(self, key: str) -> bool:
        """Whether the field is present and not null."""
        self._read_keys.add(key)
        return self.values.get(key) is not None

    def get_path(self, key: str, root: Path) -> Path | None:
        """Return a path, relative to `root`, or None if the field is absent."""
        value = self._get(key, _PATH_REMEDY, required=False)
        return (
            None
            if value is None
            else root / self._require(_is_path(value), key, value, _PATH_REMEDY)
        )

    def get_paths(self, key: str, root: Path) -> tuple[Path, ...]:
        """Return a list of paths, each relative to `root`."""
        return tuple(
            root / self._require(_is_path(value), f"{key}[{index}]", value, _PATH_REMEDY)
            for index, value in enumerate(self.get_list(key))
        )

    def get_texts(self, key: str) -> tuple[str, ...]:
        """Return a list of non-empty strings."""
        return tuple(
            self._require(
                isinstance(value, str) and value != "", f"{key}[{index}]", value, _TEXT_REMEDY
            )
            for index, value in enumerate(self.get_list(key))
        )

    def get_list(self, key: str) -> Sequence[Any]:
        """Return a list of any values; empty if the field is absent."""
        remedy = "pass a list in [ ]"
        value = self._get(key, remedy, required=False)
        return () if value is None else self._require(isinstance(value, list), key, value, remedy)

    def get_objects(self, key: str) -> Iterator[Fields]:
        """Yield each object of a list, with its location `file:line: key[index]`."""
        for index, value in enumerate(self.get_list(key)):
            yield Fields.from_value(value, f"{self.where}: {key}[{index}]")

    def get_mapping(self, key: str) -> dict[str, Any]:
        """Return an object as a dict; empty if the field is absent."""
        remedy = "pass an object in { }"
        value = self._get(key, remedy, required=False)
        return {} if value is None else self._require(isinstance(value, dict), key, value, remedy)

    def unread_fields(self) -> dict[str, Any]:
        """Return the fields that no getter has read."""
        return {key: value for key, value in self.values.items() if key not in self._read_keys}

    def invalid_value(self, key: str, value: object, remedy: str) -> RecordError:
        """Return the error to raise for an invalid value."""
        return RecordError(f"{key!r} is {_shorten(value)}", where=self.where, remedy=remedy)

    def _get(self, key: str, remedy: str, *, required: bool) -> Any:
        self._read_keys.add(key)
        value = self.values.get(key)
        if value is None and required:
            raise RecordError(f"{key!r} is missing", where=self.where, remedy=remedy)
        return value

    def _require(self, is_valid: bool, key: str, value: Any, remedy: str) -> Any:
        if not is_valid:
            raise self.invalid_value(key, value, remedy)
        return value


def parse_product(fields: Fields, root: Path, shop_id: str = "") -> Product:
    """Parse the product in one line of products.jsonl.

    Args:
        fields: The fields of the line.
        root: The folder to which image paths are relative.
        shop_id: The shop of a line that names none.

    Raises:
        RecordError: With the location of the line.
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
    """Return the same error with its location in a file, which records do not know."""
    if str(error.where).startswith(where):
        return error
    message = error.message if error.where is None else f"{error.where} {error.message}"
    return RecordError(message, where=where, remedy=error.remedy)


def is_finite_number(value: object) -> bool:
    """Whether a JSON value is a number that fits into a float (true and false are not numbers)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return isfinite(float(value))
    except OverflowError:
        return False


def _is_path(value: object) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_VALUE_LENGTH else text[: _MAX_VALUE_LENGTH - 1] + "…"
