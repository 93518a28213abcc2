"""The text of a product: its title, and on request its attributes and its description.

The index, the evaluation and training build the text here, so that it is the same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, get_args

from sgmn.errors import SgmnError
from sgmn.records import Product

TextFields = Literal["title", "title+attributes", "title+attributes+description"]
TEXT_FIELDS: tuple[TextFields, ...] = get_args(TextFields)
DEFAULT_TEXT_FIELDS: TextFields = "title"
ATTRIBUTES = (("color", "colour"), ("size",), ("brand",))  # in order, each with its spellings
# A text tower weights the pieces of a long text by their length: without a limit, the title would
# count for little beside a long description.
MAX_DESCRIPTION_LENGTH = 400  # characters
_SENTENCE_END = re.compile(r"[.!?](?=\s)|[。！？]")


def parse_text_fields(name: str, where: object = None) -> TextFields:
    """Return the fields of a text by their name. Raises SgmnError for an unknown one."""
    for fields in TEXT_FIELDS:
        if name == fields:
            return fields
    message = f"{name!r} is not a text of products"
    raise SgmnError(message, where, f"choose from {', '.join(TEXT_FIELDS)}")


def build_product_text(product: Product, fields: TextFields = DEFAULT_TEXT_FIELDS) -> str:
    """Build the text of a product from the given fields; those that it lacks are left out.

    >>> lime = Product("p", "Lime soap", attributes={"brand": "Oro", "description": "Mild."})
    >>> build_product_text(lime, "title+attributes")
    'Lime soap, Oro'
    >>> build_product_text(lime, "title+attributes+description")
    'Lime soap, Oro. Mild.'
    """
    if fields == "title":
        return product.title
    text = add_options(product.title, (_find_value(product, names) for names in ATTRIBUTES))
    if fields == "title+attributes":
        return text
    description = _shorten(_find_value(product, ("description",)))
    return ". ".join(part for part in (text.rstrip(" ."), description) if part)


def add_options(title: str, options: Iterable[str]) -> str:
    """The title of a variant: the title, and the options that it does not contain already.

    >>> add_options("Wool scarf, red", ["Red", "long"])
    'Wool scarf, red, long'
    """
    words = title
    for option in map(str.strip, options):
        pattern = rf"(?<!\w){re.escape(option)}(?!\w)"
        if option and not re.search(pattern, words, re.IGNORECASE):
            words = f"{words}, {option}" if words else option
    return words


def _find_value(product: Product, names: Iterable[str]) -> str:
    """The first of some attributes that the product has, as a text; "" if it has none."""
    for name in names:
        for values in (product.attributes, product.extra):  # a dataset may have it beside the title
            value = values.get(name)
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                return " ".join(str(value).split())
    return ""


def _shorten(description: str) -> str:
    """The first sentences of a description, at most MAX_DESCRIPTION_LENGTH characters."""
    if len(description) <= MAX_DESCRIPTION_LENGTH:
        return description
    start = description[:MAX_DESCRIPTION_LENGTH]
    ends = [match.end() for match in _SENTENCE_END.finditer(start)]
    return start[: ends[-1]] if ends else start.rpartition(" ")[0] or start
