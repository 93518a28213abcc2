"""Builds modules whose weights are loaded right afterwards, without the random numbers between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_RANDOM = {
    nn.init.kaiming_normal_,
    nn.init.kaiming_uniform_,
    nn.init.normal_,
    nn.init.trunc_normal_,
    nn.init.uniform_,
    nn.init.xavier_normal_,
    nn.init.xavier_uniform_,
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
}


class SkipInitialization(TorchFunctionMode):
    """A context in which PyTorch leaves weights as they are instead of drawing them.

    The values of such weights are arbitrary. Constants keep their values.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call `function` unless it would only draw the weights of a tensor."""
        keywords = kwargs or {}
        if function in _RANDOM:
            return args[0] if args else keywords["tensor"]
        return function(*args, **keywords)
