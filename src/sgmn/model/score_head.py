"""The learned parameters of the score."""

from __future__ import annotations

from collections.abc import Iterable
from math import log

import torch
from torch import Tensor, nn

from sgmn.model.scoring import GLANCE_TERMS, LEARNED_TERMS, TERMS, ScoreWeights


class ScoreHead(nn.Module):
    """The learned parameters of the score. Untrained, the score is v·I + `text`·(a·h).

    Args:
        text: Initial weight of the text term.
        match_temperature: Initial temperature of both soft maxima.
        logit_scale: Initial logit scale.
        terms: The terms besides the image term; the weights of others stay 0. Terms of the
            second glance have a weight only if they are listed.
        text_score_floor: See `scoring.soft_floor`. It is chosen on held-out clips and not learned,
            because clips with a correct transcript need no floor.
        late_score_floor: The same of late interaction; photographs of other goods need it.
    """

    match: Tensor
    instances: Tensor
    text: Tensor
    cross: Tensor
    glance: Tensor
    late: Tensor
    text_score_floor: Tensor
    late_score_floor: Tensor

    def __init__(
        self,
        text: float = 0.5,
        match_temperature: float = 0.1,
        logit_scale: float = 20,
        terms: Iterable[str] = LEARNED_TERMS,
        text_score_floor: float = -1.0,
        late_score_floor: float = -1.0,
    ) -> None:
        super().__init__()
        self.register_buffer("text_score_floor", torch.tensor(text_score_floor), persistent=False)
        self.register_buffer("late_score_floor", torch.tensor(late_score_floor), persistent=False)
        terms = set(terms)
        for name in TERMS:
            if name in LEARNED_TERMS or name in terms:
                value = float(text) if name == "text" and name in terms else 0.0
                setattr(self, name, nn.Parameter(torch.tensor(value), requires_grad=name in terms))
        self.log_match_temperature = nn.Parameter(torch.tensor(log(match_temperature)))
        self.log_instance_temperature = nn.Parameter(torch.tensor(log(match_temperature)))
        self.log_logit_scale = nn.Parameter(torch.tensor(log(logit_scale)))

    def forward(self) -> ScoreWeights:
        """Return the current parameters within their valid ranges."""
        return ScoreWeights(
            match=_non_negative(self.match),
            text=_non_negative(self.text),
            cross=_non_negative(self.cross),
            match_temperature=self.log_match_temperature.exp().clamp(0.01, 10.0),
            logit_scale=self.log_logit_scale.exp().clamp(max=100.0),
            instances=_non_negative(self.instances),
            instance_temperature=self.log_instance_temperature.exp().clamp(0.01, 10.0),
            text_score_floor=self.text_score_floor,
            late_score_floor=self.late_score_floor,
            **{name: self._glance_weight(name) for name in GLANCE_TERMS},
        )

    def _glance_weight(self, name: str) -> Tensor:
        has_weight = hasattr(self, name)
        return _non_negative(getattr(self, name)) if has_weight else torch.zeros_like(self.text)


def _non_negative(weight: Tensor) -> Tensor:
    """max(weight, 0) with a gradient that does not vanish at 0, where most weights start."""
    return weight + (weight.clamp(min=0.0) - weight).detach()
