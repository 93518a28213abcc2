"""Descriptions of generated products: true, deterministic, and no part of the older world."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sgmn.synth.plan.videos import plan_clip
from sgmn.synth.products.catalog import generate_products
from sgmn.synth.products.descriptions import describe_products
from sgmn.synth.products.spec import ProductSpec
from sgmn.synth.world import generate_world
from tests.synth.conftest import one_shop
from tests.synth.test_world import file_digests


@pytest.fixture(scope="module")
def shop() -> list[tuple[ProductSpec, str]]:
    products = generate_products(3, 0, 200, 0.8)
    return list(zip(products, describe_products(products), strict=True))


def test_descriptions_have_several_sentences(shop: list[tuple[ProductSpec, str]]) -> None:
    counts = [len(re.findall(r"[.?](?=\s|$)", text)) for _, text in shop]
    assert min(counts) >= 2
    assert max(counts) <= 8
    assert len({text for _, text in shop}) > len(shop) / 2


def test_stated_attributes_are_those_of_the_product(shop: list[tuple[ProductSpec, str]]) -> None:
    stated = 0
    for product, text in shop:
        match = re.search(r"(?:Details|Features|at a glance|This version): ([^.]*)\.", text)
        if match is None:
            continue
        phrases = match[1].split(", ")
        stated += len(phrases)
        values = set(product.attributes.values())
        nouns = " (cap|logo|handle|strap|base|sole|brim|scarf|piping|band|clip)$"
        assert {re.sub(nouns, "", phrase) for phrase in phrases} <= values, text
    assert stated > len(shop)


def test_twins_share_their_text_but_for_what_distinguishes_them(
    shop: list[tuple[ProductSpec, str]],
) -> None:
    groups: dict[str, list[str]] = {}
    for product, text in shop:
        head = re.sub(r"(Also available|Choose between|Combine it with).*?\.", "", text)
        value = product.attributes.get(product.varies, "no value")
        groups.setdefault(product.group, []).append(head.replace(value, "…"))
    twins = [texts for texts in groups.values() if len(texts) > 1]
    assert len(twins) > 10
    same = sum(len(set(texts)) == 1 for texts in twins)
    assert same > 0.9 * len(twins)  # a value may also be part of another word


def test_another_seed_writes_other_descriptions() -> None:
    first, second = (list(describe_products(generate_products(s, 0, 30, 0.8))) for s in (1, 2))
    assert first != second


def test_descriptions_change_nothing_else_of_a_world(tmp_path: Path) -> None:
    for name, descriptions in (("plain", False), ("described", True)):
        generate_world(tmp_path / name, one_shop(descriptions=descriptions, clips=0))
    plain, described = (file_digests(tmp_path / name) for name in ("plain", "described"))
    changed = {path for path in plain if plain[path] != described[path]}
    assert changed == {"train/products.jsonl"}
    rows = [
        [json.loads(line) for line in (tmp_path / name / "train/products.jsonl").open()]
        for name in ("plain", "described")
    ]
    for old, new in zip(*rows, strict=True):
        assert new["attributes"].pop("description").strip()
        assert new == old
    plans = [plan_clip(one_shop(descriptions=value), 0) for value in (False, True)]
    assert plans[0] == plans[1]
