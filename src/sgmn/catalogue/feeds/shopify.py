"""What the CSV and the JSON export of Shopify have in common.

The id of a variant is made of the handle and the option values, which Shopify keeps unique within
a shop. Both exports thus give a product the same id.
"""

from __future__ import annotations

from collections.abc import Sequence

from sgmn.catalogue.feeds.listing import unique
from sgmn.product_text import add_options

OPTION_NUMBERS = (1, 2, 3)
_DEFAULT_OPTION = "Default Title"  # of a product without variants


def _real_options(options: Sequence[str]) -> list[str]:
    return [option for option in options if option and option != _DEFAULT_OPTION]


def variant_id(handle: str, options: Sequence[str]) -> str:
    """The id of a variant.

    >>> variant_id("scarf", ["Dark red", "L", ""]), variant_id("mug", ["Default Title"])
    ('scarf/Dark red/L', 'mug')
    """
    return "/".join([handle, *_real_options(options)])


def variant_title(title: str, options: Sequence[str]) -> str:
    """The title of the product and the options of the variant."""
    return add_options(title, _real_options(options))


def option_attributes(names: Sequence[str], options: Sequence[str]) -> dict[str, str]:
    """The options as attributes, by name in lower case, such as {"color": "Red"}."""
    pairs = zip(names, options, strict=False)
    return {name.strip().lower(): o for name, o in pairs if name and o and o != _DEFAULT_OPTION}


def variant_images(variant_image: str, images: Sequence[str]) -> tuple[str, ...]:
    """The images of a variant: its own one if it has one, otherwise those of the product.

    Images of sibling variants would make near-twins look alike.
    """
    return (variant_image,) if variant_image else unique(images)
