"""Clips against a shelf: the one score, and its second look at the best of the first pass."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from sgmn.model.calibration import ScoreCalibration
from sgmn.model.network import SGMN
from sgmn.model.parts import Parts
from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreWeights, score

GAP = 1e-6  # between the last candidate and the best of the others
CLIPS_PER_CHUNK = 32  # clips whose candidates are looked at at once


@dataclass(frozen=True)
class Ranker:
    """Scores on the CPU, without gradient. `parts` None leaves it at the first pass."""

    weights: ScoreWeights
    parts: Parts | None = None

    @classmethod
    def from_network(cls, network: SGMN, calibration: ScoreCalibration | None = None) -> Self:
        """The ranker of a network; a copy, as the shelf's vectors are on the CPU."""
        weights = ScoreWeights(*(value.detach().cpu() for value in network.head()))
        if calibration is not None:
            weights = calibration.apply(weights)
        parts = deepcopy(network.parts).cpu().eval() if network.parts.has_second else None
        return cls(weights, parts)

    @property
    def first_pass(self) -> Ranker:
        """The same without the second look."""
        return replace(self, parts=None)

    @torch.inference_mode()
    def score(self, clips: ClipVectors, products: ProductVectors) -> Tensor:
        """The score (B, S) of every clip with every product; higher is better.

        The best of the first pass are scored again; no other product gets above them.
        """
        first = score(clips, products, self.weights)
        if self.parts is None or not len(clips):
            return first
        count = min(self.parts.config.candidates, len(products))
        places = first.topk(count, dim=1).indices
        rows = torch.split(torch.arange(len(clips)), CLIPS_PER_CHUNK)
        again = torch.cat(
            [self.parts.rescore(clips[r], products, self.weights, places[r]) for r in rows]
        )
        others = first.scatter(1, places, -torch.inf)
        above = others.max(1).values - again.min(1).values
        down = torch.where(above > 0, above + GAP, torch.zeros_like(above))
        return (first - down.unsqueeze(1)).scatter(1, places, again)
