"""Batches are pure functions of seed and step, rightly labelled, and lose nothing silently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgmn.data import dataset
from sgmn.errors import RecordError
from sgmn.records import Clip, Product
from sgmn.training import speech
from sgmn.training.batches import Batches, shuffled
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.examples import Examples, keys
from sgmn.training.scene import Scene, blurred, lit, some_light
from tests.conftest import noise

TRAIN = TrainConfig(steps=20, batch=6, workers=0)


@pytest.fixture
def batches(world: Path, tiny: Callable[[], Any]) -> Batches:
    data = DataConfig((world,), frames=3, negatives=1)
    return Batches(Examples([dataset.read(world)]), tiny().preparation, data, TRAIN)


def same(one: Any, other: Any) -> bool:
    pixels = zip(one.clips.pictures.groups, other.clips.pictures.groups, strict=True)
    return all(torch.equal(a[1], b[1]) for a, b in pixels) and torch.equal(
        one.clips.texts.ids, other.clips.texts.ids
    )


def test_a_batch_depends_on_seed_and_step_only(batches: Batches) -> None:
    first = batches[3]
    batches[0], batches[7]  # what was drawn in between does not matter
    assert same(first, batches[3])
    assert not same(first, batches[4])
    batches.train = replace(TRAIN, seed=1)
    assert not same(first, batches[3])


def test_an_epoch_sees_every_example_once(batches: Batches) -> None:
    count = len(batches.examples.items)
    assert count == 27  # 24 photos and 3 clips
    drawn = [place for step in range(9) for place in batches.places(step, shuffled)]
    assert len(set(drawn[:27])) == 27 and len(set(drawn[27:54])) == 27
    assert drawn[:27] != drawn[27:54]


def test_what_has_no_product_is_counted(batches: Batches) -> None:
    assert batches.examples.left_out == 1
    assert "1 of products that no products.jsonl lists" in batches.examples.summary()


def test_labels_name_the_products_of_each_clip(batches: Batches) -> None:
    for step in range(6):
        items = [batches.examples.items[place] for place in batches.places(step, shuffled)]
        listed = batches._listed(items, (), np.random.default_rng(0))
        assert len(set(listed)) == len(listed)
        batch = batches[step]
        assert batch.positive.any(1).all()
        assert batch.positive.shape == (6, batch.products.count)
        for row, item in enumerate(items):
            assert int(batch.positive[row].sum()) == len(keys(item))


def test_clips_of_other_splits_are_left_out(world: Path) -> None:
    data = dataset.read(world)
    splits = ("train", "test", "", "train")
    clips = tuple(replace(c, split=s) for c, s in zip(data.clips, splits, strict=True))
    examples = Examples([replace(data, clips=clips)], "train")
    assert examples.other_splits == 1
    assert sum(isinstance(item, Clip) for item in examples.items) == 2
    assert len(Examples([replace(data, clips=clips)]).items) == 27


def test_clips_may_count_more_often_and_views_as_photos(world: Path) -> None:
    data = dataset.read(world)
    more = Examples([data], clip_times=3, views=True)
    assert len(more.items) == 3 * 3 + 24 + 6 and more.left_out == 1
    assert sum(isinstance(item, Clip) for item in more.items) == 9
    assert len(more.photos["", "p0"]) == 5


def test_no_listed_product_is_refused(world: Path) -> None:
    data = replace(dataset.read(world), products=())
    with pytest.raises(RecordError, match="nothing to learn from"):
        Examples([data])


def test_silence_is_as_often_as_asked(batches: Batches) -> None:
    batches.contents.train = replace(TRAIN, drop_transcript=1.0)
    assert not len(batches[0].clips.texts.owner)
    batches.contents.train = replace(TRAIN, drop_transcript=0.0, drop_word=0.0)
    assert len(set(batches[0].clips.texts.owner.tolist())) == 6


def test_transcripts_mostly_leave_the_name_unsaid() -> None:
    rng = np.random.default_rng(0)
    milk = Product("p0", "Arla Ecological Milk", category="Milk")
    other = Product("p1", "Granny Smith", category="Apple")
    said = [speech.transcript(milk, [other], rng) for _ in range(400)]
    full = sum("arla ecological milk" in words for words in said) / 400
    category = sum("milk" in words for words in said) / 400
    assert full == pytest.approx(speech.FULL, abs=0.08)
    assert category == pytest.approx(speech.FULL + speech.CATEGORY, abs=0.08)
    assert 0.2 < sum("granny smith" in words for words in said) / 400 < 0.4
    assert len(set(said)) > 300


def test_worn_words_lose_some_and_keep_order() -> None:
    words = " ".join(f"w{number}" for number in range(300))
    heard = speech.worn(words, 0.2, np.random.default_rng(1)).split()
    kept = [word for word in heard if word.startswith("w")]
    assert 0.7 < len(kept) / 300 < 0.9 and len(heard) > len(kept)
    assert kept == sorted(kept, key=lambda word: int(word[1:]))
    assert speech.worn(words, 0.0, np.random.default_rng(1)) == words


def test_a_scene_shows_what_is_held_and_leaves_the_ground() -> None:
    rng = np.random.default_rng(2)
    grey, red = np.full((60, 60, 3), 128, np.uint8), np.zeros((60, 60, 3), np.uint8)
    red[..., 0] = 255
    scene = Scene.of(grey, [grey], 160, rng)
    frame = scene.holding(red, 0.5, rng)
    assert frame.shape == (160, 90, 3)
    is_red = (frame[..., 0] == 255) & (frame[..., 1] == 0)
    assert 0.05 < is_red.mean() < 0.5
    assert (scene.ground == 128).all()


def test_light_and_blur_keep_the_picture_a_picture(rng: np.random.Generator) -> None:
    picture = noise(rng)
    assert np.array_equal(lit(picture, some_light(0.0, rng)), picture)
    soft = blurred(picture, 0.3)
    assert soft.shape == picture.shape and soft.std() < picture.std()
