"""While the towers learn, second glances are cut around labeled boxes."""

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
from sgmn.model import checkpoint
from sgmn.model.inputs import ItemInputs, Preprocessor
from sgmn.training.config import VISUAL_LOSSES, DataConfig, ModelConfig, RunConfig
from sgmn.training.data import labeled_glances
from sgmn.training.data.examples import Examples
from sgmn.training.data.grounding_labels import build_labels
from sgmn.training.data.labeled_glances import cut_labeled_glances, move_box
from sgmn.training.run_setup import prepare_run
from sgmn.training.trainer import Trainer
from tests.training.painting import CANVASES, CORNERS, GRIDS, GROUNDING_LOSS, TRAIN, paint

PREPROCESSOR = Preprocessor(CANVASES, (0, 0, 0), None, 8)
GLANCE_LOSS = replace(GROUNDING_LOSS, image=1.0, glance=1.0, late=1.0)


def test_the_regions_of_the_first_labeled_frames_are_cut_out(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labeled_glances, "GLANCES", 2)
    boxes = [[(), CORNERS[0], CORNERS[3], CORNERS[1]], [(), CORNERS[2]], []]
    frames = [[paint((160, 120), box) for box in clip] or [paint((160, 120), ())] for clip in boxes]
    labels = build_labels(frames, boxes, [()] * 3, CANVASES, GRIDS)
    glances = cut_labeled_glances(frames, labels.boxes, PREPROCESSOR, rng)
    assert glances.mask.tolist() == [[True, True], [True, False], [False, False]]
    assert glances.frames[glances.mask].tolist() == [1, 2, 1]
    [(_, pixels)] = glances.images.groups
    assert pixels.shape == (3, 3, 160, 160)  # the squarest canvas
    content = (pixels > 0).float().mean((1, 2, 3))
    assert (content > 0.3).all()  # of whole frames, white covers a quarter at most


def test_boxes_move_a_little_and_stay_within_the_canvas(rng: np.random.Generator) -> None:
    box = np.array([0.4, 0.5, 0.8, 1.0])
    moved = np.array([move_box(box, rng) for _ in range(200)])
    assert (moved >= 0).all() and (moved <= 1).all() and (moved[:, :2] < moved[:, 2:]).all()
    assert np.abs(moved.mean(0) - box).max() < 0.05 < np.ptp(moved, axis=0).min()


def test_towers_learn_from_glances_at_labeled_boxes(
    world: Path, tmp_path: Path, tiny: Callable[[], Any]
) -> None:
    """Also from what only the glances show: the terms have losses of their own."""
    data = read_dataset(world)
    frames = tuple(tmp_path / f"{number}.png" for number in range(4))
    for path, corner in zip(frames, CORNERS, strict=True):
        Image.fromarray(paint((64, 64), corner)).save(path)
    clips = tuple(replace(clip, frames=frames, boxes=CORNERS) for clip in data.clips)
    checkpoint.save(tiny(), tmp_path / "tiny")
    parts, terms = ("guidance", "glance"), ("text", "glance", "late")
    model = ModelConfig(str(tmp_path / "tiny"), "text", parts, terms)
    run = RunConfig(model, DataConfig((world,), frames_per_clip=2), TRAIN, GLANCE_LOSS)
    started, batches, _ = prepare_run(run, Examples([replace(data, clips=clips)]), tmp_path)
    assert batches.loader.max_side == 2 * max(max(c) for c in started.network.config.canvases)
    trainer = Trainer(started, batches, TRAIN, tmp_path / "run", GLANCE_LOSS)
    towers = [p.detach().clone() for p in started.network.towers.parameters()]
    assert trainer.run()
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert {*VISUAL_LOSSES, "score", "grounding"} == set(json.loads(lines[-1])["losses"])
    pairs = zip(towers, started.network.towers.parameters(), strict=True)
    assert any(not torch.equal(before, after) for before, after in pairs)
    clip_inputs = batches[0].clips
    assert isinstance(clip_inputs, ItemInputs) and clip_inputs.glances is not None
    tokens = started.network.encode_clip_tokens(clip_inputs)
    assert tokens.glance_mask.any() and tokens.glances.requires_grad
