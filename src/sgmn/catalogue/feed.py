"""Reads a shop's catalogue from the files in which shops keep one.

A catalogue is a folder with products.jsonl, a .jsonl file, a table (.csv or .tsv with a header
line), or a folder of images named after their products. Invalid rows are collected with the
reason, and the other rows are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sgmn import jsonl
from sgmn.catalogue import spreadsheet
from sgmn.catalogue.spreadsheet import TableRow
from sgmn.errors import RecordError
from sgmn.jsonl import Fields
from sgmn.media import image
from sgmn.records import Product
from sgmn.row_issues import RowIssue, UniqueKeys

_TABLE_SUFFIXES = frozenset({".csv", ".tsv"})

# The location of each row, and a function that parses it.
_Rows = Iterator[tuple[str, Callable[[], Product]]]


@dataclass(frozen=True, slots=True)
class Feed:
    """The products of a catalogue in its order, and the rows that were rejected."""

    products: tuple[Product, ...]
    rejected_rows: tuple[RowIssue, ...]


def read_feed(source: Path, shop_id: str = "") -> Feed:
    """Read a catalogue. Image files are not opened.

    Args:
        source: A .jsonl, .csv or .tsv file, or a folder.
        shop_id: The shop of rows that name none.

    Raises:
        RecordError: `source` is not a catalogue.
    """
    products: list[Product] = []
    rejected_rows: list[RowIssue] = []
    keys = UniqueKeys()
    for where, parse in _find_rows(Path(source), shop_id):
        try:
            product = parse()
            keys.add(product.key, where, f"product {product.product_id!r}")
        except RecordError as error:
            rejected_rows.append(RowIssue.from_error(error))
        else:
            products.append(product)
    return Feed(tuple(products), tuple(rejected_rows))


def _find_rows(source: Path, shop_id: str) -> _Rows:
    if not jsonl.path_exists(source):
        raise RecordError("does not exist", where=source, remedy="pass a file or a folder")
    if source.is_dir():
        products_file = source / "products.jsonl"
        if jsonl.path_exists(products_file):
            return _jsonl_rows(products_file, shop_id)
        return _image_rows(source, shop_id)
    if source.suffix.lower() == ".jsonl":
        return _jsonl_rows(source, shop_id)
    if source.suffix.lower() in _TABLE_SUFFIXES:
        return _table_rows(source, shop_id)
    raise RecordError(
        "is not a supported catalogue format",
        where=source,
        remedy="pass a .jsonl, .csv or .tsv file, or a folder with products.jsonl or images",
    )


def _jsonl_rows(path: Path, shop_id: str) -> _Rows:
    for where, text in jsonl.read_lines(path):
        yield where, partial(_parse_json, text, where, path.parent, shop_id)


def _parse_json(text: bytes, where: str, root: Path, shop_id: str) -> Product:
    fields = jsonl.parse_object(text, where)
    _require_local([fields.values.get("image"), *fields.get_list("images")], fields.where)
    return jsonl.parse_product(fields, root, shop_id)


def _table_rows(path: Path, shop_id: str) -> _Rows:
    for row in spreadsheet.read_rows(path):
        yield row.where, partial(_parse_table_row, row, path.parent, shop_id)


def _parse_table_row(row: TableRow, root: Path, shop_id: str) -> Product:
    if row.error is not None:
        raise row.error
    values = {name: text for name, text in row.values.items() if text}
    images = [path.strip() for path in values.pop("images", "").split(",") if path.strip()]
    _require_local([values.get("image"), *images], row.where)
    fields = Fields(values | {"images": images, "attributes": dict(row.attributes)}, row.where)
    return jsonl.parse_product(fields, root, shop_id)


def _require_local(images: Iterable[object], where: str) -> None:
    for location in images:
        if isinstance(location, str) and "://" in location:
            raise RecordError(
                f"image {location!r} is a URL, but only local files are supported",
                where=where,
                remedy="download it and set its path relative to the catalogue",
            )


def _image_rows(folder: Path, shop_id: str) -> _Rows:
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if not any(path.suffix.lower() in image.SUFFIXES for path in paths):
        raise RecordError(
            "contains neither products.jsonl nor images",
            where=folder,
            remedy=f"add products.jsonl, or images ({' '.join(image.SUFFIXES)})",
        )
    for path in paths:
        yield str(path), partial(_parse_image_name, path, shop_id)


def _parse_image_name(path: Path, shop_id: str) -> Product:
    if path.suffix.lower() not in image.SUFFIXES or not path.is_file():
        formats = " ".join(image.SUFFIXES)
        raise RecordError("is not an image file", where=path, remedy=f"supported are {formats}")
    title = " ".join(path.stem.replace("_", " ").replace("-", " ").split())
    return Product(product_id=path.stem, title=title, image=path, shop_id=shop_id)
