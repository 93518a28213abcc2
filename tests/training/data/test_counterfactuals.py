"""Counterfactual clips: the same frames, with the words and the boxes of another product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgmn.data.dataset import Photo, read_dataset
from sgmn.model.inputs import ItemInputs
from sgmn.model.tokens import ItemTokens
from sgmn.records import Clip
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data.batches import Batches, BatchSpec
from sgmn.training.data.cached_batches import CachedBatches
from sgmn.training.data.example_loader import ExampleLoader, LoadedClip
from sgmn.training.data.examples import Examples
from sgmn.training.data.grounding_labels import GroundingLabels, measure_patch_grids
from tests.training.painting import CORNERS, TRAIN, guided

DATA = DataConfig((Path(),), frames_per_clip=4, clutter_prob=1.0, counterfactual_prob=1.0)
SILENT = replace(TRAIN, drop_transcript_prob=1.0, max_dropped_frames_fraction=0.0)


@pytest.fixture
def examples(world: Path) -> Examples:
    """The photos of the world, and clips whose last frames show product p5 in a corner."""
    data = read_dataset(world)
    shown = [
        {"time": float(n), "boxes": {"p5": [0.5, 0.5, 1.0, 1.0]} if n > 1 else {}} for n in range(4)
    ]
    clips = tuple(replace(c, boxes=CORNERS, extra={"shown": shown}) for c in data.clips[:3])
    return Examples([replace(data, clips=clips)])


@pytest.fixture
def loader(examples: Examples) -> ExampleLoader:
    return ExampleLoader(examples, DATA, SILENT, 32)


def photos_of(examples: Examples) -> list[Photo]:
    return [item for item in examples.items if isinstance(item, Photo)]


def load_pairs(loader: ExampleLoader, items: list[Any]) -> list[tuple[LoadedClip, LoadedClip]]:
    """Load the clips that show another product, with their counterfactuals."""
    loaded = [
        loader.load_variants(item, 1.0, 1.0, np.random.default_rng(seed))
        for seed, item in enumerate(items)
    ]
    return [(clips[0], clips[1]) for clips in loaded if len(clips) == 2]


def test_photo_clips_swap_the_products_that_are_held_up(
    examples: Examples, loader: ExampleLoader
) -> None:
    pairs = load_pairs(loader, photos_of(examples) * 3)
    assert len(pairs) > 10
    for own, other in pairs:
        assert own.content.frames is other.content.frames
        assert own.keys != other.keys and not own.is_counterfactual and other.is_counterfactual
        assert own.content.text == "" and other.content.text
        assert own.visible == tuple(map(bool, own.boxes))
        assert other.visible == tuple(map(bool, other.boxes)) and any(other.visible)
        assert any(own.visible) and not any(map(all, zip(own.visible, other.visible, strict=True)))
    texts = " ".join(other.content.text for _, other in pairs)
    assert any(examples.products[other.keys[0]].title in texts for _, other in pairs)


def test_a_photo_outside_of_a_scene_has_no_counterfactual(
    examples: Examples, loader: ExampleLoader, rng: np.random.Generator
) -> None:
    [clip] = loader.load_variants(photos_of(examples)[0], 0.0, 1.0, rng)
    assert clip.visible == (True,) * 4 and not any(clip.boxes)


def test_generated_clips_take_another_product_that_they_show(
    examples: Examples, loader: ExampleLoader, rng: np.random.Generator
) -> None:
    [item] = [i for i in examples.items if isinstance(i, Clip) and i.product_ids == ("p1",)]
    own, other = loader.load_variants(item, 0.0, 1.0, rng)
    assert own.boxes == CORNERS and own.visible == (True,) * 4
    assert other.keys == (("", "p5"),) and other.visible == (False, False, True, True)
    assert other.boxes[2:] == (((0.5, 0.5, 1.0, 1.0),),) * 2
    shows_itself = {"shown": [{"time": 0.0, "boxes": {"p1": [0.0, 0.0, 1.0, 1.0], "?": []}}]}
    assert len(loader.load_variants(replace(item, extra=shows_itself), 0.0, 1.0, rng)) == 1
    assert len(loader.load_variants(item, 0.0, 0.0, rng)) == 1


def test_batches_contain_both_products_of_a_counterfactual(
    examples: Examples, tiny: Callable[[], Any]
) -> None:
    batches = Batches(examples, tiny().preprocessor, DATA, SILENT)
    clips = [n for n, item in enumerate(examples.items) if isinstance(item, Clip)]
    batch = batches[BatchSpec(0, tuple(clips))]
    index = examples.product_index
    assert batch.targets.tolist() == [[index["", "p5"]]] * 3
    assert batch.candidates.tolist() == [index["", f"p{n}"] for n in (5, 0, 1, 2)]
    assert isinstance(batch.clips, ItemInputs)
    assert set(batch.clips.texts.owner.tolist()) == {0, 1, 2}


class _Cached:
    """Cached batches of photos and clips, and what they should contain."""

    def __init__(self, examples: Examples, model: Any, folder: Path, prob: float) -> None:
        data = replace(DATA, counterfactual_prob=prob, cached_variants=1)
        train: TrainConfig = replace(SILENT, batch_size=len(examples.items))
        self.batches = CachedBatches(examples, model, data, train, folder)
        assert self.batches.fill() == []
        self.batches.patch_grids = measure_patch_grids(model.network)
        self.spec = BatchSpec(0, tuple(range(len(examples.items))))
        self.loaded = [self.batches.load_variants(item, 0) for item in examples.items]


@pytest.mark.parametrize("prob", [0.0, 1.0])
def test_cached_labels_equal_those_of_the_clips(
    prob: float, examples: Examples, tiny: Callable[[], Any], tmp_path: Path
) -> None:
    model = guided(tiny())
    cached = _Cached(examples, model, tmp_path, prob)
    chosen = [clips[-1] if prob else clips[0] for clips in cached.loaded]
    expected = cached.batches.build_labels(chosen, measure_patch_grids(model.network))
    batch = cached.batches[cached.spec]
    assert isinstance(batch.labels, GroundingLabels) and isinstance(batch.clips, ItemTokens)
    assert batch.labels.box_mask.shape == batch.clips.patch_mask.shape
    for field in ("box_mask", "visible"):
        assert torch.equal(getattr(batch.labels, field), getattr(expected, field))
    torch.testing.assert_close(batch.labels.boxes, expected.boxes, atol=1e-3, rtol=0)
    index = examples.product_index
    assert batch.targets[:, 0].tolist() == [index[clip.keys[0]] for clip in chosen]
    # Only counterfactuals keep their words: all other transcripts are dropped.
    assert batch.clips.has_text.tolist() == [clip.is_counterfactual for clip in chosen]
    texts = model.network.encode_clip_tokens(
        model.preprocessor.prepare_clips([clip.content for clip in chosen])
    ).text
    torch.testing.assert_close(
        batch.clips.text, texts * batch.clips.has_text[:, None], atol=2e-3, rtol=0
    )


def test_labels_are_part_of_the_name_of_an_entry(
    examples: Examples, tiny: Callable[[], Any], tmp_path: Path
) -> None:
    batches = CachedBatches(examples, guided(tiny()), DATA, SILENT, tmp_path)
    clip = next(item for item in examples.items if isinstance(item, Clip))
    variants = [clip, replace(clip, boxes=()), replace(clip, extra={"visible_span": [0.0, 1.0]})]
    assert len({batches.clip_entry(variant, 0) for variant in variants}) == 3
