"""The project's own dataset layout: a folder with products, clips, photos and streams.

    products.jsonl   one product a line: product_id, title, image, ...
    clips.jsonl      one clip a line: clip_id, video or frames, transcript, product_ids, ...
    photos.jsonl     one labelled photograph a line: path, product_id
    streams/*.json   one livestream a file: video, transcript, timeline

Each part is optional; paths are relative to the folder (of a stream, to its file).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sgmn import jsonl
from sgmn.data import rows
from sgmn.data.rows import Photo, Stream, clip_line, product_line
from sgmn.errors import RecordError
from sgmn.jsonl import Fields
from sgmn.records import Clip, Product

__all__ = [
    "Dataset",
    "Photo",
    "Refusal",
    "Stream",
    "clip_line",
    "product_line",
    "read",
    "read_stream",
    "write_jsonl",
]

_PARTS = ("products.jsonl", "clips.jsonl", "photos.jsonl", "streams")
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that was skipped: its place `file:line`, and what is wrong with it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a folder holds, in the order of its files; `refused` are the skipped lines."""

    root: Path
    products: tuple[Product, ...] = ()
    clips: tuple[Clip, ...] = ()
    streams: tuple[Stream, ...] = ()
    photos: tuple[Photo, ...] = ()
    refused: tuple[Refusal, ...] = ()


def read(folder: Path, *, skip_bad: bool = False) -> Dataset:
    """Read a dataset folder; media files are named, not opened.

    A malformed or repeated line raises RecordError, or is listed in `refused` with `skip_bad`.
    """
    folder = Path(folder)
    _require_parts(folder)
    door = _Door(skip_bad)
    return Dataset(
        root=folder,
        products=door.lines(folder / "products.jsonl", jsonl.product, lambda p: p.key),
        clips=door.lines(folder / "clips.jsonl", rows.clip, lambda c: c.clip_id),
        photos=door.lines(folder / "photos.jsonl", rows.photo, None),
        streams=door.files(folder / "streams"),
        refused=tuple(door.refused),
    )


def _require_parts(folder: Path) -> None:
    if not jsonl.exists(folder) or not folder.is_dir():
        raise RecordError("is no folder", where=folder, remedy="give the folder of a dataset")
    if not any(jsonl.exists(folder / part) for part in _PARTS):
        raise RecordError(
            "is no dataset",
            where=folder,
            remedy="put at least one of products.jsonl, clips.jsonl, photos.jsonl, streams/ there",
        )


class _Door:
    """Lets good rows in; a bad one is raised, or kept in `refused` when it may be skipped."""

    def __init__(self, skip_bad: bool) -> None:
        self.skip_bad = skip_bad
        self.refused: list[Refusal] = []

    def lines(
        self,
        path: Path,
        record: Callable[[Fields, Path], _Row],
        key: Callable[[_Row], object] | None,
    ) -> tuple[_Row, ...]:
        """The records of a JSONL file, unique by `key`; none when the file is absent."""
        if not path.exists():
            return ()
        places = self._safe(jsonl.numbered(path))
        made = ((w, partial(_line, record, text, w, path.parent)) for w, text in places)
        return tuple(self._let_in(made, key))

    def files(self, folder: Path) -> tuple[Stream, ...]:
        """The streams of a folder of JSON files, in the order of their names."""
        paths = sorted(folder.glob("*.json"))
        made = ((str(path), partial(read_stream, path)) for path in paths)
        return tuple(self._let_in(made, lambda stream: stream.stream_id))

    def _safe(self, places: Iterator[_Row]) -> Iterator[_Row]:
        try:
            yield from places
        except RecordError as error:  # the file broke off or cannot be opened
            self._refuse(error)

    def _let_in(
        self,
        made: Iterable[tuple[str, Callable[[], _Row]]],
        key: Callable[[_Row], object] | None,
    ) -> Iterator[_Row]:
        first: dict[object, str] = {}
        for where, make in made:
            try:
                row = make()
                if key is not None:
                    _require_new(key(row), where, first)
            except RecordError as error:
                self._refuse(error)
            else:
                yield row

    def _refuse(self, error: RecordError) -> None:
        if not self.skip_bad:
            raise error
        where, what = str(error.where), error.what
        self.refused.append(Refusal(where, f"{what}; {error.remedy}" if error.remedy else what))


def _require_new(key: object, where: str, first: dict[object, str]) -> None:
    if key in first:
        raise RecordError(
            f"{key!r} was given before, at {first[key]}",
            where=where,
            remedy="give each an id of its own",
        )
    first[key] = where


def _line(record: Callable[[Fields, Path], _Row], text: bytes, where: str, root: Path) -> _Row:
    return record(jsonl.parse(text, where), root)


def read_stream(path: Path) -> Stream:
    """Read one stream's JSON file. Raises RecordError naming file and field."""
    try:
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror})", where=path) from error
    return rows.stream(jsonl.parse(text, str(path)), path)


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line; the file appears whole or not at all.

    Raises RecordError for what JSON cannot hold, such as NaN.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            for number, record in enumerate(records, start=1):
                file.write(_encoded(record, f"{path}:{number}") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _encoded(record: Mapping[str, Any], where: str) -> bytes:
    try:
        return json.dumps(dict(record), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError) as error:
        raise RecordError(f"is no JSON line ({error})", where=where) from error
