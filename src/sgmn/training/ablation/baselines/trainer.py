"""Trains a published method like any other row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import torch
from torch import Tensor

from sgmn.model.bundle import ModelBundle
from sgmn.model.network import SGMN
from sgmn.model.parts import Parts, PartsConfig
from sgmn.training.ablation.baselines.image_objective import ImageObjective
from sgmn.training.ablation.baselines.instance_contrast import (
    InstanceContrastObjective,
    InstanceContrastParts,
)
from sgmn.training.ablation.baselines.published import PublishedObjective, PublishedParts
from sgmn.training.ablation.baselines.temporal_attention import TemporalAttentionParts
from sgmn.training.config import LossConfig, TrainConfig
from sgmn.training.data.batches import Batches
from sgmn.training.losses.objective import Objective
from sgmn.training.run_state import save_state
from sgmn.training.trainer import Trainer

TEXT_WEIGHT = 0.5  # of cos(transcript, title)


@dataclass(frozen=True)
class Baseline:
    """What replaces the parts and the losses of this project.

    Attributes:
        build_parts: from the dimensions and sizes.
        build_objective: from the dimensions, the config, the duplicate classes (P,) of all
            products, and which of them (P,) some example sells.
        is_trained: whether anything that ranks is trained.
    """

    build_parts: Callable[[int, PartsConfig], Parts]
    build_objective: Callable[[int, LossConfig, Tensor, Tensor], Objective]
    is_trained: bool = True


def build_no_parts(dim: int, config: PartsConfig) -> Parts:
    """Mean pooling of frames, and nothing to train."""
    return Parts(dim, replace(config, enabled=()))


BASELINES = {
    "zero-shot": Baseline(build_no_parts, ImageObjective, is_trained=False),
    "instance contrast": Baseline(InstanceContrastParts, InstanceContrastObjective),
    "temporal attention": Baseline(TemporalAttentionParts, ImageObjective),
    "published": Baseline(PublishedParts, PublishedObjective),
}


def apply_baseline(network: SGMN, baseline: Baseline, seed: int) -> None:
    """Give a network the parts of a baseline and its score: cos(v, I) + 0.5·cos(a, h).

    seed: of the initialization.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network.parts = baseline.build_parts(network.towers.dim, network.config.parts)
    network.parts.to(network.device)
    head = network.head
    for parameter in (head.match, head.instances, head.cross, head.text):
        parameter.requires_grad_(False).zero_()
    head.text.fill_(TEXT_WEIGHT)
    head.text_score_floor.fill_(-1.0)


class BaselineTrainer(Trainer):
    """The training loop with the losses of a baseline.

    The trained weights are in the run's state. There is no checkpoint, because a checkpoint holds
    parts of this project only.
    """

    def __init__(
        self,
        baseline: Baseline,
        model: ModelBundle,
        batches: Batches,
        config: TrainConfig,
        folder: Path,
        loss: LossConfig,
        stop_event: Event,
    ) -> None:
        super().__init__(model, batches, config, folder, replace(loss, mining=False), stop_event)
        is_sold, classes = batches.examples.labeled_mask(), self.duplicates.classes
        dim = self.network.towers.dim
        self._set_objective(baseline.build_objective(dim, loss, classes, is_sold))

    def save(self) -> None:
        """Write the state to resume from."""
        save_state(self.folder, self.step, self._modules(), self.optimizer, {}, self.signature)
