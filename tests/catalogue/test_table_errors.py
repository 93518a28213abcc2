from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
import pytest

from sgmn.catalogue.stamp import ModelStamp
from sgmn.catalogue.table import ProductTable
from sgmn.errors import IndexingError
from tests.catalogue.fakes import DIM, STAMP, FakeEncoder, products_with_title


def test_another_model_is_rejected_by_name(table: ProductTable):
    other = ModelStamp("e" * 64, DIM, "other")
    message = r"was built by fake.*the model in use is other.*index again"
    for open_table in (ProductTable.open, ProductTable.create_or_open):
        with pytest.raises(IndexingError, match=message):
            open_table(table.path, other)
    with pytest.raises(IndexingError, match="width 8"):
        ProductTable.open(table.path, ModelStamp("f" * 64, 8, "fake"))
    assert ProductTable.open(table.path).stamp == STAMP
    assert ProductTable.open(table.path, replace(STAMP, name="renamed")).stamp.name == "fake"


def test_a_path_without_an_index_is_an_error(tmp_path: Path):
    with pytest.raises(IndexingError, match="not an index"):
        ProductTable.open(tmp_path / "nowhere", STAMP)
    (tmp_path / "half" / "products.lance" / "_transactions").mkdir(parents=True)
    with pytest.raises(IndexingError, match="cannot be opened"):
        ProductTable.open(tmp_path / "half", STAMP)
    assert ProductTable.create_or_open(tmp_path / "half", STAMP).count() == 0  # a killed creation
    (tmp_path / "file").write_text("")
    for open_table in (ProductTable.create_or_open, ProductTable.open):
        with pytest.raises(IndexingError, match="is a file; pass the folder of an index"):
            open_table(tmp_path / "file", STAMP)
        with pytest.raises(IndexingError):
            open_table(tmp_path / ("x" * 300), STAMP)


def test_exists_does_not_open_the_index(tmp_path: Path, table: ProductTable):
    assert ProductTable.exists(table.path)
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "file", tmp_path / ("x" * 300)):
        assert not ProductTable.exists(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "without a model stamp"),
        ({"sgmn": "no json"}, "without a model stamp"),
        (
            {"sgmn": json.dumps({"format_version": 5, "fingerprint": "f", "dim": 3, "name": ""})},
            "update sgmn",
        ),
        ({"sgmn": json.dumps({"format_version": 5, "model": {}})}, "update sgmn"),
        ({"sgmn": json.dumps({"format_version": 1, "model": {}})}, "; index again"),
        ({"sgmn": json.dumps({"format_version": 2, "model": {}})}, "; index again"),
        ({"sgmn": json.dumps({"format_version": 3, "model": {}})}, "; index again"),
    ],
)
def test_tables_of_other_programs_and_formats_are_rejected(
    tmp_path: Path, metadata: dict[str, str] | None, message: str
):
    schema = pa.schema([pa.field("id", pa.string())], metadata=metadata)
    lancedb.connect(tmp_path).create_table("products", schema=schema)
    with pytest.raises(IndexingError, match=message):
        ProductTable.open(tmp_path, STAMP)


class FullDisk:
    """A LanceDB table on a disk without free space."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fail(*_: object, **__: object) -> Any:
            raise OSError(28, "No space left on device")

        return fail


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda table: table.delete_rows("id", ["a"]), "cannot delete rows"),
        (lambda table: table.optimize(), "cannot be optimized"),
    ],
)
def test_a_full_disk_is_reported_in_one_line(
    table: ProductTable, write: Callable[[ProductTable], object], message: str
):
    full = ProductTable(table.path, FullDisk(), table.stamp)
    with pytest.raises(IndexingError, match=rf"index: {message} .*No space left.*free disk space"):
        write(full)


def test_a_folder_that_cannot_be_written_is_reported_in_one_line(
    table: ProductTable, encoder: FakeEncoder
):
    data = Path(table.path) / "products.lance" / "data"
    data.write_text("a file where LanceDB expects its folder")
    with pytest.raises(IndexingError, match=r"index: cannot be written \(.*; check its perm"):
        table.update(products_with_title(1), encoder)


def test_a_damaged_index_is_reported(table: ProductTable, encoder: FakeEncoder):
    table.update(products_with_title(5), encoder)
    for path in (Path(table.path) / "products.lance" / "data").iterdir():
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(IndexingError, match=r"cannot be (read|opened) .*; index again"):
        ProductTable.open(table.path, STAMP).shelf()
