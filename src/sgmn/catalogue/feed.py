"""A shop's catalogue, in the form in which shops keep one, to Products.

A folder with products.jsonl, a .jsonl file, a table (.csv or .tsv with a header line), or a
folder of pictures named after their products. A bad row is refused with its reason and the
rest goes on; a source that is no catalogue at all raises RecordError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sgmn import jsonl
from sgmn.catalogue.spreadsheet import Row
from sgmn.catalogue.spreadsheet import rows as spreadsheet_rows
from sgmn.errors import RecordError
from sgmn.jsonl import Fields
from sgmn.media import image
from sgmn.records import Product

_TABLES = frozenset({".csv", ".tsv"})

_Made = Iterator[tuple[str, Callable[[], Product]]]


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that is no product: its place, and what is wrong with it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Feed:
    """The products of a source, in its order, and the rows that were refused."""

    products: tuple[Product, ...]
    refused: tuple[Refused, ...]


def read(source: Path, shop_id: str = "") -> Feed:
    """Read a catalogue; `shop_id` serves rows that name no shop.

    Pictures are named, not opened. Raises RecordError when `source` is no catalogue.
    """
    made = _source(Path(source), shop_id)
    products, refused, first = [], [], dict[tuple[str, str], str]()
    for where, make in made:
        try:
            product = make()
            _require_new(product, where, first)
        except RecordError as error:
            refused.append(_refused(error))
        else:
            products.append(product)
    return Feed(tuple(products), tuple(refused))


def _source(source: Path, shop_id: str) -> _Made:
    if not jsonl.exists(source):
        raise RecordError("does not exist", where=source, remedy="give a file or a folder")
    if source.is_dir():
        listed = source / "products.jsonl"
        return _lines(listed, shop_id) if jsonl.exists(listed) else _pictures(source, shop_id)
    if source.suffix.lower() == ".jsonl":
        return _lines(source, shop_id)
    if source.suffix.lower() in _TABLES:
        return _table(source, shop_id)
    raise RecordError(
        "is no catalogue that we know",
        where=source,
        remedy="give a .jsonl, .csv or .tsv file, a folder with products.jsonl, or one of pictures",
    )


def _refused(error: RecordError) -> Refused:
    what = f"{error.what}; {error.remedy}" if error.remedy else error.what
    return Refused(str(error.where), what)


def _require_new(product: Product, where: str, first: dict[tuple[str, str], str]) -> None:
    if product.key in first:
        raise RecordError(
            f"product {product.product_id!r} was given before, at {first[product.key]}",
            where=where,
            remedy="give each product of a shop an id of its own",
        )
    first[product.key] = where


def _lines(path: Path, shop_id: str) -> _Made:
    for where, text in jsonl.numbered(path):
        yield where, partial(_line, text, where, path.parent, shop_id)


def _line(text: bytes, where: str, root: Path, shop_id: str) -> Product:
    fields = jsonl.parse(text, where)
    _require_local([fields.values.get("image"), *fields.list("images")], fields.where)
    return jsonl.product(fields, root, shop_id)


def _table(path: Path, shop_id: str) -> _Made:
    for row in spreadsheet_rows(path):
        yield row.where, partial(_row, row, path.parent, shop_id)


def _row(row: Row, root: Path, shop_id: str) -> Product:
    if row.fault is not None:
        raise row.fault
    views = [view.strip() for view in row.values.pop("images", "").split(",") if view.strip()]
    _require_local([row.values.get("image"), *views], row.where)
    known = {name: text for name, text in row.values.items() if text}
    given = known | {"images": views, "attributes": dict(row.attributes)}
    return jsonl.product(Fields(given, row.where), root, shop_id)


def _require_local(images: Iterable[object], where: str) -> None:
    for location in images:
        if isinstance(location, str) and "://" in location:
            raise RecordError(
                f"image {location!r} is an address, and only local files are read",
                where=where,
                remedy="download it and give its path relative to the catalogue",
            )


def _pictures(folder: Path, shop_id: str) -> _Made:
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if not any(path.suffix.lower() in image.SUFFIXES for path in files):
        raise RecordError(
            "holds neither products.jsonl nor pictures",
            where=folder,
            remedy=f"put there products.jsonl, or pictures ({' '.join(image.SUFFIXES)})",
        )
    for path in files:
        yield str(path), partial(_pictured, path, shop_id)


def _pictured(path: Path, shop_id: str) -> Product:
    if path.suffix.lower() not in image.SUFFIXES or not path.is_file():
        raise RecordError("is no picture", where=path, remedy=f"give {' '.join(image.SUFFIXES)}")
    title = " ".join(path.stem.replace("_", " ").replace("-", " ").split())
    return Product(product_id=path.stem, title=title, image=path, shop_id=shop_id)
