"""Batches depend on seed and step only, and carry the right labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgmn.data.dataset import Photo
from sgmn.model.inputs import ItemInputs
from sgmn.records import Clip
from sgmn.training.config import TrainConfig
from sgmn.training.data import example_loader, photo_clips
from sgmn.training.data.batches import Batch, Batches
from sgmn.training.data.degradation import Degradation
from sgmn.training.data.epoch_order import shuffled_order
from sgmn.training.data.examples import labeled_keys
from tests.training.data.conftest import TRAIN


def inputs(batch: Batch) -> tuple[ItemInputs, ItemInputs]:
    """The clips and products of a batch that was not read from a cache."""
    assert isinstance(batch.clips, ItemInputs) and isinstance(batch.products, ItemInputs)
    return batch.clips, batch.products


def same(one: Batch, other: Batch) -> bool:
    (a, _), (b, _) = inputs(one), inputs(other)
    pixels = zip(a.images.groups, b.images.groups, strict=True)
    return all(torch.equal(x[1], y[1]) for x, y in pixels) and torch.equal(a.texts.ids, b.texts.ids)


def with_train(batches: Batches, train: TrainConfig) -> Batches:
    return Batches(batches.examples, batches.preprocessor, batches.data, train)


def test_a_batch_depends_on_seed_and_step_only(batches: Batches) -> None:
    first = batches[3]
    batches[0], batches[7]  # other batches have no influence
    assert same(first, batches[3])
    assert not same(first, batches[4])
    assert not same(first, with_train(batches, replace(TRAIN, seed=1))[3])


def test_an_epoch_contains_every_example_once(batches: Batches) -> None:
    count = len(batches.examples.items)
    assert count == 27  # 24 photos and 3 clips
    drawn = [p for step in range(9) for p in batches.positions(step, shuffled_order)]
    assert len(set(drawn[:27])) == 27 and len(set(drawn[27:54])) == 27
    assert drawn[:27] != drawn[27:54]


def test_labels_name_the_products_of_each_clip(batches: Batches) -> None:
    for step in range(6):
        items = [batches.examples.items[p] for p in batches.positions(step, shuffled_order)]
        own = [key for item in items for key in labeled_keys(item)]
        keys = batches.candidate_keys(own, (), np.random.default_rng(0))
        assert len(set(keys)) == len(keys)
        batch = batches[step]
        assert batch.positive.any(1).all()
        assert batch.positive.shape == (6, inputs(batch)[1].count)
        for row, item in enumerate(items):
            assert int(batch.positive[row].sum()) == len(labeled_keys(item))


@pytest.mark.parametrize(("prob", "with_text"), [(1.0, 0), (0.0, 6)])
def test_transcripts_are_dropped_with_the_given_probability(
    batches: Batches, prob: float, with_text: int
) -> None:
    train = replace(TRAIN, drop_transcript_prob=prob, drop_word_prob=0.0)
    clips, _ = inputs(with_train(batches, train)[0])
    assert len(set(clips.texts.owner.tolist())) == with_text


def test_all_frames_of_clips_and_photos_are_degraded(
    batches: Batches, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr(Degradation, "sample", lambda *_: Degradation(np.zeros((3, 2))))
    items = batches.examples.items
    for item in (next(i for i in items if isinstance(i, kind)) for kind in (Clip, Photo)):
        frames = batches.loader.load_clip(item, 0.5, rng).frames
        assert frames and all(frame.max() == 0 for frame in frames)


def test_text_only_batches_read_no_images(
    batches: Batches, tiny: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither photos nor videos nor product images are opened."""
    for module, name in (
        (photo_clips, "read_cached_image"),
        (example_loader, "read_cached_image"),
        (example_loader, "read_cached_frames"),
    ):
        monkeypatch.delattr(module, name)
    data = replace(batches.data, frames_per_clip=0)
    train = replace(TRAIN, drop_transcript_prob=0.0)
    batch = Batches(batches.examples, tiny().preprocessor, data, train)[0]
    clips, products = inputs(batch)
    assert clips.images.count == products.images.count == 0
    assert not batch.read_errors and batch.positive.any(1).all()
    assert set(clips.texts.owner.tolist()) == set(range(len(batch.targets)))
    assert set(products.texts.owner.tolist()) == set(range(len(batch.candidates)))
