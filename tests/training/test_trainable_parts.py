"""Only the configured parts are trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sgmn.data.dataset import read_dataset
from sgmn.errors import SettingsError
from sgmn.model import checkpoint
from sgmn.training.config import DataConfig, LossConfig, ModelConfig, RunConfig
from sgmn.training.data.examples import Examples
from sgmn.training.run_setup import build_starting_model, prepare_run
from sgmn.training.trainer import Trainer
from tests.training.conftest import TRAIN, read_weights

CONFIG = replace(TRAIN, drop_transcript_prob=0.0, accumulation_steps=1, ema_decay=0.0)


@pytest.mark.parametrize(("frames", "freeze"), [(0, "text"), (2, "")])
def test_parts_that_are_not_trainable_keep_their_weights(
    frames: int, freeze: str, world: Path, tmp_path: Path, tiny: Callable[[], Any]
) -> None:
    checkpoint.save(tiny(), tmp_path / "tiny")
    parts = ("text_context", "text_pooling", "guidance", "graph", "instances")
    trainable = ("text_context", "text_pooling")
    model = ModelConfig(str(tmp_path / "tiny"), freeze, parts, trainable_parts=trainable)
    loss = LossConfig(mining=False, text_reliability=1.0, triplet=0.0, pair=0.0)
    run = RunConfig(model, DataConfig((world,), frames_per_clip=frames), CONFIG, loss)
    before = {n: v.clone() for n, v in build_starting_model(model).network.state_dict().items()}
    examples = Examples([read_dataset(world)])
    started, batches, _ = prepare_run(run, examples, tmp_path / "tokens")
    assert Trainer(started, batches, CONFIG, tmp_path / "run", loss).run()
    assert not started.network.towers.text_backbone().training  # frozen: no dropout either
    weights = read_weights(tmp_path / "run")
    changed = {name for name, value in weights.items() if not torch.equal(value, before[name])}
    prefixes = tuple(f"parts.{part}." for part in trainable)
    assert changed and all(name.startswith(prefixes) for name in changed)
    assert {"parts.text_context.out.weight", "parts.text_pooling.importance.weight"} <= changed


def test_of_the_score_only_the_weights_of_its_terms_are_trained(
    world: Path, tmp_path: Path, tiny: Callable[[], Any]
) -> None:
    checkpoint.save(tiny(), tmp_path / "tiny")
    parts, terms = ("guidance",), ("text", "match")
    model = ModelConfig(str(tmp_path / "tiny"), "", parts, terms, trainable_parts=("score",))
    loss = LossConfig(mining=False, triplet=0.0, pair=0.0)
    run = RunConfig(model, DataConfig((world,), frames_per_clip=2), CONFIG, loss)
    before = {n: v.clone() for n, v in build_starting_model(model).network.state_dict().items()}
    started, batches, _ = prepare_run(run, Examples([read_dataset(world)]), tmp_path / "tokens")
    assert Trainer(started, batches, CONFIG, tmp_path / "run", loss).run()
    weights = read_weights(tmp_path / "run")
    changed = {name for name, value in weights.items() if not torch.equal(value, before[name])}
    assert {"head.text", "head.match"} <= changed
    assert all(name.startswith("head.") for name in changed)
    assert not {"head.cross", "head.instances"} & changed


def test_a_batch_without_any_gradient_is_skipped(
    world: Path, tmp_path: Path, tiny: Callable[[], Any]
) -> None:
    """No clip has a transcript, and only the text context is trained."""
    checkpoint.save(tiny(), tmp_path / "tiny")
    part = ("text_context",)
    model = ModelConfig(str(tmp_path / "tiny"), parts=part, trainable_parts=part)
    loss = LossConfig(mining=False, triplet=0.0, pair=0.0)
    config = replace(CONFIG, drop_transcript_prob=1.0, steps=2)
    run = RunConfig(model, DataConfig((world,), frames_per_clip=2), config, loss)
    examples = Examples([read_dataset(world)])
    started, batches, _ = prepare_run(run, examples, tmp_path / "tokens")
    assert Trainer(started, batches, config, tmp_path / "run", loss).run()


@pytest.mark.parametrize("part", ["graph", "instances"])
def test_only_existing_parts_with_parameters_are_trainable(part: str) -> None:
    message = r"'trainable_parts' is .*choose from score, text_pooling, guidance$"
    with pytest.raises(SettingsError, match=message):
        ModelConfig(parts=("text_pooling", "guidance", "instances"), trainable_parts=(part,))
