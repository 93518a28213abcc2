"""Reads and writes datasets: a folder with products, clips, photos and streams.

    products.jsonl   one product per line: product_id, title, image, ...
    clips.jsonl      one clip per line: clip_id, video or frames, transcript, product_ids, ...
    photos.jsonl     one labeled photo per line: path, product_id
    streams/*.json   one livestream per file: video, transcript, timeline

Each part is optional. Paths are relative to the folder, or, in a stream, to its file.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sgmn import jsonl
from sgmn.data import rows
from sgmn.data.rows import Photo, Stream, clip_to_row, product_to_row
from sgmn.errors import RecordError
from sgmn.jsonl import Fields
from sgmn.records import Clip, Product
from sgmn.row_issues import RowIssue, UniqueKeys

__all__ = [
    "Dataset",
    "Photo",
    "Stream",
    "clip_to_row",
    "product_to_row",
    "read_dataset",
    "read_stream",
    "write_jsonl",
]

_PARTS = ("products.jsonl", "clips.jsonl", "photos.jsonl", "streams")
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Dataset:
    """The contents of a dataset folder, in the order of its files."""

    root: Path
    products: tuple[Product, ...] = ()
    clips: tuple[Clip, ...] = ()
    streams: tuple[Stream, ...] = ()
    photos: tuple[Photo, ...] = ()
    rejected_rows: tuple[RowIssue, ...] = ()


def read_dataset(folder: Path, *, skip_invalid: bool = False) -> Dataset:
    """Read a dataset folder. Media files are not opened.

    Args:
        folder: A folder with at least one part of a dataset.
        skip_invalid: List invalid or repeated rows in `rejected_rows` instead of raising.

    Raises:
        RecordError: `folder` is not a dataset, or a row is invalid or repeated.
    """
    folder = Path(folder)
    _require_parts(folder)
    reader = _RowReader(skip_invalid)
    return Dataset(
        root=folder,
        products=reader.read_jsonl(folder / "products.jsonl", jsonl.parse_product, lambda p: p.key),
        clips=reader.read_jsonl(folder / "clips.jsonl", rows.parse_clip, lambda c: c.clip_id),
        photos=reader.read_jsonl(folder / "photos.jsonl", rows.parse_photo, None),
        streams=reader.read_streams(folder / "streams"),
        rejected_rows=tuple(reader.rejected_rows),
    )


def _require_parts(folder: Path) -> None:
    if not jsonl.path_exists(folder) or not folder.is_dir():
        raise RecordError("is not a folder", where=folder, remedy="pass a dataset folder")
    if not any(jsonl.path_exists(folder / part) for part in _PARTS):
        raise RecordError(
            "is not a dataset",
            where=folder,
            remedy="add at least one of products.jsonl, clips.jsonl, photos.jsonl, streams/",
        )


class _RowReader:
    """Reads rows; an invalid one is raised, or collected with `skip_invalid`."""

    def __init__(self, skip_invalid: bool) -> None:
        self.skip_invalid = skip_invalid
        self.rejected_rows: list[RowIssue] = []

    def read_jsonl(
        self,
        path: Path,
        parse: Callable[[Fields, Path], _Row],
        key_of: Callable[[_Row], Hashable] | None,
    ) -> tuple[_Row, ...]:
        """The records of a JSONL file, unique by key; none if the file does not exist."""
        if not path.exists():
            return ()
        lines = self._read_lines(path)
        parsers = ((w, partial(_parse_line, parse, text, w, path.parent)) for w, text in lines)
        return tuple(self._parse_all(parsers, key_of))

    def read_streams(self, folder: Path) -> tuple[Stream, ...]:
        """The streams of a folder of JSON files, in the order of their names."""
        paths = sorted(folder.glob("*.json"))
        parsers = ((str(path), partial(read_stream, path)) for path in paths)
        return tuple(self._parse_all(parsers, lambda stream: stream.stream_id))

    def _read_lines(self, path: Path) -> Iterator[tuple[str, bytes]]:
        try:
            yield from jsonl.read_lines(path)
        except RecordError as error:  # the file cannot be opened, or not be read to its end
            self._reject(error)

    def _parse_all(
        self,
        parsers: Iterable[tuple[str, Callable[[], _Row]]],
        key_of: Callable[[_Row], Hashable] | None,
    ) -> Iterator[_Row]:
        keys = UniqueKeys()
        for where, parse in parsers:
            try:
                row = parse()
                if key_of is not None:
                    keys.add(key_of(row), where, repr(key_of(row)))
            except RecordError as error:
                self._reject(error)
            else:
                yield row

    def _reject(self, error: RecordError) -> None:
        if not self.skip_invalid:
            raise error
        self.rejected_rows.append(RowIssue.from_error(error))


def _parse_line(parse: Callable[[Fields, Path], _Row], text: bytes, where: str, root: Path) -> _Row:
    return parse(jsonl.parse_object(text, where), root)


def read_stream(path: Path) -> Stream:
    """Read the JSON file of one stream.

    Raises RecordError with the file and the field.
    """
    try:
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror})", where=path) from error
    return rows.parse_stream(jsonl.parse_object(text, str(path)), path)


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object per line, and replace the file only when all are written.

    Raises RecordError for values that JSON cannot represent, such as NaN.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            for number, record in enumerate(records, start=1):
                file.write(_to_json(record, f"{path}:{number}") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _to_json(record: Mapping[str, Any], where: str) -> bytes:
    try:
        return json.dumps(dict(record), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError) as error:
        raise RecordError(f"is not valid JSON ({error})", where=where) from error
