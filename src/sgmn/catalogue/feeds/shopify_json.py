"""Shopify `products.json`, as a shop publishes it and as the Admin API returns it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sgmn.catalogue.feeds import shopify
from sgmn.catalogue.feeds.document import Document
from sgmn.catalogue.feeds.json_text import JsonObject, get_objects, get_text, read_objects
from sgmn.catalogue.feeds.listing import Listing, Rows, drop_empty, require_id, strip_html
from sgmn.errors import RecordError


def read(document: Document) -> Rows:
    """The listings of a products.json, one for each variant."""
    for product in read_objects(document, {"products"}):
        if isinstance(product, RecordError):
            yield product
            continue
        try:
            yield from _parse_product(product)
        except RecordError as error:
            yield error


def _parse_product(product: JsonObject) -> list[Listing]:
    where, values = product
    variants = get_objects(values, "variants", where) or [{}]
    return [_parse_variant(where, values, variant) for variant in variants]


def _parse_variant(where: str, product: Mapping[str, Any], variant: Mapping[str, Any]) -> Listing:
    handle = require_id(get_text(product, "handle", where), "handle", where)
    options = [get_text(variant, f"option{n}", where) for n in shopify.OPTION_NUMBERS]
    names = [get_text(o, "name", where) for o in get_objects(product, "options", where)]
    images = [get_text(image, "src", where) for image in get_objects(product, "images", where)]
    return Listing(
        where,
        shopify.variant_id(handle, options),
        shopify.variant_title(strip_html(get_text(product, "title", where)), options),
        shopify.variant_images(_variant_image(where, product, variant), images),
        category=get_text(product, "product_type", where),
        attributes=drop_empty(
            shopify.option_attributes(names, options)
            | {name: get_text(variant, name, where) for name in ("sku", "price")}
            | {
                "gtin": get_text(variant, "barcode", where),
                "brand": get_text(product, "vendor", where),
                "status": get_text(product, "status", where),
                "tags": _join(product.get("tags")),
                "description": strip_html(get_text(product, "body_html", where)),
                "availability": _availability(variant),
                "link": f"/products/{handle}",
                "item_group_id": handle,
            }
        ),
    )


def _variant_image(where: str, product: Mapping[str, Any], variant: Mapping[str, Any]) -> str:
    """The image of a variant: its own, or the one that names it among the product's images."""
    featured = variant.get("featured_image")
    if isinstance(featured, dict):
        return get_text(featured, "src", where)
    for image in get_objects(product, "images", where):
        ids = image.get("variant_ids")
        is_named = isinstance(ids, list) and variant.get("id") is not None and variant["id"] in ids
        if is_named or (image.get("id") is not None and image["id"] == variant.get("image_id")):
            return get_text(image, "src", where)
    return ""


def _availability(variant: Mapping[str, Any]) -> str:
    available = variant.get("available")
    if isinstance(available, bool):
        return "in_stock" if available else "out_of_stock"
    quantity = variant.get("inventory_quantity")
    if isinstance(quantity, int):
        return "in_stock" if quantity > 0 else "out_of_stock"
    return ""


def _join(tags: object) -> str:
    if isinstance(tags, Sequence) and not isinstance(tags, str):
        return ", ".join(map(str, tags))
    return str(tags or "")
