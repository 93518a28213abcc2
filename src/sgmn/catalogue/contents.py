"""A product to what is encoded of it: decoded views, a small JPEG, and a hash of it all.

The hash covers the record and the bytes of its pictures, so an unchanged product is known
without decoding anything.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from PIL import Image

from sgmn.catalogue.rows import Entry, record_fields
from sgmn.errors import MediaError, RecordError
from sgmn.media import picture
from sgmn.records import Picture, Product, ProductContent

THUMBNAIL_SIDE = 160  # pixels
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def content_hash(product: Product) -> str:
    """sha256 over the record and its pictures' bytes, as hex.

    Raises RecordError for a record that cannot be stored, MediaError for a missing picture.
    """
    try:
        record = json.dumps(record_fields(product), ensure_ascii=False, sort_keys=True).encode()
    except (TypeError, ValueError) as error:
        raise RecordError(f"cannot be stored ({error})", where=_name(product)) from error
    digest = hashlib.sha256(record)
    for path in product.pictures:
        try:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise MediaError(f"cannot be read ({error.strerror})", where=path) from error
    return digest.hexdigest()


def entry(product: Product, digest: str, max_side: int | None) -> Entry:
    """The product with its views decoded to at most `max_side` pixels a side.

    Raises MediaError for the first view that cannot be read.
    """
    views = tuple(picture.read(path, max_side) for path in product.pictures)
    small = thumbnail(views[0]) if views else None
    return Entry(product, digest, ProductContent(views, product.title), small)


def thumbnail(view: Picture) -> bytes:
    """A picture (H, W, 3) as a JPEG of at most THUMBNAIL_SIDE pixels a side."""
    image = Image.fromarray(view)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return file.getvalue()


def ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """The same items, each made on a background thread while the one before is in use.

    Never more than one is waiting, so memory stays bounded by two items.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="sgmn-decoding") as worker:
        waiting = worker.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = worker.submit(next, items, end)
            yield item  # type: ignore[misc]  # not `end`, hence an item


def behind(action: Callable[[_Item], _Result], items: Iterator[_Item]) -> Iterator[_Result]:
    """The action's result for each item, had on a background thread while the next is made.

    A result comes before the action for the next item begins, so one action runs at a time.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="sgmn-writing") as worker:
        waiting: Future[_Result] | None = None
        for item in items:
            if waiting is not None:
                yield waiting.result()
            waiting = worker.submit(action, item)
        if waiting is not None:
            yield waiting.result()


def _name(product: Product) -> str:
    shop = f" of shop {product.shop_id!r}" if product.shop_id else ""
    return f"product {product.product_id!r}{shop}"
