"""Generated products: near-twins differ in one attribute, and shops have nothing in common."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import numpy as np
import pytest

from sgmn.synth.graphics import mesh
from sgmn.synth.products import catalog, names
from sgmn.synth.products.spec import ProductSpec

PRODUCTS = catalog.generate_products(3, 0, 150, 0.8)


def group_twins(products: tuple[ProductSpec, ...]) -> list[list[ProductSpec]]:
    return [list(group) for _, group in groupby(products, key=lambda product: product.group)]


def test_a_shop_has_the_requested_number_of_products_with_unique_ids() -> None:
    for count in (6, 7, 50, 149):
        products = catalog.generate_products(1, 2, count, 0.8)
        assert len(products) == count
        assert len({p.product_id for p in products}) == count
        assert all(p.product_id.startswith("s1-002-") for p in products)


def test_twins_differ_in_exactly_one_attribute() -> None:
    groups = [group for group in group_twins(PRODUCTS) if len(group) > 1]
    assert len(groups) > 10
    for group in groups:
        for key in group[0].attributes:
            values = {product.attributes[key] for product in group}
            assert len(values) == (len(group) if key == group[0].varies else 1)
        assert len({(p.design_seed, p.family, p.price, p.category) for p in group}) == 1


@pytest.mark.parametrize("twin_fraction", [0.0, 0.5, 0.8, 1.0])
def test_the_requested_fraction_of_products_has_twins(twin_fraction: float) -> None:
    products = catalog.generate_products(9, 1, 200, twin_fraction)
    sizes = [len(group) for group in group_twins(products)]
    assert sum(size for size in sizes if size > 1) == pytest.approx(200 * twin_fraction, abs=2)
    smallest, largest = catalog.TWIN_GROUP_SIZE
    assert all(size == 1 or smallest <= size <= largest for size in sizes)


def test_a_shop_has_products_of_all_families() -> None:
    assert len(catalog.FAMILIES) >= 12
    assert {p.family for p in PRODUCTS} == {family.name for family in catalog.FAMILIES}


def test_shops_share_no_brand_title_or_id() -> None:
    shops = [catalog.generate_products(3, number, 60, 0.8) for number in range(4)]
    for value_of in (lambda p: p["brand"], lambda p: p.title.lower(), lambda p: p.product_id):
        values = [{value_of(product) for product in products} for products in shops]
        assert sum(map(len, values)) == len(set.union(*values))


def test_six_hundred_shops_have_distinct_brands() -> None:
    brands = [brand for number in range(600) for brand in names.shop_brands(0, number)]
    assert len(brands) == len(set(brands)) == 600 * names.BRANDS_PER_SHOP


def test_titles_contain_the_brand_and_mostly_the_varying_attribute() -> None:
    assert all(p["brand"].lower() in p.title.lower() for p in PRODUCTS)
    twins = [p for p in PRODUCTS if p.varies]
    is_stated = [
        names.attribute_phrase(p.varies, p[p.varies]).lower() in p.title.lower() for p in twins
    ]
    assert 0.6 < np.mean(is_stated) < 1


def test_every_family_builds_a_valid_solid_that_stands_on_the_ground() -> None:
    for family in catalog.FAMILIES:
        product = next(p for p in PRODUCTS if p.family == family.name)
        solid = catalog.build_solid(product, 96)
        low, high = mesh.bounding_box(solid)
        assert -0.03 <= low[1] <= 0.03, family.name
        assert 0.04 < high[1] - low[1] < 0.5, family.name
        for part in solid:
            assert part.faces.max() < len(part.vertices)
            assert np.isfinite(part.vertices).all()
            lengths = np.linalg.norm(part.normals, axis=1)
            assert np.median(lengths) == pytest.approx(1, abs=1e-3)


def test_many_attributes_distinguish_twins() -> None:
    counts = Counter(
        product.varies
        for number in range(4)
        for product in catalog.generate_products(5, number, 200, 1.0)
    )
    assert len(counts) >= 10
