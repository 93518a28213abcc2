"""Trainers of tiny models on the tiny dataset."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sgmn.data.dataset import read_dataset
from sgmn.model import checkpoint
from sgmn.training.config import DataConfig, LossConfig, TrainConfig
from sgmn.training.data.batches import Batches
from sgmn.training.data.examples import Examples
from sgmn.training.trainer import StepReport, Trainer

MakeTrainer = Callable[..., Trainer]

TRAIN = TrainConfig(
    steps=8,
    batch_size=6,
    lr=3e-3,
    ema_decay=0.9,
    workers=0,
    log_every_steps=1,
    device="cpu",
    accumulation_steps=2,
)


@pytest.fixture
def make_trainer(world: Path, tiny: Callable[[], Any]) -> MakeTrainer:
    """A function that builds a trainer; keyword arguments change `TRAIN`."""
    examples = Examples([read_dataset(world)])

    def make(
        folder: Path, loss: LossConfig | None = None, clutter_prob: float = 0.5, **changes: Any
    ) -> Trainer:
        config = replace(TRAIN, **changes)
        model = tiny()
        model.network.freeze_text()
        data = DataConfig((world,), frames_per_clip=2, clutter_prob=clutter_prob)
        batches = Batches(examples, model.preprocessor, data, config)
        return Trainer(model, batches, config, folder, loss)

    return make


def read_losses(folder: Path) -> list[float]:
    """Return the losses in the log of a run."""
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights in the checkpoint of a run."""
    return checkpoint.load(folder / "checkpoint").network.state_dict()


def stop_after(trainer: Trainer, step: int) -> Callable[[StepReport], None]:
    """Return a callback that stops a trainer after a step."""

    def report(progress: StepReport) -> None:
        if progress.step == step:
            trainer.stop()

    return report
