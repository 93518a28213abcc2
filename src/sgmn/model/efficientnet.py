"""EfficientNet-Lite as a picture tower: inverted residuals without normalisation layers.

Blocks and sizes are those of EfficientNet (Tan and Le 2019, arXiv 1905.11946), in the variant
for phones: ReLU6, no squeezing. Batch norms are folded into the convolutions (`folded`), so what
a picture looks like never depends on the statistics of a batch, in training as at inference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from types import SimpleNamespace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

MODEL_TYPE = "efficientnet_lite"
STEM, HEAD = 32, 1280
EARLY = 5  # blocks that make large maps of few channels
FEW = 2  # pictures whose large maps stay in a CPU's cache
EPSILON = 1e-3  # of the batch norms that were folded in
# kernel, stride, expansion, channels, repeats
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class Features(NamedTuple):
    """What the tower sees: (N, 1280, H/32, W/32)."""

    last_hidden_state: Tensor


@dataclass(frozen=True)
class BlockShape:
    """An inverted residual's shape."""

    kernel: int
    stride: int
    expansion: int
    entering: int
    leaving: int


class LiteTower(nn.Module):
    """Normalised pixels (N, 3, H, W) to features (N, 1280, H/32, W/32)."""

    def __init__(self, width: float = 1.0, depth: float = 1.0) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=HEAD)
        shapes = build_blocks(width, depth)
        self.stem = SameConv2d(3, STEM, 3, 2)
        self.blocks = nn.ModuleList(InvertedResidual(shape) for shape in shapes)
        self.head = SameConv2d(shapes[-1].leaving, HEAD, 1)
        for layer in self.modules():  # keeps the signal's size without norms (He et al. 2015)
            if isinstance(layer, SameConv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                layer.zero_bias()

    def freeze_blocks(self, count: int) -> None:
        """No gradient for the stem and the first `count` blocks, which take most of the time, nor
        for any block's look around: 6 % of the weights, a third of the rest of a step."""
        for part in (self.stem, *self.blocks[:count], *(block.depthwise for block in self.blocks)):
            part.requires_grad_(False)

    def forward(self, pixels: Tensor) -> Features:
        """See the class."""
        whole = self._early_learns or pixels.requires_grad or pixels.device.type != "cpu"
        some = (pixels,) if whole else torch.split(pixels, FEW)
        hidden = torch.cat([self._early(few) for few in some])
        for block in self.blocks[EARLY:]:
            hidden = block(hidden)
        return Features(relu6_inplace(self.head(hidden)))

    def _early(self, pixels: Tensor) -> Tensor:
        hidden = relu6_inplace(self.stem(pixels))
        for block in self.blocks[:EARLY]:
            hidden = block(hidden)
        return hidden

    @property
    def _early_learns(self) -> bool:
        """Whether what the early blocks make must be kept for a gradient."""
        parts = (self.stem, *self.blocks[:EARLY])
        return torch.is_grad_enabled() and any(
            weight.requires_grad for part in parts for weight in part.parameters()
        )


class InvertedResidual(nn.Module):
    """Widen, look around in each channel, narrow; with a short cut where the shape stays."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        inner = shape.entering * shape.expansion
        widens = shape.expansion > 1
        self.expand = SameConv2d(shape.entering, inner, 1) if widens else None
        self.depthwise = SameConv2d(inner, inner, shape.kernel, shape.stride, groups=inner)
        self.project = SameConv2d(inner, shape.leaving, 1)
        self.has_shortcut = shape.stride == 1 and shape.entering == shape.leaving

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H/stride, W/stride)."""
        wide = hidden if self.expand is None else relu6_inplace(self.expand(hidden))
        found: Tensor = self.project(relu6_inplace(self.depthwise(wide)))
        return found.add_(hidden) if self.has_shortcut else found


class SameConv2d(nn.Conv2d):
    """With a bias, and as much padding as `ceil(size / stride)` needs, the odd pixel at the end."""

    def __init__(
        self, entering: int, leaving: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(entering, leaving, kernel, stride, groups=groups)

    def zero_bias(self) -> None:
        """Start without an offset."""
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, pixels: Tensor) -> Tensor:
        """See `nn.Conv2d`."""
        sides = zip(pixels.shape[:-3:-1], self.kernel_size, self.stride, strict=True)
        room = [max((ceil(n / step) - 1) * step + side - n, 0) for n, side, step in sides]
        if any(some % 2 for some in room):
            pixels = functional.pad(pixels, [half for r in room for half in (r // 2, r - r // 2)])
            room = [0, 0]
        padding = [r // 2 for r in reversed(room)]
        return functional.conv2d(
            pixels, self.weight, self.bias, self.stride, padding, 1, self.groups
        )


def relu6_inplace(found: Tensor) -> Tensor:
    """ReLU6 of what a convolution found, in its place: no other map of that size is written."""
    return functional.relu6(found, inplace=True)


def build_blocks(width: float, depth: float) -> list[BlockShape]:
    """The blocks of a size; stem, head and the number of the outer stages' blocks never scale."""
    found, entering = [], STEM
    for place, (kernel, stride, expansion, channels, repeats) in enumerate(STAGES):
        outer = place in (0, len(STAGES) - 1)
        leaving = _rounded(channels * width)
        for again in range(repeats if outer else ceil(repeats * depth)):
            found.append(BlockShape(kernel, 1 if again else stride, expansion, entering, leaving))
            entering = leaving
    return found


def _rounded(channels: float, unit: int = 8) -> int:
    """To a multiple of 8, never down by more than a tenth."""
    near = max(unit, int(channels + unit / 2) // unit * unit)
    return near + unit if near < 0.9 * channels else near


# The names of the public checkpoints: a convolution's here, and the norm that stands behind it.
PUBLIC = {
    "_conv_stem": ("stem", "_bn0"),
    "_conv_head": ("head", "_bn1"),
    "_expand_conv": ("expand", "_bn0"),
    "_depthwise_conv": ("depthwise", "_bn1"),
    "_project_conv": ("project", "_bn2"),
}


def fold_batch_norms(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a `LiteTower` from those of the public PyTorch checkpoints, classifier left out.

    stored: names like `_blocks.3._expand_conv.weight` and `_blocks.3._bn0.running_var`.
    """
    found = {}
    for key, weight in stored.items():
        prefix, _, layer = key.removesuffix(".weight").rpartition(".")
        if layer not in PUBLIC:
            continue
        place = f"{prefix}." if prefix else ""
        own, norm = (place + name for name in PUBLIC[layer])
        own = own.removeprefix("_")
        gain = stored[f"{norm}.weight"] / (stored[f"{norm}.running_var"] + EPSILON).sqrt()
        found[f"{own}.weight"] = weight * gain[:, None, None, None]
        found[f"{own}.bias"] = stored[f"{norm}.bias"] - stored[f"{norm}.running_mean"] * gain
    return found
