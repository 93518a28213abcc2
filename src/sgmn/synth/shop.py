"""A shop from a seed: lines of products, most of them groups of near-twins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sgmn.synth import apparel, household, names, packages
from sgmn.synth.product import Article, Family

FAMILIES: tuple[Family, ...] = (*packages.FAMILIES, *household.FAMILIES, *apparel.FAMILIES)
GROUP = (3, 8)  # near-twins in a group
_SILENT = 0.15  # share of groups whose titles do not say what sets the twins apart
_PRICES = {
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


def shop_name(seed: int, number: int) -> str:
    """The id of a shop; ids of products begin with it."""
    return f"s{seed}-{number:03d}"


def articles(seed: int, number: int, count: int, twins: float) -> tuple[Article, ...]:
    """The `count` products of shop `number`; a share `twins` (0..1) has near-twins."""
    rng = np.random.default_rng((seed, 12, number))
    brands = names.brands(seed, number)
    found: list[Article] = []
    order: list[int] = []
    for place, size in enumerate(_groups(count, twins, rng)):
        order = order or list(rng.permutation(len(FAMILIES)))
        family = FAMILIES[order.pop()]
        brand = brands[int(rng.integers(len(brands)))]
        found += _line(family, brand, (seed, 13, number, place), size, len(found))
    return tuple(found)


def _groups(count: int, twins: float, rng: np.random.Generator) -> list[int]:
    """Sizes of groups that add up to `count`, singles included, in a shuffled order."""
    left, sizes = round(count * twins), []
    while left >= GROUP[0]:
        size = min(left, int(rng.integers(GROUP[0], GROUP[1] + 1)))
        if 0 < left - size < GROUP[0]:  # the rest would be too small for a group
            size = left if left <= GROUP[1] else GROUP[0]
        sizes.append(size)
        left -= size
    sizes += [1] * (count - sum(sizes))
    return [sizes[i] for i in rng.permutation(len(sizes))]


def _line(
    family: Family, brand: str, look: tuple[int, ...], size: int, first: int
) -> Iterator[Article]:
    seed, _, number, place = look
    rng = np.random.default_rng((*look, 1))
    shop_id = shop_name(seed, number)
    shared = {"brand": brand, "name": names.line(rng), "kind": str(rng.choice(family.kinds))}
    shared |= {key: str(rng.choice(values)) for key, values in family.values.items()}
    varies = _varying(family, size, rng) if size > 1 else ""
    said = _said(family, varies, rng)
    price = round(_PRICES[family.category] * float(rng.uniform(0.6, 2.2)), -1) - 1
    for twin, value in enumerate(_values(family, varies, size, rng)):
        attributes = shared | ({varies: value} if varies else {})
        yield Article(
            product_id=f"{shop_id}-p{first + twin:04d}",
            shop_id=shop_id,
            group=f"{shop_id}-g{place:04d}",
            varies=varies,
            family=family.name,
            category=family.category,
            title=names.title(attributes, said, np.random.default_rng((*look, 2))),
            attributes=attributes,
            look=look,
            price=int(price),
        )


def _varying(family: Family, size: int, rng: np.random.Generator) -> str:
    wide = [key for key in family.varies if len(family.values[key]) >= size]
    return str(rng.choice(wide))


def _values(family: Family, varies: str, size: int, rng: np.random.Generator) -> list[str]:
    if not varies:
        return [""]
    values = family.values[varies]
    return [values[i] for i in sorted(rng.choice(len(values), size, replace=False))]


def _said(family: Family, varies: str, rng: np.random.Generator) -> tuple[str, ...]:
    """The attributes that a title says: the first (flavour or colour) and the one that varies."""
    first = next(iter(family.values))
    silent = rng.random() < _SILENT
    return tuple(
        dict.fromkeys(key for key in (first, varies) if key and not (silent and key == varies))
    )
