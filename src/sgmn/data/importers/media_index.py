"""Finds images by their ids in the output of img2dataset: folders or tar shards.

A shard holds `000000012.jpg` beside a sidecar `000000012.json` with the address of the image and
its original size. The id of an image is the last part of that address without its suffix. The
index is a SQLite file, so that it may be larger than memory and several processes can read it.
A shard is added in one transaction: an interrupted scan continues with the next shard.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple, Self

from sgmn import tar_member
from sgmn.errors import MediaError, error_reason
from sgmn.media.image import SUFFIXES

_LOOKUP = 500  # names in one query
_SCHEMA = """
CREATE TABLE IF NOT EXISTS shards (path TEXT PRIMARY KEY, images INTEGER);
CREATE TABLE IF NOT EXISTS images (
  name TEXT PRIMARY KEY, path TEXT, width INTEGER, height INTEGER) WITHOUT ROWID;
"""


class IndexedImage(NamedTuple):
    """An image on disk, and the size in pixels of its original if the sidecar states it."""

    path: Path
    size: tuple[int, int] | None


class ScannedImage(NamedTuple):
    """A row of the index."""

    name: str
    path: str
    width: int | None
    height: int | None


def find_shards(folder: Path, excluded: Sequence[str] = ()) -> list[Path]:
    """Return the tar shards and the shard folders below a folder, sorted by path.

    excluded: Names (with wildcards) of folders that hold no shards, but perhaps millions of files.
    """
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        found += [Path(place, name) for name in files if name.endswith(".tar")]
        is_shard = Path(place).name.isdecimal() and any(name.endswith(".json") for name in files)
        found += [Path(place)] if is_shard else []
        folders[:] = [
            name for name in folders if not any(fnmatch(name, pattern) for pattern in excluded)
        ]
    return sorted(found)


def scan_shard(shard: Path) -> list[ScannedImage]:
    """Return the images of a shard that have a sidecar. Raises MediaError for a damaged shard."""
    try:
        return list(_scan_folder(shard) if shard.is_dir() else _scan_tar(shard))
    except (OSError, tarfile.TarError, ValueError) as error:
        message = f"is a damaged shard ({error_reason(error)})"
        raise MediaError(message, shard, "download the shard again, or remove it") from error


def _scan_folder(shard: Path) -> Iterator[ScannedImage]:
    images = {p.stem: p for p in sorted(shard.iterdir()) if p.suffix.lower() in SUFFIXES}
    for stem, path in images.items():
        sidecar = path.with_suffix(".json")
        if sidecar.is_file():
            yield from _to_row(stem, path, sidecar.read_bytes())


def _scan_tar(shard: Path) -> Iterator[ScannedImage]:
    """The files of a sample are neighbors, in any order."""
    images: dict[str, Path] = {}
    sidecars: dict[str, bytes] = {}
    for member in tar_member.list_members(shard):
        name = Path(member.name)
        if name.suffix.lower() in SUFFIXES:
            images[name.stem] = member.path
        elif name.suffix == ".json":
            sidecars[name.stem] = member.read()
        if name.stem in images and name.stem in sidecars:
            yield from _to_row(name.stem, images.pop(name.stem), sidecars.pop(name.stem))


def _to_row(stem: str, path: Path, sidecar: bytes) -> Iterator[ScannedImage]:
    values = json.loads(sidecar)
    address = values.get("url") or stem
    width, height = (_to_pixels(values.get(f"original_{side}")) for side in ("width", "height"))
    yield ScannedImage(Path(str(address).split("?")[0]).stem, str(path), width, height)


def _to_pixels(value: object) -> int | None:
    """img2dataset writes numbers, and strings in the example of LPR4M."""
    text = str(value)
    return int(text) if text.isdecimal() and int(text) > 0 else None


class MediaIndex:
    """The index in a file; created if it does not exist."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.connection = sqlite3.connect(path, timeout=60)
        self.connection.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.connection.close()

    def missing_shards(self, shards: Iterable[Path]) -> list[Path]:
        """Return the shards that are not in the index yet."""
        known = {path for (path,) in self.connection.execute("SELECT path FROM shards")}
        return [shard for shard in shards if str(shard) not in known]

    def add_shard(self, shard: Path, images: Sequence[ScannedImage]) -> None:
        """Add the images of a shard in one transaction; the first image of a name stays."""
        with self.connection:
            self.connection.executemany(
                "INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?)", sorted(images)
            )
            self.connection.execute("INSERT INTO shards VALUES (?, ?)", (str(shard), len(images)))

    def find(self, names: Sequence[str]) -> dict[str, IndexedImage]:
        """Return the images with some names, as far as they are in the index."""
        found: dict[str, IndexedImage] = {}
        for start in range(0, len(names), _LOOKUP):
            part = names[start : start + _LOOKUP]
            marks = ",".join("?" * len(part))
            query = f"SELECT * FROM images WHERE name IN ({marks})"
            found |= self._to_images(self.connection.execute(query, part))
        return found

    def find_prefix(self, prefix: str) -> dict[str, IndexedImage]:
        """Return the images whose names start with `prefix` and a dash, sorted by name."""
        query = "SELECT * FROM images WHERE name > ? AND name < ? ORDER BY name"
        return self._to_images(self.connection.execute(query, (f"{prefix}-", f"{prefix}.")))

    def _to_images(self, rows: Iterable[tuple[str, str, int, int]]) -> dict[str, IndexedImage]:
        return {
            name: IndexedImage(Path(path), (width, height) if width and height else None)
            for name, path, width, height in rows
        }
