"""A JSONL file of millions of rows as a sequence of records, without reading it into memory.

Beside the file lies a folder with what a run needs to know about all rows, as memory-mapped arrays
(docs/decisions/017). A row itself is read and parsed when it is needed, so processes share the
pages of the arrays and of the file. See `sgmn.data.table_builder` for how a table is built.

    .clips.jsonl.table/    meta.json, starts.npy, lengths.npy, key_hashes.npy, ...
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from sgmn import jsonl
from sgmn.errors import RecordError
from sgmn.jsonl import Fields

Row = TypeVar("Row", covariant=True)
Parser = Callable[[Fields, Path], Row]
VERSION = 1
META = "meta.json"


def table_folder(path: Path) -> Path:
    """Return the folder of the table of a JSONL file."""
    return path.with_name(f".{path.name}.table")


def hash_key(shop_id: str, row_id: str) -> int:
    """Hash the key of a row into 8 bytes."""
    return int.from_bytes(blake2b(f"{shop_id}\0{row_id}".encode(), digest_size=8).digest(), "big")


class RowTable(Sequence[Row]):
    """The rows of a JSONL file, each parsed whenever it is accessed.

    A row whose fields are invalid raises RecordError when it is accessed. Instances can be
    pickled: another process opens the same files.

    Args:
        path: the JSONL file, whose table exists, see `table_builder.open_table`.
        parse: parses a row.

    Attributes:
        shops, splits: the names that columns refer to.
    """

    def __init__(self, path: Path, parse: Parser[Row]) -> None:
        self.path, self.parse = path, parse
        meta = json.loads((table_folder(path) / META).read_text(encoding="utf-8"))
        self.shops: list[str] = meta["shops"]
        self.splits: list[str] = meta["splits"]
        self._descriptor: int | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return RowTable, (self.path, self.parse)

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        where = f"{self.path}: row {range(len(self))[index] + 1}"
        return self.parse(jsonl.parse_object(self._read(index, where), where), self.path.parent)

    def __iter__(self) -> Iterator[Row]:
        return (self[i] for i in range(len(self)))

    def _read(self, index: int, where: str) -> bytes:
        start, length = int(self.starts[index]), int(self.lengths[index])
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_RDONLY)
            return os.pread(self._descriptor, length, start)
        except OSError as error:
            remedy = "leave the dataset in its place while a run uses it"
            raise RecordError(f"cannot be read ({error.strerror})", where, remedy) from error

    def _column(self, name: str) -> NDArray[Any]:
        column: NDArray[Any] = np.load(table_folder(self.path) / f"{name}.npy", mmap_mode="r")
        return column

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The first byte of each row (n)."""
        return self._column("starts")

    @cached_property
    def lengths(self) -> NDArray[np.int32]:
        """The bytes of each row (n)."""
        return self._column("lengths")

    @cached_property
    def sorted_hashes(self) -> NDArray[np.uint64]:
        """The hashes of all keys (n), sorted."""
        return self._column("sorted_hashes")

    @cached_property
    def rows_by_hash(self) -> NDArray[np.int32]:
        """The row of each of `sorted_hashes` (n)."""
        return self._column("rows_by_hash")

    @cached_property
    def row_shops(self) -> NDArray[np.int32]:
        """The position in `shops` of each row's shop (n)."""
        return self._column("row_shops")

    @cached_property
    def row_splits(self) -> NDArray[np.int16]:
        """The position in `splits` of each row's split (n)."""
        return self._column("row_splits")

    @cached_property
    def label_ends(self) -> NDArray[np.int64]:
        """Where the labels of each row end in `label_hashes` (n)."""
        return self._column("label_ends")

    @cached_property
    def label_hashes(self) -> NDArray[np.uint64]:
        """The hashes of the keys of all products that rows are labeled with, row by row."""
        return self._column("label_hashes")

    @cached_property
    def id_ends(self) -> NDArray[np.int64]:
        """Where the id of each row ends in `ids` (n); empty in tables of clips."""
        return self._column("id_ends")

    @cached_property
    def ids(self) -> NDArray[np.uint8]:
        """The ids of all rows in UTF-8; empty in tables of clips."""
        return self._column("ids")

    def key(self, index: int) -> tuple[str, str]:
        """Return the shop and the id of a row of products without parsing it."""
        start = int(self.id_ends[index - 1]) if index else 0
        row_id = self.ids[start : int(self.id_ends[index])].tobytes().decode()
        return self.shops[self.row_shops[index]], row_id

    def find(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the rows with some hashes of keys (N); -1 where there is none."""
        if not len(self):
            return np.full(len(hashes), -1)
        places = np.minimum(np.searchsorted(self.sorted_hashes, hashes), len(self) - 1)
        rows = self.rows_by_hash[places].astype(np.int64)
        return np.where(self.sorted_hashes[places] == hashes, rows, -1)
