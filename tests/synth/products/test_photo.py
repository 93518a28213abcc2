"""Listing photos."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from sgmn.synth.products import catalog
from sgmn.synth.products.photo import render_photo
from sgmn.synth.products.spec import ProductSpec

PRODUCTS = catalog.generate_products(3, 0, 150, 0.8)


def render_small_photo(product: ProductSpec) -> np.ndarray:
    return render_photo(catalog.build_solid(product, 96), 64).astype(float)


def test_photos_of_twins_are_similar_but_not_equal() -> None:
    groups = [list(group) for _, group in groupby(PRODUCTS, key=lambda product: product.group)]
    groups = [group for group in groups if len(group) > 1]
    group_of_family = {group[0].family: group for group in groups}
    other_family, other = groups[0][0].family, render_small_photo(groups[0][0])
    for family, group in group_of_family.items():
        first, second = (render_small_photo(product) for product in group[:2])
        difference = np.abs(first - second).mean()
        assert difference > 0.02, family
        if family != other_family and group[0].varies != "size":
            assert difference < np.abs(first - other).mean(), family


def test_views_differ_and_have_a_white_background() -> None:
    solid = catalog.build_solid(PRODUCTS[0], 96)
    views = [render_photo(solid, 64, view).astype(float) for view in range(4)]
    for i, view in enumerate(views):
        assert view.shape == (64, 64, 3)
        assert (view[:3] > 250).all()
        assert all(np.abs(view - other).mean() > 2 for other in views[i + 1 :])
