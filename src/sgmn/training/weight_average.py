"""The exponential moving average of a network's weights."""

from __future__ import annotations

from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sgmn.model.network import SGMN


class WeightAverage(AveragedModel):
    """Averages what training changes: the trainable parameters and all buffers.

    PyTorch's class also averages frozen towers with themselves, which took 7% of a step, and whole
    numbers, which changes the positions of words.

    Args:
        network: the network that is trained.
        decay: weight of the average in each update (0..1).
    """

    def __init__(self, network: SGMN, decay: float) -> None:
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        super().__init__(network, multi_avg_fn=average, use_buffers=True)

    @property
    def network(self) -> SGMN:
        """A network with the averaged weights."""
        return cast(SGMN, self.module)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Update the average with the weights after a step; the first update copies them."""
        pairs = list(zip(_changing(self.module), _changing(model), strict=True))
        floats = [pair for pair in pairs if pair[1].is_floating_point()]
        copied = [pair for pair in pairs if not pair[1].is_floating_point()]  # such as positions
        if int(self.n_averaged) == 0:
            floats, copied = [], pairs
        for average, current in copied:
            average.copy_(current)
        if floats:
            averages, currents = map(list, zip(*floats, strict=True))
            assert self.multi_avg_fn is not None
            self.multi_avg_fn(averages, currents, self.n_averaged)
        self.n_averaged += 1


def _changing(module: nn.Module) -> chain[Tensor]:
    """Return the tensors that training changes, in a fixed order."""
    trained = (parameter for parameter in module.parameters() if parameter.requires_grad)
    return chain(trained, module.buffers())
