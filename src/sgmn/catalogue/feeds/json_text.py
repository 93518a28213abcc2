"""Reads the objects of a large JSON document one by one, each with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from sgmn.catalogue.feeds.document import Document
from sgmn.errors import RecordError

_SPACE = re.compile(r"[ \t\r\n]*")
_REMEDY = "export the feed again"


class JsonObject(NamedTuple):
    """An object and its place, `file:line:column`."""

    where: str
    values: Mapping[str, Any]


def read_objects(
    document: Document, list_keys: Collection[str]
) -> Iterator[JsonObject | RecordError]:
    """Yield the objects of a document.

    These are the elements of a top-level list, or of the lists under `list_keys` in a top-level
    object, or that object itself if it has no such list. After a syntax error, the rest of the
    document is not read.
    """
    scanner = _Scanner(document)
    try:
        yield from scanner.read(list_keys)
    except json.JSONDecodeError as error:
        yield scanner.error(error.pos, f"is not valid JSON ({error.msg})")
    except (ValueError, RecursionError) as error:  # a number with too many digits; deep nesting
        yield scanner.error(scanner.offset, f"is not valid JSON ({error})")


class _Scanner:
    """Walks over the top level of a document; `json` decodes the values in it."""

    def __init__(self, document: Document) -> None:
        self.document, self.text, self.offset = document, document.text, 0
        self._decoder = json.JSONDecoder(strict=False, parse_constant=_reject_constant)

    def error(self, offset: int, message: str) -> RecordError:
        remedy = f"{_REMEDY}; the rest of the file was not read"
        return RecordError(message, self.document.locate(min(offset, len(self.text))), remedy)

    def read(self, list_keys: Collection[str]) -> Iterator[JsonObject | RecordError]:
        if self._peek() == "[":
            yield from self._elements()
        else:
            yield from self._members(list_keys)
        if self._peek():
            raise json.JSONDecodeError("Extra data", self.text, self.offset)

    def _peek(self) -> str:
        """The next character that is not white space; "" at the end."""
        match = _SPACE.match(self.text, self.offset)
        self.offset = match.end() if match else self.offset
        return self.text[self.offset : self.offset + 1]

    def _expect(self, characters: str) -> str:
        found = self._peek()
        if not found or found not in characters:
            expected = " or ".join(map(repr, characters))
            raise json.JSONDecodeError(f"Expecting {expected}", self.text, self.offset)
        self.offset += 1
        return found

    def _decode(self) -> Any:
        self._peek()
        value, self.offset = self._decoder.raw_decode(self.text, self.offset)
        return value

    def _elements(self) -> Iterator[JsonObject | RecordError]:
        self._expect("[")
        if self._peek() == "]":
            self.offset += 1
            return
        delimiter = ","
        while delimiter == ",":
            self._peek()
            where = self.document.locate(self.offset)
            yield _to_object(self._decode(), where)
            delimiter = self._expect(",]")

    def _members(self, list_keys: Collection[str]) -> Iterator[JsonObject | RecordError]:
        self._peek()
        where, values, has_list = self.document.locate(self.offset), {}, False
        self._expect("{")
        delimiter = "," if self._peek() != "}" else self._expect("}")
        while delimiter == ",":
            if self._peek() != '"':
                raise json.JSONDecodeError("Expecting a key", self.text, self.offset)
            key = self._decode()
            self._expect(":")
            if key in list_keys and self._peek() == "[":
                has_list = True
                yield from self._elements()
            else:
                values[key] = self._decode()
            delimiter = self._expect(",}")
        if not has_list:
            yield JsonObject(where, values)


def _to_object(value: object, where: str) -> JsonObject | RecordError:
    if isinstance(value, dict):
        return JsonObject(where, value)
    return RecordError(f"is {repr(value)[:60]}, not an object", where, "remove it from the list")


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def get_text(values: Mapping[str, Any], key: str, where: str) -> str:
    """A string, or a number as a string; "" if the field is absent or null.

    Raises RecordError for a value of another type.
    """
    value = values.get(key)
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | int | float):
        return str(value)
    raise RecordError(f"{key!r} is {repr(value)[:60]}", where, "pass a string")


def get_objects(values: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    """A list of objects; empty if the field is absent or null. Raises RecordError otherwise."""
    value = values.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(element, dict) for element in value):
        raise RecordError(f"{key!r} is {repr(value)[:60]}", where, "pass a list of objects")
    return value
