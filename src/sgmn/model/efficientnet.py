"""EfficientNet-Lite as an image tower: inverted residuals without normalization layers.

Blocks and sizes follow EfficientNet (Tan and Le 2019, arXiv 1905.11946) in its mobile variant, with
ReLU6 and without squeeze-and-excitation. Batch norms are folded into the convolutions (see
`fold_batch_norms`), so features never depend on batch statistics, neither in training nor at
inference.
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
STEM, HEAD = 32, 1280  # channels
EARLY_BLOCKS = 5  # blocks with large feature maps of few channels
CHUNK_PIXELS = 2 * 320 * 176  # of images whose large feature maps fit into the cache of a CPU
BATCH_NORM_EPSILON = 1e-3  # of the folded batch norms
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
    """The output of the tower.

    Attributes:
        last_hidden_state: (N, 1280, H/32, W/32).
        fine: (N, C, H/16, W/16) what the blocks of the coarsest resolution start from.
    """

    last_hidden_state: Tensor
    fine: Tensor


@dataclass(frozen=True)
class BlockShape:
    """The shape of an inverted residual block."""

    kernel: int
    stride: int
    expansion: int
    in_channels: int
    out_channels: int


class LiteTower(nn.Module):
    """Maps normalized pixels (N, 3, H, W) to features of two resolutions.

    Args:
        width: Factor on the number of channels.
        depth: Factor on the number of blocks.
        detail: Whether to add a shortcut around the blocks of the coarsest resolution. It shows the
            head shapes of a few pixels, such as an emblem on a label. Untrained, it adds zero.
    """

    def __init__(self, width: float = 1.0, depth: float = 1.0, detail: bool = False) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=HEAD)
        shapes = build_block_shapes(width, depth)
        self.last_reduction = max(i for i, shape in enumerate(shapes) if shape.stride == 2)
        self.stem = SameConv2d(3, STEM, 3, 2)
        self.blocks = nn.ModuleList(InvertedResidual(shape) for shape in shapes)
        self.head = SameConv2d(shapes[-1].out_channels, HEAD, 1)
        for layer in self.modules():  # keeps the variance without norms (He et al. 2015)
            if isinstance(layer, SameConv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                layer.zero_bias()
        self.fine_channels = shapes[self.last_reduction].in_channels
        channels = self.fine_channels, shapes[-1].out_channels
        self.detail = SameConv2d(*channels, 3, 2) if detail else None
        if self.detail is not None:
            nn.init.zeros_(self.detail.weight)
            self.detail.zero_bias()

    def freeze_blocks(self, count: int) -> None:
        """Freeze the stem, the first `count` blocks and the depthwise convolutions of all blocks.

        Depthwise convolutions hold 6% of the weights, but take a third of the time of the other
        blocks.
        """
        depthwise = (block.depthwise for block in self.blocks)
        for part in (self.stem, *self.blocks[:count], *depthwise):
            part.requires_grad_(False)

    def forward(self, pixels: Tensor) -> Features:
        """Compute the features of images."""
        hidden = fine = self.encode_fine(pixels)
        for block in self.blocks[self.last_reduction :]:
            hidden = block(hidden)
        if self.detail is not None:
            hidden = hidden + self.detail(fine)
        return Features(relu6_inplace(self.head(hidden)), fine)

    def encode_fine(self, pixels: Tensor) -> Tensor:
        """Compute the finer features (N, C, H/16, W/16) alone."""
        chunks = (pixels,) if self._needs_all(pixels) else self._split(pixels)
        hidden = torch.cat([self._forward_early(chunk) for chunk in chunks])
        for block in self.blocks[EARLY_BLOCKS : self.last_reduction]:
            hidden = block(hidden)
        return hidden

    def _split(self, pixels: Tensor) -> tuple[Tensor, ...]:
        height, width = pixels.shape[-2:]
        return torch.split(pixels, max(1, CHUNK_PIXELS // (height * width)))

    def _needs_all(self, pixels: Tensor) -> bool:
        """Whether all images must be computed at once."""
        # An export must not depend on the size of a batch.
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return True
        return self._has_early_gradient or pixels.requires_grad or pixels.device.type != "cpu"

    def _forward_early(self, pixels: Tensor) -> Tensor:
        hidden = relu6_inplace(self.stem(pixels))
        for block in self.blocks[:EARLY_BLOCKS]:
            hidden = block(hidden)
        return hidden

    @property
    def _has_early_gradient(self) -> bool:
        """Whether the feature maps of the early blocks are needed for a gradient."""
        parts = (self.stem, *self.blocks[:EARLY_BLOCKS])
        return torch.is_grad_enabled() and any(
            weight.requires_grad for part in parts for weight in part.parameters()
        )


class InvertedResidual(nn.Module):
    """Expands the channels, convolves each and projects them, with a shortcut for equal shapes."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        inner = shape.in_channels * shape.expansion
        expands = shape.expansion > 1
        self.expand = SameConv2d(shape.in_channels, inner, 1) if expands else None
        self.depthwise = SameConv2d(inner, inner, shape.kernel, shape.stride, groups=inner)
        self.project = SameConv2d(inner, shape.out_channels, 1)
        self.has_shortcut = shape.stride == 1 and shape.in_channels == shape.out_channels

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H/stride, W/stride)."""
        expanded = hidden if self.expand is None else relu6_inplace(self.expand(hidden))
        output: Tensor = self.project(relu6_inplace(self.depthwise(expanded)))
        return output.add_(hidden) if self.has_shortcut else output


class SameConv2d(nn.Conv2d):
    """A convolution with "same" padding: output size ceil(size / stride), odd pixel last."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, groups=groups)

    def zero_bias(self) -> None:
        """Set the bias to zero."""
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, pixels: Tensor) -> Tensor:
        """See `nn.Conv2d`."""
        sizes = zip(pixels.shape[:-3:-1], self.kernel_size, self.stride, strict=True)
        missing = [max((ceil(n / stride) - 1) * stride + side - n, 0) for n, side, stride in sizes]
        if any(count % 2 for count in missing):
            pads = [pad for count in missing for pad in (count // 2, count - count // 2)]
            pixels = functional.pad(pixels, pads)
            missing = [0, 0]
        padding = [count // 2 for count in reversed(missing)]
        return functional.conv2d(
            pixels, self.weight, self.bias, self.stride, padding, 1, self.groups
        )


def relu6_inplace(features: Tensor) -> Tensor:
    """Apply ReLU6 in place, to avoid another feature map of this size."""
    return functional.relu6(features, inplace=True)


def build_block_shapes(width: float, depth: float) -> list[BlockShape]:
    """The blocks of a model size. Stem, head and the depth of the outer stages do not scale."""
    shapes, in_channels = [], STEM
    for stage, (kernel, stride, expansion, channels, repeats) in enumerate(STAGES):
        is_outer = stage in (0, len(STAGES) - 1)
        out_channels = _round_channels(channels * width)
        for repeat in range(repeats if is_outer else ceil(repeats * depth)):
            block_stride = 1 if repeat else stride
            shapes.append(BlockShape(kernel, block_stride, expansion, in_channels, out_channels))
            in_channels = out_channels
    return shapes


def _round_channels(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of 8, but never down by more than 10%."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest


# Names in the public checkpoints: a convolution with its name here, and the norm that follows it.
PUBLIC_NAMES = {
    "_conv_stem": ("stem", "_bn0"),
    "_conv_head": ("head", "_bn1"),
    "_expand_conv": ("expand", "_bn0"),
    "_depthwise_conv": ("depthwise", "_bn1"),
    "_project_conv": ("project", "_bn2"),
}


def fold_batch_norms(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the public PyTorch checkpoints into weights of a `LiteTower`, without classifier.

    Args:
        stored: Tensors by names such as `_blocks.3._expand_conv.weight` and
            `_blocks.3._bn0.running_var`.
    """
    weights = {}
    for key, weight in stored.items():
        prefix, _, layer = key.removesuffix(".weight").rpartition(".")
        if layer not in PUBLIC_NAMES:
            continue
        parent = f"{prefix}." if prefix else ""
        name, norm = (parent + part for part in PUBLIC_NAMES[layer])
        name = name.removeprefix("_")
        variance = stored[f"{norm}.running_var"] + BATCH_NORM_EPSILON
        gain = stored[f"{norm}.weight"] / variance.sqrt()
        weights[f"{name}.weight"] = weight * gain[:, None, None, None]
        weights[f"{name}.bias"] = stored[f"{norm}.bias"] - stored[f"{norm}.running_mean"] * gain
    return weights
