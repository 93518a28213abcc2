"""The products of a generated shop, most of them in groups of near-twins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sgmn.synth.graphics.mesh import Solid
from sgmn.synth.products import apparel, household, names, packages
from sgmn.synth.products.spec import Family, ProductSpec

FAMILIES: tuple[Family, ...] = (*packages.FAMILIES, *household.FAMILIES, *apparel.FAMILIES)
TWIN_GROUP_SIZE = (3, 8)  # smallest and largest number of near-twins in a group
MIN_TEXTURE_PX = 96  # a smaller label has no room for its text
_UNSTATED_FRACTION = 0.15  # of the groups whose titles do not state what distinguishes the twins
_BASE_PRICES = {  # cents
    "Drinks": 250,
    "Food": 450,
    "Beauty": 900,
    "Kitchen": 1900,
    "Fashion": 4900,
    "Home": 3500,
    "Toys": 2200,
    "Electronics": 8900,
    "Stationery": 1200,
}
_FAMILY_OF_NAME = {family.name: family for family in FAMILIES}


def shop_id(seed: int, number: int) -> str:
    """Return the id of a shop; the ids of its products begin with it."""
    return f"s{seed}-{number:03d}"


def generate_products(
    seed: int, shop: int, count: int, twin_fraction: float
) -> tuple[ProductSpec, ...]:
    """Generate the `count` products of a shop; `twin_fraction` (0..1) of them have near-twins."""
    rng = np.random.default_rng((seed, 12, shop))
    brands = names.shop_brands(seed, shop)
    products: list[ProductSpec] = []
    order: list[int] = []
    for number, size in enumerate(_draw_group_sizes(count, twin_fraction, rng)):
        order = order or list(rng.permutation(len(FAMILIES)))
        family = FAMILIES[order.pop()]
        brand = brands[int(rng.integers(len(brands)))]
        products += _generate_group(family, brand, (seed, 13, shop, number), size, len(products))
    return tuple(products)


def build_solid(product: ProductSpec, texture_px: int) -> Solid:
    """Build the 3-D shape of a product.

    Textures are about `texture_px` pixels high, but at least MIN_TEXTURE_PX.
    """
    return _FAMILY_OF_NAME[product.family].build(product, max(texture_px, MIN_TEXTURE_PX))


def _draw_group_sizes(count: int, twin_fraction: float, rng: np.random.Generator) -> list[int]:
    """Draw group sizes, including single products, that add up to `count`, in random order."""
    smallest, largest = TWIN_GROUP_SIZE
    left, sizes = round(count * twin_fraction), []
    while left >= smallest:
        size = min(left, int(rng.integers(smallest, largest + 1)))
        if 0 < left - size < smallest:  # the rest would be too small for a group
            size = left if left <= largest else smallest
        sizes.append(size)
        left -= size
    sizes += [1] * (count - sum(sizes))
    return [sizes[i] for i in rng.permutation(len(sizes))]


def _generate_group(
    family: Family, brand: str, design_seed: tuple[int, ...], size: int, first_number: int
) -> Iterator[ProductSpec]:
    seed, _, shop, group = design_seed
    rng = np.random.default_rng((*design_seed, 1))
    own_shop_id = shop_id(seed, shop)
    shared = {"brand": brand, "name": names.draw_line_name(rng)}
    shared["kind"] = str(rng.choice(family.kinds))
    shared |= {key: str(rng.choice(values)) for key, values in family.values.items()}
    varies = _draw_varying_attribute(family, size, rng) if size > 1 else ""
    stated = _draw_stated_attributes(family, varies, rng)
    base_price = _BASE_PRICES[family.category]
    price = round(base_price * float(rng.uniform(0.6, 2.2)), -1) - 1
    for number, value in enumerate(_draw_varying_values(family, varies, size, rng)):
        attributes = shared | ({varies: value} if varies else {})
        yield ProductSpec(
            product_id=f"{own_shop_id}-p{first_number + number:04d}",
            shop_id=own_shop_id,
            group=f"{own_shop_id}-g{group:04d}",
            varies=varies,
            family=family.name,
            category=family.category,
            title=names.listing_title(attributes, stated, np.random.default_rng((*design_seed, 2))),
            attributes=attributes,
            design_seed=design_seed,
            price=int(price),
        )


def _draw_varying_attribute(family: Family, size: int, rng: np.random.Generator) -> str:
    candidates = [key for key in family.varies if len(family.values[key]) >= size]
    return str(rng.choice(candidates))


def _draw_varying_values(
    family: Family, varies: str, size: int, rng: np.random.Generator
) -> list[str]:
    if not varies:
        return [""]
    values = family.values[varies]
    return [values[i] for i in sorted(rng.choice(len(values), size, replace=False))]


def _draw_stated_attributes(
    family: Family, varies: str, rng: np.random.Generator
) -> tuple[str, ...]:
    """Draw the attributes that a title states: the first of the family and the varying one."""
    first = next(iter(family.values))
    is_unstated = rng.random() < _UNSTATED_FRACTION
    candidates = dict.fromkeys(key for key in (first, varies) if key)
    return tuple(key for key in candidates if not (is_unstated and key == varies))
