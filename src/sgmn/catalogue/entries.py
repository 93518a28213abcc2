"""Products as entries of the index: decoded images, a thumbnail, and a content hash.

The hash covers the record and the bytes of its image files, so that an unchanged product is
recognized without decoding anything.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

from sgmn import jsonl, tar_member
from sgmn.catalogue.rows import record_fields
from sgmn.errors import MediaError, RecordError
from sgmn.media import image
from sgmn.product_text import DEFAULT_TEXT_FIELDS, TextFields, build_product_text
from sgmn.records import ImageArray, Product, ProductContent

THUMBNAIL_SIDE_PX = 160


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A product that is ready to be encoded, and warnings about images that it lacks."""

    product: Product
    content_hash: str
    content: ProductContent
    thumbnail: bytes | None
    warnings: tuple[str, ...] = ()


def describe(product: Product) -> str:
    """A product as error messages name it."""
    shop = f" of shop {product.shop_id!r}" if product.shop_id else ""
    return f"product {product.product_id!r}{shop}"


def find_missing_images(product: Product) -> tuple[Path, ...]:
    """The image files of a product that do not exist."""
    return tuple(path for path in product.image_paths if not _exists(path))


def _exists(path: Path) -> bool:
    try:
        return jsonl.path_exists(path)
    except RecordError:  # a name that is too long: unreadable, and reported as such on reading
        return True


def compute_content_hash(product: Product) -> str:
    """sha256 over the record and the bytes of its image files, as hex.

    Images that cannot be read count as empty files.
    Raises RecordError for a record that JSON cannot represent.
    """
    try:
        record = json.dumps(record_fields(product), ensure_ascii=False, sort_keys=True).encode()
    except (TypeError, ValueError) as error:
        raise RecordError(f"cannot be stored ({error})", where=describe(product)) from error
    digest = hashlib.sha256(record)
    for path in product.image_paths:
        digest.update(_hash_file(path))
    return digest.hexdigest()


def _hash_file(path: Path) -> bytes:
    try:
        return hashlib.sha256(tar_member.read_bytes(path)).digest()
    except OSError:  # whether the product can do without this image is decided on loading
        return hashlib.sha256().digest()


def missing_image_warnings(product: Product, missing: tuple[Path, ...]) -> tuple[str, ...]:
    """A warning for each missing image that the product can do without.

    Raises MediaError for a product that is left without any content.
    """
    if not missing:
        return ()
    if len(missing) < len(product.image_paths):
        remainder = "indexed without this image"
    elif product.title.strip():
        remainder = "indexed by its title only"
    else:
        raise _missing_image(missing[0], "and the product has neither title nor another image")
    return tuple(f"{path} does not exist; {remainder}" for path in missing)


def require_all_images(missing: tuple[Path, ...]) -> None:
    """Raise MediaError for the first missing image, if any."""
    if missing:
        raise _missing_image(missing[0], "and strict indexing needs every image")


def _missing_image(path: Path, consequence: str) -> MediaError:
    return MediaError(f"does not exist, {consequence}", path, "check the path of the image")


def load_entry(
    product: Product,
    content_hash: str,
    max_side: int | None,
    *,
    strict: bool = False,
    text_fields: TextFields = DEFAULT_TEXT_FIELDS,
) -> IndexEntry:
    """The product with its images decoded to at most `max_side` pixels a side, and its text.

    An image that does not exist is left out, one that cannot be read only if another one can be.
    Raises MediaError for a product that cannot do without an image, and, if `strict`, for every
    image that is missing or unreadable.
    """
    missing = find_missing_images(product)
    if strict:
        require_all_images(missing)
    warnings = list(missing_image_warnings(product, missing))
    images, errors = [], []
    for path in product.image_paths:
        if path in missing:
            continue
        try:
            images.append(image.read_image(path, max_side))
        except MediaError as error:
            errors.append(error)
    if errors and (strict or not images):
        raise _unreadable_image(errors[0], strict)
    warnings += [f"{error}; indexed without this image" for error in errors]
    thumbnail = encode_thumbnail(images[0]) if images else None
    content = ProductContent(tuple(images), build_product_text(product, text_fields))
    return IndexEntry(product, content_hash, content, thumbnail, tuple(warnings))


def _unreadable_image(error: MediaError, strict: bool) -> MediaError:
    consequence = (
        "and strict indexing needs every image"
        if strict
        else "and the product has no other readable image"
    )
    remedy = f"{error.remedy}, or remove the image from the listing"
    return MediaError(f"{error.message}, {consequence}", error.where, remedy)


def encode_thumbnail(pixels: ImageArray) -> bytes:
    """An image (H, W, 3) as a JPEG of at most THUMBNAIL_SIDE_PX pixels a side."""
    from PIL import Image

    thumbnail = Image.fromarray(pixels)
    thumbnail.thumbnail((THUMBNAIL_SIDE_PX, THUMBNAIL_SIDE_PX))
    file = io.BytesIO()
    thumbnail.save(file, "JPEG", quality=80)
    return file.getvalue()
