"""The copy of a small index gives the same rows as LanceDB, and never those of an older version."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sgmn.catalogue import lance, snapshot
from sgmn.catalogue.replacement import replace_table
from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import UpdateOptions, UpdateProgress
from sgmn.errors import IndexingError
from tests.catalogue.conftest import MakeProduct
from tests.catalogue.fakes import STAMP, FakeEncoder, products_with_title

COPY = snapshot.FILE


def fill(table: ProductTable, count: int = 3, shop_id: str = "", **fields: Any) -> None:
    products = [replace(product, **fields) for product in products_with_title(count, shop_id)]
    table.update(products, FakeEncoder())


def read_everything(table: ProductTable) -> dict[str, Any]:
    """All that can be read from a copy, in a form that can be compared."""
    shops = table.shops()
    shelves = {shop: table.shelf(shop) for shop in shops}
    return {
        "shops": shops,
        "products": table.products(),
        "keys": sorted(table.product_keys()),
        "shelves": {shop: shelf.products for shop, shelf in shelves.items()},
        "vectors": {
            shop: [values.tolist() for values in vars(shelf.vectors).values()]
            for shop, shelf in shelves.items()
        },
    }


def uses_lancedb(path: lance.Location, read: Callable[[ProductTable], object]) -> bool:
    """Whether opening an index and reading it opens its table in LanceDB."""
    table = ProductTable.open(path)
    read(table)
    return "_table" in vars(table._table)


def require_current(path: Path) -> None:
    """What is read with the copy equals what is read without it."""
    found = read_everything(ProductTable.open(path))
    copy = path / COPY
    hidden = copy.rename(path / "hidden") if copy.exists() else None
    assert read_everything(ProductTable.open(path)) == found
    if hidden is not None:
        hidden.rename(copy)


def test_the_copy_gives_the_rows_of_the_table(
    table: ProductTable, product_with_image: MakeProduct
) -> None:
    images = [product_with_image("z", shop_id="b", attributes={"color": "red"}, extra={"n": [1]})]
    table.update(
        [*products_with_title(3, "a"), *images, *products_with_title(2, "ü")], FakeEncoder()
    )
    assert uses_lancedb(table.path, read_everything)
    snapshot.write(table.path)
    assert not uses_lancedb(table.path, read_everything)
    assert ProductTable.open(table.path, STAMP).stamp == STAMP
    require_current(Path(table.path))
    with pytest.raises(IndexingError, match="has no product of shop 'c'; its shops are: 'a', 'b'"):
        ProductTable.open(table.path).shelf("c")


def test_what_the_copy_lacks_is_read_from_the_table(
    table: ProductTable, product_with_image: MakeProduct
) -> None:
    table.update([product_with_image("z")], FakeEncoder())
    snapshot.write(table.path)
    assert set(ProductTable.open(table.path).thumbnails()) == {"z"}
    assert ProductTable.open(table.path).count() == 1


CHANGES: dict[str, Callable[[ProductTable], object]] = {
    "added": lambda table: fill(table, 5),
    "replaced": lambda table: fill(table, 3, category="new"),
    "removed": lambda table: table.remove(["p1"]),
    "other shop": lambda table: fill(table, 1, "other"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_makes_the_copy_invalid(table: ProductTable, change: str) -> None:
    fill(table)
    snapshot.write(table.path)
    reader = ProductTable.open(table.path)
    assert len(reader.product_keys()) == 3
    CHANGES[change](table)
    assert uses_lancedb(table.path, read_everything)
    require_current(Path(table.path))
    assert sorted(reader.products(), key=lambda p: p.key) == table.products()
    snapshot.write(table.path)
    assert not uses_lancedb(table.path, read_everything)
    require_current(Path(table.path))


def test_the_copy_of_another_table_is_not_used(table: ProductTable, tmp_path: Path) -> None:
    """Both tables have the same versions; the second replaces the first in the same folder."""
    folder = Path(table.path)
    fill(table)
    snapshot.write(folder)
    old = shutil.copy(folder / COPY, tmp_path / "old")
    shutil.rmtree(folder)
    again = ProductTable.create_or_open(folder, STAMP)
    fill(again, category="new")
    shutil.copy(old, folder / COPY)
    assert {product.category for product in ProductTable.open(folder).products()} == {"new"}


def test_a_replaced_table_has_the_model_of_the_new_one(table: ProductTable, tmp_path: Path) -> None:
    fill(table)
    snapshot.write(table.path)
    other = ProductTable.create_or_open(tmp_path / "other", replace(STAMP, fingerprint="e" * 64))
    fill(other, 2)
    replace_table(table.path, other)
    assert ProductTable.open(table.path).stamp.fingerprint == "e" * 64
    assert len(ProductTable.open(table.path).product_keys()) == 2


def test_readers_never_see_fewer_rows_than_are_reported(table: ProductTable) -> None:
    """While one thread updates and another one copies, again and again."""
    reported, done = [0], threading.Event()

    def show(progress: UpdateProgress) -> None:
        reported[0] = progress.done

    def update() -> None:
        try:
            table.update(products_with_title(30), FakeEncoder(), UpdateOptions(batch_size=2), show)
        finally:
            done.set()

    def copy() -> None:
        while not done.is_set():
            snapshot.write(table.path)

    threads = [threading.Thread(target=work) for work in (update, copy, copy)]
    for thread in threads:
        thread.start()
    while not done.is_set():
        least = reported[0]
        copied = snapshot.read_rows(table.path, ["product_id"], None)
        if copied is not None:
            assert len(set(copied["product_id"].to_pylist())) == copied.num_rows >= least
        assert len(ProductTable.open(table.path).product_keys()) >= least
    for thread in threads:
        thread.join()
    snapshot.write(table.path)
    copied = snapshot.read_rows(table.path, ["product_id"], None)
    assert copied is not None and copied.num_rows == reported[0] == 30
    require_current(Path(table.path))
    assert list(Path(table.path).glob(".*")) == []


def test_a_large_index_has_no_copy(table: ProductTable, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(table)
    snapshot.write(table.path)
    monkeypatch.setattr(snapshot, "MAX_PRODUCTS", 2)
    snapshot.write(table.path)
    assert not (Path(table.path) / COPY).exists()


@pytest.mark.parametrize("length", [0, 7, 200, -100])
def test_a_damaged_copy_is_reported_and_not_used(
    table: ProductTable, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    fill(table)
    snapshot.write(table.path)
    copy = Path(table.path) / COPY
    copy.write_bytes(copy.read_bytes()[:length])
    assert len(ProductTable.open(table.path).products()) == 3
    assert f"{copy}: is damaged and not used" in caplog.text
    assert "run `sgmn index` again" in caplog.text


def test_a_copy_without_a_column_is_not_used(table: ProductTable) -> None:
    fill(table)
    snapshot.write(table.path)
    copy = Path(table.path) / COPY
    records = pa.ipc.open_file(copy.read_bytes()).read_all().drop_columns("extra")
    with pa.OSFile(str(copy), "wb") as file, pa.ipc.new_file(file, records.schema) as writer:
        writer.write_table(records)
    assert ProductTable.open(table.path).shops() == {"": 3}
    assert uses_lancedb(table.path, lambda table: table.products())


def test_other_users_can_read_the_copy(table: ProductTable) -> None:
    snapshot.write(table.path)  # of an empty table
    assert (Path(table.path) / COPY).stat().st_mode & 0o044 == 0o044
    assert ProductTable.open(table.path).products() == []


def test_an_index_in_object_storage_has_no_copy() -> None:
    address = "s3://bucket/folder"
    snapshot.write(address)
    assert snapshot.read_metadata(address) is None
    assert snapshot.read_rows(address, ["product_id"], None) is None
