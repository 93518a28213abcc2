"""What is fitted to a trained model on held-out data, outside of its weights.

A checkpoint stores it in `config.json` under "calibration". It changes no embedding, so an index
stays valid. The table "score" belongs to this module; `live` reads the table "timeline".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, log

import torch

from sgmn.model.bundle import ModelBundle
from sgmn.model.network import SGMN
from sgmn.model.scoring import ScoreWeights
from sgmn.settings import parse_table, require


@dataclass(frozen=True, slots=True)
class ScoreCalibration:
    """How the score of a model is adjusted.

    Attributes:
        temperature: divides the logits; above 1 it makes answers less certain.
        text_weight: weight of the text term, 0 or more; None keeps the learned weight.
        text_score_floor: floor of the text term, a cosine, -1 for none; None keeps that of the
            model. See `scoring.soft_floor`.
    """

    temperature: float = 1.0
    text_weight: float | None = None
    text_score_floor: float | None = None

    def __post_init__(self) -> None:
        valid = 0 < self.temperature < inf
        require(valid, "temperature", self.temperature, "use a number above 0")
        weight, floor = self.text_weight, self.text_score_floor
        require(weight is None or 0 <= weight < inf, "text_weight", weight, "use 0 or more")
        require(floor is None or -1 <= floor <= 1, "text_score_floor", floor, "use a cosine")

    @classmethod
    def of(cls, model: ModelBundle) -> ScoreCalibration:
        """Read the score calibration of a model; raises SettingsError."""
        table = model.calibration.get("score", {})
        return parse_table(cls, table, f"{model.name}: calibration of the score")

    def apply(self, weights: ScoreWeights) -> ScoreWeights:
        """Adjust the weights of the score."""
        changes = {"logit_scale": weights.logit_scale / self.temperature}
        if self.text_weight is not None:
            changes["text"] = torch.tensor(self.text_weight)
        if self.text_score_floor is not None:
            changes["text_score_floor"] = torch.tensor(self.text_score_floor)
        return weights._replace(**changes)


@torch.no_grad()
def calibrated_network(model: ModelBundle) -> SGMN:
    """A copy of a model's network whose own score is the calibrated one; it shares the towers."""
    config, calibration = model.network.config, ScoreCalibration.of(model)
    network = model.network.with_parts(config.parts, config.terms)
    weights = calibration.apply(network.head())
    network.config = replace(network.config, text_score_floor=float(weights.text_score_floor))
    network.head.text.copy_(weights.text)
    network.head.text_score_floor.copy_(weights.text_score_floor)
    network.head.log_logit_scale.sub_(log(calibration.temperature))
    return network
