"""Hard batches contain confusable products; every example appears once, in a repeatable order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from sgmn.model.scoring import ProductVectors
from sgmn.training.data.hard_batches import hard_order, nearest_products
from sgmn.training.losses.mining import Key, product_similarity

S, BATCH = 120, 8


def catalogue(seed: int = 0) -> tuple[list[Key], ProductVectors]:
    """Two shops of 60 products, in families of 6 similar products each, in random order."""
    torch.manual_seed(seed)
    family = normalize(torch.randn(S // 6, 24), dim=-1).repeat_interleave(6, 0)
    image = normalize(family + 0.1 * torch.randn(S, 24), dim=-1)[torch.randperm(S)]
    keys = [(f"shop {place % 2}", str(place)) for place in range(S)]
    present = torch.ones(S, dtype=torch.bool)
    return keys, ProductVectors(image, present, image, ~present)


def examples(keys: list[Key]) -> list[list[Key]]:
    """Two examples of each product; some show a second product."""
    return [[key] for key in keys] + [
        [key, keys[0]] if n < 9 else [key] for n, key in enumerate(keys)
    ]


def order(seed: int = 0, epoch: int = 0, vectors: int = 0) -> NDArray[np.int64]:
    keys, products = catalogue(vectors)
    near = nearest_products(keys, products, torch.arange(S), count=8)
    return hard_order(examples(keys), keys, near, BATCH, seed, epoch)


def closeness(orders: list[NDArray[np.int64]]) -> float:
    """Mean similarity of different products within the batches of consecutive epochs."""
    keys, products = catalogue()
    similar = product_similarity(products, products)
    place = {key: n for n, key in enumerate(keys)}
    of_item = np.array([place[of[0]] for of in examples(keys)])
    owners = of_item[np.concatenate(orders)]
    found = []
    for start in range(0, len(owners) - BATCH + 1, BATCH):
        rows = owners[start : start + BATCH]
        pairs = similar[rows][:, rows]
        found.append(pairs[torch.tensor(rows)[:, None] != torch.tensor(rows)].mean())
    return float(torch.stack(found).mean())


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_every_example_appears_exactly_once(epoch: int) -> None:
    assert sorted(order(epoch=epoch)) == list(range(2 * S))


def test_confusable_products_share_a_batch() -> None:
    """Much more often than in a random order, also in batches that span epochs."""
    rng = np.random.default_rng(0)
    plain = closeness([rng.permutation(2 * S) for _ in range(3)])
    assert plain < 0.1
    assert closeness([order(epoch=epoch) for epoch in range(3)]) > plain + 0.1


def test_batches_are_cut_from_consecutive_epochs() -> None:
    """With 241 examples, an epoch begins within a batch; its own batches are complete."""
    keys, products = catalogue()
    near = nearest_products(keys, products, torch.arange(S), count=8)
    items = [*examples(keys), [keys[5]]]
    found = hard_order(items, keys, near, BATCH, 0, 1)
    first = (-len(items)) % BATCH
    place = {key: n for n, key in enumerate(keys)}
    similar = product_similarity(products, products)
    together = [
        similar[place[items[found[at]][0]], place[items[found[at + 1]][0]]]
        for at in range(first, first + 10 * BATCH, BATCH)
    ]
    assert first == 7 and np.mean(together) > 0.6


def test_a_pure_function_of_seed_epoch_and_vectors() -> None:
    assert np.array_equal(order(1, 2, 0), order(1, 2, 0))
    for other in (order(0, 2, 0), order(1, 3, 0), order(1, 2, 1)):
        assert not np.array_equal(order(1, 2, 0), other)


def test_half_of_a_batch_is_of_one_shop_and_half_of_any_shop() -> None:
    batches = (order() % S % 2).reshape(-1, BATCH)
    of_the_shop = (batches == batches[:, :1]).mean(0)
    assert of_the_shop[: BATCH // 2].mean() > 0.9
    assert 0.3 < of_the_shop[BATCH // 2 :].mean() < 0.7


def test_neighbors_of_neighbors_fill_half_of_a_batch() -> None:
    """On a ring where each product has one neighbor, half of a batch is consecutive."""
    keys = [("shop", str(place)) for place in range(20)]
    ring = np.roll(np.arange(20), -1)[:, None]
    found = hard_order([[key] for key in keys], keys, ring, BATCH, 0, 0)
    assert ((found[:4] - found[0]) % 20).tolist() == [0, 1, 2, 3]
    assert sorted(found) == list(range(20))


def test_neighbors_are_the_nearest_of_the_shop_without_duplicates() -> None:
    keys, products = catalogue()
    classes = torch.arange(S)
    similar = product_similarity(products, products).numpy()
    twin = max((n for n in range(2, S, 2)), key=lambda n: similar[0, n])
    classes[twin] = 0
    near = nearest_products(keys, products, classes, count=5, block=7)
    for place in range(S):
        allowed = [n for n in range(S) if n % 2 == place % 2 and classes[n] != classes[place]]
        assert near[place].tolist() == sorted(allowed, key=lambda n: -similar[place, n])[:5]
    assert twin not in near[0]


def test_a_small_shop_has_fewer_neighbors() -> None:
    keys, products = catalogue()
    alone = [("a shop of its own", "0"), *keys[1:4]]
    near = nearest_products(alone, products[:4], torch.arange(4), count=5)
    assert near.shape == (4, 5) and (near[0] == -1).all()
    assert near[1].tolist() == [3, -1, -1, -1, -1]
    found = hard_order([[key] for key in alone], alone, near, BATCH, 0, 0)
    assert sorted(found) == [0, 1, 2, 3]
