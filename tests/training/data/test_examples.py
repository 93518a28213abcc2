"""Examples are the clips and photos of listed products."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sgmn.data.dataset import read_dataset
from sgmn.errors import RecordError
from sgmn.records import Clip
from sgmn.training.data.examples import Examples


def test_clips_of_unlisted_products_are_counted(examples: Examples) -> None:
    assert examples.unlisted_count == 1
    assert "1 of unlisted products" in examples.summary()


def test_clips_of_other_splits_are_left_out(world: Path) -> None:
    data = read_dataset(world)
    splits = ("train", "test", "", "train")
    clips = tuple(replace(c, split=s) for c, s in zip(data.clips, splits, strict=True))
    examples = Examples([replace(data, clips=clips)], "train")
    assert examples.other_split_count == 1
    assert sum(isinstance(item, Clip) for item in examples.items) == 2
    assert len(Examples([replace(data, clips=clips)]).items) == 27


def test_clips_may_be_repeated_and_product_images_count_as_photos(world: Path) -> None:
    data = read_dataset(world)
    examples = Examples([data], clip_repeats=3, product_images_as_photos=True)
    assert len(examples.items) == 3 * 3 + 24 + 6 and examples.unlisted_count == 1
    assert sum(isinstance(item, Clip) for item in examples.items) == 9
    assert len(examples.photos_by_product["", "p0"]) == 5


def test_a_dataset_without_listed_products_is_an_error(world: Path) -> None:
    data = replace(read_dataset(world), products=())
    with pytest.raises(RecordError, match="has no clip or photo of a listed product"):
        Examples([data])
