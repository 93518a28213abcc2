"""Orders of an epoch: permutations, the same for the same seed, and batches of one shop."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgmn.errors import SettingsError
from sgmn.training.config import DataConfig, LossConfig, ModelConfig, RunConfig
from sgmn.training.data.batches import TWINS, Batches
from sgmn.training.data.epoch_order import SingleShopOrder, TwinGroups, shuffled_order
from sgmn.training.data.examples import Examples
from sgmn.training.data.title_neighbors import title_neighbors
from tests.training.data.conftest import TRAIN


def test_batches_contain_one_shop_as_far_as_its_examples_fill_them() -> None:
    """Three epochs of 25 items of shops of 14, 7 and 4; batches of 4 span epochs."""
    shops = [*"a" * 14, *"b" * 7, *"c" * 4]
    order = SingleShopOrder(shops, 4)
    epochs = [order(25, 3, epoch).tolist() for epoch in range(3)]
    assert all(sorted(epoch) == list(range(25)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    drawn = [shops[position] for epoch in epochs for position in epoch]
    batches = ["".join(sorted(set(drawn[at : at + 4]))) for at in range(0, 72, 4)]
    for shop, per_epoch in (("a", 3), ("b", 1), ("c", 1)):
        assert batches.count(shop) >= 3 * per_epoch


def test_a_single_shop_order_depends_on_seed_and_epoch_only() -> None:
    shops = [*"a" * 14, *"b" * 7, *"c" * 4]
    order = SingleShopOrder(shops, 4)
    first = order(25, 3, 1).tolist()
    assert first == SingleShopOrder(shops, 4)(25, 3, 1).tolist()
    assert first != order(25, 4, 1).tolist()
    whole = SingleShopOrder([*"a" * 8, *"b" * 8], 4)  # no batch spans two epochs
    assert whole(16, 3, 0).tolist() != whole(16, 3, 1).tolist()
    small = SingleShopOrder(["a", "b"], 8)
    assert sorted(small(2, 0, 0).tolist()) == sorted(small(2, 0, 5).tolist()) == [0, 1]


def test_near_twins_are_placed_next_to_each_other() -> None:
    """Products 0 to 3 have two examples each; 0, 1 and 2 are twins."""
    keys = [("shop", str(position % 4)) for position in range(8)]
    names = [[*"12"], [*"20"], [*"01"], []]
    neighbors = {
        ("shop", str(product)): [("shop", name) for name in row]
        for product, row in enumerate(names)
    }
    arranged = TwinGroups(keys, neighbors, 3).arrange([3, 0, 4, 1, 5, 7, 2, 6])
    assert arranged == [3, 0, 1, 2, 4, 5, 6, 7]
    pairs = TwinGroups(keys, neighbors, 2).arrange([3, 0, 4, 1, 5, 7, 2, 6])
    assert pairs == [3, 0, 1, 4, 5, 7, 2, 6]


def test_the_config_groups_twins_by_their_titles(
    world: Path, examples: Examples, tiny: Callable[[], Any]
) -> None:
    data = DataConfig((world,), frames_per_clip=1, single_shop_batches=True, twin_group=2)
    order = Batches(examples, tiny().preprocessor, data, TRAIN).order
    assert isinstance(order, SingleShopOrder) and order.twins is not None
    titles = {key: product.title for key, product in examples.products.items()}
    keys = [keys[0] for keys in examples.item_keys()]
    assert order.twins == TwinGroups(keys, title_neighbors(titles, TWINS), 2)
    drawn = order(27, 0, 0).tolist()
    assert sorted(drawn) == [*range(27)]


def test_twins_share_batches_of_one_shop() -> None:
    """Two shops of four products with two examples each; 0 and 1 are twins, and so are 2 and 3."""
    keys = [(shop, str(position % 4)) for shop in "ab" for position in range(8)]
    twins = {key: [(key[0], {"0": "1", "1": "0", "2": "3", "3": "2"}[key[1]])] for key in keys}
    order = SingleShopOrder([key[0] for key in keys], 4, TwinGroups(keys, twins, 2))
    for epoch in range(5):
        drawn = [keys[position] for position in order(16, 1, epoch).tolist()]
        pairs = [{*drawn[at : at + 2]} for at in range(0, 16, 2)]
        assert all({*twins[key]} <= pair for pair in pairs for key in pair)


def test_the_config_selects_the_order(
    world: Path, examples: Examples, tiny: Callable[[], Any]
) -> None:
    drawn = []
    for single_shop in (False, True):
        data = DataConfig((world,), frames_per_clip=1, single_shop_batches=single_shop)
        batches = Batches(examples, tiny().preprocessor, data, TRAIN)
        copy = pickle.loads(pickle.dumps(batches))  # as a worker process receives it
        drawn.append(copy.order(27, 0, 0).tolist())
    shops = [item.shop_id for item in examples.items]
    assert drawn[0] == shuffled_order(27, 0, 0).tolist()
    assert drawn[1] == SingleShopOrder(shops, 6)(27, 0, 0).tolist() != drawn[0]


def test_twin_groups_need_examples_in_memory(
    world: Path, examples: Examples, tiny: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "keeps_media", False)
    data = DataConfig((world,), frames_per_clip=1, single_shop_batches=True, twin_group=2)
    with pytest.raises(SettingsError, match="'twin_group': is only for datasets that fit"):
        Batches(examples, tiny().preprocessor, data, TRAIN)


def test_twin_groups_need_batches_of_one_shop(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'twin_group' is 2.*single_shop_batches = true"):
        DataConfig((tmp_path,), twin_group=2)


def test_single_shop_batches_exclude_mining(tmp_path: Path) -> None:
    data = DataConfig((tmp_path,), single_shop_batches=True)
    RunConfig(ModelConfig(), data, TRAIN, LossConfig(mining=False))
    with pytest.raises(SettingsError, match="'single_shop_batches' is True"):
        RunConfig(ModelConfig(), data, TRAIN, LossConfig(mining=True))
