"""schema.org products as JSON-LD: a list, an ItemList, a @graph, one Product or ProductGroup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sgmn.catalogue.feeds.document import Document
from sgmn.catalogue.feeds.json_text import JsonObject, get_objects, get_text, read_objects
from sgmn.catalogue.feeds.listing import (
    Listing,
    Rows,
    drop_empty,
    require_id,
    strip_html,
    unique,
)
from sgmn.errors import RecordError
from sgmn.product_text import add_options

_ID_KEYS = ("sku", "productID", "gtin13", "gtin14", "gtin12", "gtin8", "gtin", "mpn", "@id", "url")
_GTIN_KEYS = ("gtin", "gtin13", "gtin14", "gtin12", "gtin8")
_VARIANT_KEYS = ("color", "size", "pattern", "material")
_PRODUCT_TYPES = frozenset({"Product", "IndividualProduct", "ProductModel", "SomeProducts"})


def read(document: Document) -> Rows:
    """The listings of a document, one for each variant of a ProductGroup."""
    for item in read_objects(document, {"@graph", "itemListElement"}):
        if isinstance(item, RecordError):
            yield item
            continue
        try:
            yield from _parse_item(item)
        except RecordError as error:
            yield error


def _parse_item(item: JsonObject) -> Iterator[Listing]:
    where, values = item
    if isinstance(values.get("item"), dict):  # of a ListItem
        values = values["item"]
    types = _types(values)
    variants = get_objects(values, "hasVariant", where)
    if "ProductGroup" in types and variants:
        for variant in variants:
            yield _parse_product(where, variant, values)
    elif types & (_PRODUCT_TYPES | {"ProductGroup"}):
        yield _parse_product(where, values, {})
    elif not types:
        raise RecordError("'@type' is missing", where, 'add "@type": "Product"')
    # Other entities, such as the organization or a breadcrumb list of a @graph, are no products.


def _types(values: Mapping[str, Any]) -> set[str]:
    types = values.get("@type")
    return {str(t).rpartition("/")[2] for t in (types if isinstance(types, list) else [types]) if t}


def _parse_product(where: str, values: Mapping[str, Any], group: Mapping[str, Any]) -> Listing:
    ids = (get_text(values, key, where) for key in _ID_KEYS)
    product_id = require_id(next(filter(None, ids), ""), "sku", where)
    merged = dict(group) | {key: value for key, value in values.items() if value}
    group_id = get_text(group, "productGroupID", where) or get_text(
        merged, "inProductGroupWithID", where
    )
    options = {key: _name(merged.get(key)) for key in _VARIANT_KEYS}
    title = strip_html(get_text(merged, "name", where))
    if group_id:
        title = add_options(title, options.values())
    offer = _first_object(merged.get("offers"))
    return Listing(
        where,
        product_id,
        title,
        unique(_image_urls(merged.get("image"))),
        category=_name(merged.get("category")),
        attributes=drop_empty(
            options
            | {
                "item_group_id": group_id,
                "brand": _name(merged.get("brand")),
                "description": strip_html(get_text(merged, "description", where)),
                "gtin": next(filter(None, (get_text(values, k, where) for k in _GTIN_KEYS)), ""),
                "link": get_text(values, "url", where) or get_text(offer, "url", where),
                "price": _price(offer, where),
                "availability": _availability(offer, where),
            }
        ),
    )


def _image_urls(image: object) -> list[str]:
    """Addresses of an image property: an address, an ImageObject, or a list of both."""
    if isinstance(image, list):
        return [url for part in image if not isinstance(part, list) for url in _image_urls(part)]
    if isinstance(image, dict):
        url = image.get("contentUrl") or image.get("url") or image.get("@id")
        return _image_urls(url) if isinstance(url, str) else []
    return [image] if isinstance(image, str) else []


def _first_object(value: object) -> Mapping[str, Any]:
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, dict) else {}


def _name(value: object) -> str:
    """A text property, or the name of an object such as a Brand."""
    if isinstance(value, list):
        return ", ".join(filter(None, (_name(v) for v in value if not isinstance(v, list))))
    if isinstance(value, dict):
        value = value.get("name")
    return value.strip() if isinstance(value, str) else ""


def _price(offer: Mapping[str, Any], where: str) -> str:
    amount = get_text(offer, "price", where) or get_text(offer, "lowPrice", where)
    return f"{amount} {get_text(offer, 'priceCurrency', where)}".strip() if amount else ""


def _availability(offer: Mapping[str, Any], where: str) -> str:
    """InStock, https://schema.org/OutOfStock and so on, in the spelling of the other formats."""
    name = get_text(offer, "availability", where).rpartition("/")[2]
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
