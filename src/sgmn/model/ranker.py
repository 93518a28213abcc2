"""Scores clips against all products of a shelf, including the re-ranker."""

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

CANDIDATE_MARGIN = 1e-6  # between the last candidate and the best other product
CLIPS_PER_CHUNK = 32  # clips whose candidates are scored together


@dataclass(frozen=True)
class Ranker:
    """Computes scores on the CPU, without gradient.

    Attributes:
        weights: The parameters of the score.
        parts: The parts with the re-ranker; None for a first pass only.
    """

    weights: ScoreWeights
    parts: Parts | None = None

    @classmethod
    def from_network(cls, network: SGMN, calibration: ScoreCalibration | None = None) -> Self:
        """Build the ranker of a network. It is a copy on the CPU, where the shelf is."""
        weights = ScoreWeights(*(value.detach().cpu() for value in network.head()))
        if calibration is not None:
            weights = calibration.apply(weights)
        parts = deepcopy(network.parts).cpu().eval() if network.parts.has_reranker else None
        return cls(weights, parts)

    @property
    def first_pass(self) -> Ranker:
        """The same ranker without the re-ranker."""
        return replace(self, parts=None)

    @property
    def first_pass_weights(self) -> ScoreWeights:
        """The parameters of the first pass, which compares no patches."""
        return self.weights._replace(late=torch.zeros_like(self.weights.late))

    @torch.inference_mode()
    def score(self, clips: ClipVectors, products: ProductVectors) -> Tensor:
        """Score every clip with every product (B, S); higher is better.

        The re-ranker scores the best candidates of the first pass again. The scores of other
        products are lowered where necessary, so that they rank below all candidates.
        """
        first_pass = score(clips, products, self.first_pass_weights)
        if self.parts is None or not len(clips):
            return first_pass
        count = min(self.parts.config.candidates, len(products))
        candidates = first_pass.topk(count, dim=1).indices
        chunks = torch.split(torch.arange(len(clips)), CLIPS_PER_CHUNK)
        rescored = torch.cat(
            [self.parts.rescore(clips[c], products, self.weights, candidates[c]) for c in chunks]
        )
        others = first_pass.scatter(1, candidates, -torch.inf)
        excess = others.max(1).values - rescored.min(1).values
        margin = torch.where(excess > 0, excess + CANDIDATE_MARGIN, torch.zeros_like(excess))
        return (first_pass - margin.unsqueeze(1)).scatter(1, candidates, rescored)
