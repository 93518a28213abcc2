"""What a shop sells: near-twins that differ in one thing, and shops that share nothing."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import numpy as np
import pytest

from sgmn.synth import names, product_photo, scenario, shop
from sgmn.synth.product import Article

ARTICLES = shop.articles(3, 0, 150, 0.8)


def groups(articles: tuple[Article, ...]) -> list[list[Article]]:
    return [list(found) for _, found in groupby(articles, key=lambda a: a.group)]


def test_a_shop_has_the_number_asked_for_with_ids_of_its_own() -> None:
    for count in (6, 7, 50, 149):
        found = shop.articles(1, 2, count, 0.8)
        assert len(found) == count
        assert len({a.product_id for a in found}) == count
        assert all(a.product_id.startswith("s1-002-") for a in found)


def test_twins_differ_in_one_attribute_only() -> None:
    sets = [group for group in groups(ARTICLES) if len(group) > 1]
    assert len(sets) > 10
    for group in sets:
        for key in group[0].attributes:
            values = {article.attributes[key] for article in group}
            assert len(values) == (len(group) if key == group[0].varies else 1)
        assert len({(a.look, a.family, a.price, a.category) for a in group}) == 1


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8, 1.0])
def test_the_share_of_products_with_twins_is_the_one_set(share: float) -> None:
    sizes = [len(group) for group in groups(shop.articles(9, 1, 200, share))]
    assert sum(size for size in sizes if size > 1) == pytest.approx(200 * share, abs=2)
    assert all(size == 1 or shop.GROUP[0] <= size <= shop.GROUP[1] for size in sizes)


def test_there_are_at_least_twelve_families_and_a_shop_has_them_all() -> None:
    assert len(shop.FAMILIES) >= 12
    assert {a.family for a in ARTICLES} == {family.name for family in shop.FAMILIES}


def test_shops_share_no_brand_title_or_id() -> None:
    shops = [shop.articles(3, number, 60, 0.8) for number in range(4)]
    for pick in (lambda a: a["brand"], lambda a: a.title.lower(), lambda a: a.product_id):
        sets = [{pick(a) for a in articles} for articles in shops]
        assert sum(map(len, sets)) == len(set.union(*sets))


def test_six_hundred_shops_have_brands_enough() -> None:
    everything = [brand for number in range(600) for brand in names.brands(0, number)]
    assert len(everything) == len(set(everything)) == 600 * names.BRANDS_PER_SHOP


def test_titles_name_the_brand_and_mostly_what_sets_twins_apart() -> None:
    assert all(a["brand"].lower() in a.title.lower() for a in ARTICLES)
    twins = [a for a in ARTICLES if a.varies]
    told = [names.phrase(a.varies, a[a.varies]).lower() in a.title.lower() for a in twins]
    assert 0.6 < np.mean(told) < 1


def test_every_family_builds_a_solid_that_stands_on_the_ground() -> None:
    from sgmn.synth import mesh

    for family in shop.FAMILIES:
        article = next(a for a in ARTICLES if a.family == family.name)
        solid = scenario.built(article, 96)
        low, high = mesh.bounds(solid)
        assert -0.03 <= low[1] <= 0.03, family.name
        assert 0.04 < high[1] - low[1] < 0.5, family.name
        for part in solid:
            assert part.faces.max() < len(part.points)
            assert np.isfinite(part.points).all()
            lengths = np.linalg.norm(part.normals, axis=1)
            assert np.median(lengths) == pytest.approx(1, abs=1e-3)


def test_a_product_looks_like_its_twins_but_not_the_same() -> None:
    sets = [group for group in groups(ARTICLES) if len(group) > 1]
    by_family = {group[0].family: group for group in sets}
    other = product_photo.picture(scenario.built(sets[0][0], 96), 64).astype(float)
    for name, group in by_family.items():
        one, two = (
            product_photo.picture(scenario.built(a, 96), 64).astype(float) for a in group[:2]
        )
        apart = np.abs(one - two).mean()
        assert apart > 0.02, name
        if name != sets[0][0].family and group[0].varies != "size":
            assert apart < np.abs(one - other).mean(), name


def test_second_views_are_not_crops_of_the_first() -> None:
    solid = scenario.built(ARTICLES[0], 96)
    views = [product_photo.picture(solid, 64, view).astype(float) for view in range(4)]
    for i, one in enumerate(views):
        assert one.shape == (64, 64, 3)
        assert (one[:3] > 250).all()  # white ground
        assert all(np.abs(one - other).mean() > 2 for other in views[i + 1 :])


def test_kinds_of_variation_are_many() -> None:
    seen = Counter(a.varies for number in range(4) for a in shop.articles(5, number, 200, 1.0))
    assert len(seen) >= 10
