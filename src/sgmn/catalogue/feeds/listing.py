"""Product listings as feeds have them: images are still addresses or relative paths."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sgmn.errors import RecordError

MAX_TEXT_LENGTH = 20_000  # characters of a description that are read
_MARKUP = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|</?[a-zA-Z!][^<>]*>", re.S | re.I)


@dataclass(frozen=True, slots=True)
class Listing:
    """A product of a feed.

    Attributes:
        where: The place of the product, `file:line:column`.
        product_id: Unique within the shop.
        title: The title, with the options of a variant.
        images: Image addresses or paths as the feed has them, main image first.
        shop_id: The shop, if the feed names one.
        category: The category, if the feed names one.
        attributes: Named attributes such as availability, price, gtin, link and item_group_id.
        extra: Other fields, unchanged.
    """

    where: str
    product_id: str
    title: str = ""
    images: tuple[str, ...] = ()
    shop_id: str = ""
    category: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


Rows = Iterator[Listing | RecordError]


def require_id(product_id: str, name: str, where: str) -> str:
    """Return a product id; `name` is what the feed calls the column.

    Raises RecordError for an empty id.
    """
    if not product_id:
        raise RecordError(f"{name!r} is missing", where, "give each product a unique id")
    return product_id


def strip_html(text: str) -> str:
    """The text of an HTML fragment, without tags, scripts and repeated white space.

    >>> strip_html("<p>Soft &amp; warm,<br>100&nbsp;% wool</p>")
    'Soft & warm, 100 % wool'
    """
    text = text[:MAX_TEXT_LENGTH]
    if "<" in text:
        text = _MARKUP.sub(" ", text)
    return " ".join(html.unescape(text).split())


def drop_empty(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that have a value."""
    return {name: value for name, value in attributes.items() if value not in ("", None, [], {})}


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """The values that are not blank, without repetitions, in order."""
    return tuple(dict.fromkeys(value.strip() for value in values if value.strip()))
