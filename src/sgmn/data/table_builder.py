"""Builds the table of a JSONL file, see `sgmn.data.row_table`.

The file remains the only copy of its rows. Its size and the time of its last change are stored in
the table; if they differ, the table is built again.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgmn import jsonl
from sgmn.data.row_table import META, VERSION, Parser, Row, RowTable, hash_key, table_folder
from sgmn.errors import RecordError
from sgmn.row_issues import RowIssue

_LOG = logging.getLogger("sgmn.data")


@dataclass
class Columns:
    """The columns of a table while it is built; see `RowTable` for each of them."""

    starts: array[int] = field(default_factory=lambda: array("q"))
    lengths: array[int] = field(default_factory=lambda: array("i"))
    key_hashes: array[int] = field(default_factory=lambda: array("Q"))
    row_shops: array[int] = field(default_factory=lambda: array("i"))
    row_splits: array[int] = field(default_factory=lambda: array("h"))
    label_ends: array[int] = field(default_factory=lambda: array("q"))
    label_hashes: array[int] = field(default_factory=lambda: array("Q"))
    id_ends: array[int] = field(default_factory=lambda: array("q"))
    ids: bytearray = field(default_factory=bytearray)
    shops: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)

    def add(self, start: int, length: int, row_id: str, values: dict[str, Any]) -> None:
        """Add a row whose fields have valid types."""
        shop, is_clip = values.get("shop_id") or "", "clip_id" in values
        self.starts.append(start)
        self.lengths.append(length)
        # Clip ids are unique in a dataset, product ids in a shop.
        self.key_hashes.append(hash_key("" if is_clip else shop, row_id))
        self.row_shops.append(self.shops.setdefault(shop, len(self.shops)))
        split = values.get("split") or ""
        self.row_splits.append(self.splits.setdefault(split, len(self.splits)))
        for product_id in values.get("product_ids") or ():
            self.label_hashes.append(hash_key(shop, product_id))
        self.label_ends.append(len(self.label_hashes))
        if not is_clip:
            self.ids += row_id.encode()
        self.id_ends.append(len(self.ids))


def open_table(
    path: Path, id_field: str, parse: Parser[Row], *, skip_invalid: bool = False
) -> tuple[RowTable[Row], list[RowIssue]]:
    """Open the table of a JSONL file; build it if it is missing or the file has changed.

    Args:
        path: the JSONL file.
        id_field: the field with the id of a row, "clip_id" or "product_id".
        parse: parses a row.
        skip_invalid: parse every row now, and leave invalid ones out instead of raising.
            Otherwise, a row is fully validated when it is read.

    Returns:
        The table and the rows that were left out.

    Raises:
        RecordError: The file cannot be read, the table cannot be written, a row is no JSON object
            or has no valid id, shop, split or labels, or an id is repeated.
    """
    folder, stamp = table_folder(path), _stamp(path, skip_invalid)
    meta = _read_meta(folder)
    if meta is None or meta["stamp"] != stamp:
        _LOG.info("Building the table of %s", path)
        issues: list[RowIssue] = []
        columns = _read_columns(path, id_field, parse, issues if skip_invalid else None)
        _write(folder, columns, {"stamp": stamp, "issues": [[i.where, i.message] for i in issues]})
        meta = _read_meta(folder)
        assert meta is not None
    return RowTable(path, parse), [RowIssue(*issue) for issue in meta["issues"]]


def _stamp(path: Path, skip_invalid: bool) -> list[Any]:
    try:
        stat = path.stat()
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror})", path) from error
    return [VERSION, stat.st_size, stat.st_mtime_ns, skip_invalid]


def _read_meta(folder: Path) -> dict[str, Any] | None:
    """Read the description of a table; None if there is none, or a damaged one."""
    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return meta


def _read_columns(
    path: Path, id_field: str, parse: Parser[Row], issues: list[RowIssue] | None
) -> Columns:
    """Read the columns of all rows; problems are appended to `issues`, or raised if None."""
    columns = Columns()
    for where, start, text in _read_lines(path):
        try:
            if issues is not None:
                parse(jsonl.parse_object(text, where), path.parent)
            values = _read_values(text, id_field)
            if values is None:  # the parser knows what is wrong
                parse(jsonl.parse_object(text, where), path.parent)
                raise RecordError("is not valid", where, "run sgmn check")
        except RecordError as error:
            if issues is None:
                raise
            issues.append(RowIssue.from_error(error))
        else:
            columns.add(start, len(text), values[id_field], values)
    _require_unique(columns, path)
    return columns


def _read_lines(path: Path) -> Iterator[tuple[str, int, bytes]]:
    """Yield the location, the first byte and the content of each line that is not blank."""
    start = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.removeprefix(jsonl.BOM) if number == 1 else line
                if content := text.strip():
                    yield f"{path}:{number}", start + line.index(content), content
                start += len(line)
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror})", path) from error


def _read_values(text: bytes, id_field: str) -> dict[str, Any] | None:
    """Read the fields of a row; None if those that columns need are not valid."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    labels = values.get("product_ids") or []
    optional = [values.get(name) for name in ("shop_id", "split")]
    is_valid = (
        isinstance(values.get(id_field), str)
        and values[id_field] != ""
        and all(value is None or isinstance(value, str) for value in optional)
        and isinstance(labels, list)
        and all(isinstance(label, str) and label for label in labels)
    )
    return values if is_valid else None


def _require_unique(columns: Columns, path: Path) -> None:
    """Refuse rows whose id an earlier row has; their 8-byte hashes are compared."""
    hashes = np.frombuffer(columns.key_hashes, np.uint64)
    order = np.argsort(hashes, kind="stable")
    repeated = order[1:][hashes[order[1:]] == hashes[order[:-1]]]
    if len(repeated):
        raise RecordError(
            f"{len(repeated)} rows repeat the id of an earlier row, first row {repeated.min() + 1}",
            path,
            "give each row a unique id",
        )


def _write(folder: Path, columns: Columns, meta: dict[str, Any]) -> None:
    """Write a table into a new folder, which then replaces the old one."""
    try:
        draft = Path(tempfile.mkdtemp(prefix=folder.name, dir=folder.parent))
        draft.chmod(0o755)
        for name, values in _to_arrays(columns).items():
            np.save(draft / f"{name}.npy", values)
        meta |= {"shops": list(columns.shops), "splits": list(columns.splits)}
        (draft / META).write_text(json.dumps(meta), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        draft.replace(folder)
    except OSError as error:
        raise RecordError(
            f"the table of its rows cannot be written ({error.strerror})",
            folder.parent,
            "make the folder writable; the table takes about 50 bytes per row",
        ) from error


def _to_arrays(columns: Columns) -> dict[str, NDArray[Any]]:
    hashes = np.frombuffer(columns.key_hashes, np.uint64)
    order = np.argsort(hashes, kind="stable").astype(np.int32)
    return {
        "starts": np.frombuffer(columns.starts, np.int64),
        "lengths": np.frombuffer(columns.lengths, np.int32),
        "sorted_hashes": hashes[order],
        "rows_by_hash": order,
        "row_shops": np.frombuffer(columns.row_shops, np.int32),
        "row_splits": np.frombuffer(columns.row_splits, np.int16),
        "label_ends": np.frombuffer(columns.label_ends, np.int64),
        "label_hashes": np.frombuffer(columns.label_hashes, np.uint64),
        "id_ends": np.frombuffer(columns.id_ends, np.int64),
        "ids": np.frombuffer(columns.ids, np.uint8),
    }
