"""Training on boxes moves the attention of guidance into them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sgmn.data.dataset import read_dataset
from sgmn.errors import SettingsError
from sgmn.model.inputs import Canvas, ImageInputs, ItemInputs
from sgmn.model.network import SGMN
from sgmn.model.tokens import ItemTokens
from sgmn.records import Clip
from sgmn.training.config import DataConfig, LossConfig
from sgmn.training.data import batches as batches_module
from sgmn.training.data import boxes
from sgmn.training.data.batches import Batch, Batches, BatchSpec
from sgmn.training.data.boxes import FrameBoxes
from sgmn.training.data.examples import Examples
from sgmn.training.trainer import Trainer
from tests.training.painting import CORNERS, GROUNDING_LOSS, TRAIN, examples_of, guided, paint

MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def make_trainer(world: Path, tiny: Callable[[], Any], tmp_path: Path) -> MakeTrainer:
    """Trains on three clips and the world's photos; each frame is white in another corner."""
    data = read_dataset(world)
    frames = tuple(tmp_path / f"{number}.png" for number in range(4))
    for path, corner in zip(frames, CORNERS, strict=True):
        Image.fromarray(paint((32, 32), corner)).save(path)

    def make(
        loss: LossConfig, boxes: tuple[FrameBoxes, ...] = CORNERS, name: str = "run"
    ) -> Trainer:
        clips = tuple(replace(clip, frames=frames, boxes=boxes) for clip in data.clips)
        examples = Examples([replace(data, clips=clips)], clip_repeats=8)
        model = guided(tiny())
        model.network.towers.requires_grad_(False)
        settings = DataConfig((world,), frames_per_clip=4)
        batches = Batches(examples, model.preprocessor, settings, TRAIN)
        return Trainer(model, batches, TRAIN, tmp_path / name, loss)

    return make


@torch.no_grad()
def attention_inside(network: SGMN, batch: Batch) -> torch.Tensor:
    """Return the attention inside the boxes of each frame that has one, in training mode."""
    assert batch.labels is not None
    torch.manual_seed(0)
    output = network.train().parts.guide(network.encode_clip_tokens(batch.clips), "clips")
    inside: torch.Tensor = (output.patch_weights * batch.labels.box_mask).sum(-1)
    return inside[batch.labels.box_mask.any(-1)]


def test_a_few_steps_move_attention_into_the_boxes(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(GROUNDING_LOSS)
    batch = trainer.batches[0]
    before = attention_inside(trainer.network, batch)
    for _ in range(3):
        trainer.train_step([batch])
    after = attention_inside(trainer.network, batch)
    assert after.mean() > before.mean() + 0.1
    without = make_trainer(replace(GROUNDING_LOSS, grounding=0.0), name="without")
    without.train_step([replace(batch, labels=None)])
    assert attention_inside(without.network, batch).mean() < after.mean() - 0.05


def test_the_log_names_the_grounding_loss(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    make_trainer(GROUNDING_LOSS).run()
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all(line["losses"]["grounding"] > 0 for line in lines)


def pixels(batch: Batch) -> list[torch.Tensor]:
    assert isinstance(batch.clips, ItemInputs) and isinstance(batch.clips.images, ImageInputs)
    return [tensor for group in batch.clips.images.groups for tensor in group]


def test_labels_change_nothing_else_in_a_batch(make_trainer: MakeTrainer) -> None:
    """Clips have boxes, photos only in a scene; the images are those of a batch without labels."""
    batches = make_trainer(GROUNDING_LOSS).batches
    spec = BatchSpec(0, batches.positions(0, _in_order))
    batch = batches[spec]
    items = [batches.examples.items[position] for position in spec.positions]
    assert batch.labels is not None
    boxed = batch.labels.box_mask.any(-1).any(-1).tolist()
    assert all(
        has_box for has_box, item in zip(boxed, items, strict=True) if isinstance(item, Clip)
    )
    assert batch.labels.visible.any(1).all()
    batches.patch_grids = None
    plain = batches[spec]
    assert plain.labels is None
    for tensor, other in zip(pixels(batch), pixels(plain), strict=True):
        assert torch.equal(tensor, other)


def _in_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Alternate between clips and photos: the first 24 examples are clips."""
    return np.argsort(np.arange(count) % 24, kind="stable")


def test_the_mask_has_the_shape_of_the_tokens(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(GROUNDING_LOSS)
    batch = trainer.batches[0]
    tokens: ItemTokens = trainer.network.encode_clip_tokens(batch.clips)
    assert batch.labels is not None
    mask = batch.labels.box_mask
    assert mask.shape == tokens.patch_mask.shape
    assert not (mask & ~(tokens.patch_mask & tokens.image_mask.unsqueeze(-1))).any()


def trained_weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    trainer.run()
    return trainer.network.state_dict()


def test_with_weight_zero_boxes_change_nothing(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the learned weights nor the computation: no canvas or box is looked at."""

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(SGMN, "patch_grid", refuse)
    monkeypatch.setattr(boxes, "boxes_at_times", refuse)
    monkeypatch.setattr(batches_module, "build_labels", refuse)
    off = replace(GROUNDING_LOSS, grounding=0.0)
    boxed = trained_weights(make_trainer(off, CORNERS, "boxed"))
    bare = trained_weights(make_trainer(off, (), "bare"))
    assert all(torch.equal(value, bare[name]) for name, value in boxed.items())


def test_canvases_are_measured_in_evaluation_mode(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Norms with running statistics, which some towers have, must not see an empty canvas."""
    modes, patch_grid = [], SGMN.patch_grid

    def record(network: SGMN, canvas: Canvas) -> tuple[int, int]:
        modes.append(network.training)
        return patch_grid(network, canvas)

    monkeypatch.setattr(SGMN, "patch_grid", record)
    trainer = make_trainer(GROUNDING_LOSS)
    assert set(trainer.batches.patch_grids or {}) == set(trainer.network.config.canvases)
    assert modes == [False] * len(trainer.network.config.canvases)


def test_a_model_without_guidance_ignores_boxes(
    world: Path, tiny: Callable[[], Any], tmp_path: Path
) -> None:
    data = read_dataset(world)
    clips = tuple(replace(clip, boxes=CORNERS) for clip in data.clips)
    model = tiny()
    settings = DataConfig((world,), frames_per_clip=2)
    batches = Batches(examples_of(data, clips), model.preprocessor, settings, TRAIN)
    trainer = Trainer(model, batches, TRAIN, tmp_path, GROUNDING_LOSS)
    assert trainer.batches.patch_grids is None
    assert set(trainer.train_step([batches[0]])[0].losses) == {"score"}


def test_negative_weights_are_refused() -> None:
    with pytest.raises(SettingsError, match="'grounding' is -1"):
        LossConfig(grounding=-1)
