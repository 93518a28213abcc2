"""A product to what is encoded of it: decoded views, a small JPEG, and a hash of it all.

The hash covers the record and the bytes of its pictures, so an unchanged product is known
without decoding anything.
"""

from __future__ import annotations

import hashlib
import io
import json

from PIL import Image

from sgmn.catalogue.rows import Entry, record_fields
from sgmn.errors import MediaError, RecordError
from sgmn.media import image
from sgmn.records import Picture, Product, ProductContent

THUMBNAIL_SIDE = 160  # pixels


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
    views = tuple(image.read(path, max_side) for path in product.pictures)
    small = thumbnail(views[0]) if views else None
    return Entry(product, digest, ProductContent(views, product.title), small)


def thumbnail(view: Picture) -> bytes:
    """A picture (H, W, 3) as a JPEG of at most THUMBNAIL_SIDE pixels a side."""
    image = Image.fromarray(view)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return file.getvalue()


def _name(product: Product) -> str:
    shop = f" of shop {product.shop_id!r}" if product.shop_id else ""
    return f"product {product.product_id!r}{shop}"
