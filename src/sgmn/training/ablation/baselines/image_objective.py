"""The objective of baselines that train nothing that reads text: InfoNCE on the score."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from sgmn.training.config import LossConfig
from sgmn.training.losses.objective import Objective


class ImageObjective(Objective):
    """InfoNCE on the score, with a weight of 1, and no other loss of this project."""

    def __init__(self, dim: int, config: LossConfig, classes: Tensor, is_sold: Tensor) -> None:
        config = replace(
            config,
            text=0.0,
            triplet=0.0,
            pair=0.0,
            image=0.0,
            text_reliability=0.0,
            grounding=0.0,
            mining=False,
        )
        super().__init__(dim, config, classes, is_sold)
