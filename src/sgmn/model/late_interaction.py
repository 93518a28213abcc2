"""Late interaction: the fine patches of second glances against those of shop images, one by one.

As in ColBERT and FILIP: twins differ in a cap or an emblem, which is a patch or two. `late_score`
in `sgmn.model.scoring` makes a score of it.

Axes: B clips, K glances per clip, M patches per glance, S products, P patches per product, D
dimensions, C dimensions of fine patches, W dimensions of compared patches.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from sgmn.model.compression import SCALE_BYTES
from sgmn.model.guidance import masked_softmax, soft_normalize, zero_linear

PRODUCT_BYTES = 8192  # of the patches of a product in an index: W bytes and a scale each
WIDTH = 128  # 63 patches fit
FINE_WIDTH = 60  # 132 patches fit


class Glance(nn.Module):
    """What late interaction compares: projected patches, and the weights of product patches.

    Args:
        dim: The number D of dimensions.
        fine_dim: The number C of dimensions of fine patches, see `ImageEncoding`; `dim` if None.
        width: The number W of dimensions of compared patches; by default as many as leave room for
            enough patches.
    """

    def __init__(self, dim: int, fine_dim: int | None = None, width: int | None = None) -> None:
        super().__init__()
        fine_dim = fine_dim or dim
        width = min(width or (WIDTH if fine_dim == dim else FINE_WIDTH), fine_dim)
        self.max_patches = PRODUCT_BYTES // (width + SCALE_BYTES)
        self.projection = nn.Linear(fine_dim, width)
        nn.init.orthogonal_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)  # learns what all patches have in common
        self.importance = zero_linear(fine_dim, 1)
        self.reliability = nn.Linear(dim, 1)
        nn.init.zeros_(self.reliability.weight)
        nn.init.zeros_(self.reliability.bias)

    def project_glances(self, patches: Tensor) -> Tensor:
        """Directions (B, K, M, W) of the patches (B, K, M, C) of glances; zero at padding."""
        if not patches.numel():
            return patches.new_zeros(*patches.shape[:-1], self.projection.out_features)
        present = (patches != 0).any(-1, keepdim=True)
        return soft_normalize(self.projection(soft_normalize(patches))) * present

    def project_products(self, patches: Tensor) -> Tensor:
        """Directions (S, P, W) of the most important patches of products, times their weights.

        The weights of the P patches of a product sum to 1; padding is zero, and at the end.

        Args:
            patches: (S, F, C) the fine patches of products; zero at padding.
        """
        if not patches.numel():
            return patches.new_zeros(len(patches), 0, self.projection.out_features)
        mask = (patches != 0).any(-1)
        logits = self.importance(patches).squeeze(-1).masked_fill(~mask, -torch.inf)
        if patches.shape[1] > self.max_patches:
            best = logits.topk(self.max_patches, dim=1).indices
            logits, mask = logits.gather(1, best), mask.gather(1, best)
            patches = patches.gather(1, best.unsqueeze(-1).expand(-1, -1, patches.shape[-1]))
        weights = masked_softmax(logits, mask)
        return soft_normalize(self.projection(soft_normalize(patches))) * weights.unsqueeze(-1)

    def compute_reliability(self, glances: Tensor, weights: Tensor) -> Tensor:
        """How much late interaction counts for each clip: (B,), 0..2, untrained 1.

        Print and shapes part twins; a heap of fruit has no patch of its own.

        Args:
            glances: (B, K, D) one vector per glance.
            weights: (B, K) their weights.
        """
        pooled = (glances * weights.unsqueeze(-1)).sum(1)
        reliability: Tensor = 2 * torch.sigmoid(self.reliability(pooled)).squeeze(-1)
        return reliability


def find_best_cosines(glances: Tensor, products: Tensor) -> Tensor:
    """The largest cosine of each product patch with a patch of each glance: (..., B, K, S, P).

    The cosines of all pairs of patches would take gigabytes. They are computed for one glance at a
    time, so that they fit into the cache of a CPU; gradients flow through the best pairs, computed
    once more.

    Args:
        glances: (..., B, K, M, W).
        products: (..., S, P, W).
    """
    learns = torch.is_grad_enabled() and (glances.requires_grad or products.requires_grad)
    has_few = glances.shape[-2] <= 2 * glances.shape[-1]  # the best pairs are as large as all
    is_empty = not (glances.numel() and products.numel())
    if is_empty or (learns and has_few) or torch.compiler.is_compiling():
        return torch.einsum("...bkmw,...spw->...bkspm", glances, products).amax(-1)
    if not learns:
        return _reduce_cosines(glances, products, torch.amax)
    with torch.no_grad():
        best = _reduce_cosines(glances, products, torch.argmax)
    glances = glances.expand(*best.shape[:-4], *glances.shape[-4:])
    index = best.flatten(-2).unsqueeze(-1).expand(*best.shape[:-2], -1, glances.shape[-1])
    found = glances.gather(-2, index).view(*best.shape, -1)
    cosines: Tensor = (found * products[..., None, None, :, :, :]).sum(-1)
    return cosines


def _reduce_cosines(
    glances: Tensor, products: Tensor, reduce: Callable[[Tensor, int], Tensor]
) -> Tensor:
    """Reduce the cosines of each product patch with the patches of each glance: (..., B, K, S, P).

    The arguments are those of `find_best_cosines`; none is empty.
    """
    groups = np.broadcast_shapes(glances.shape[:-4], products.shape[:-3])
    sizes = (*groups, *glances.shape[-4:-2], *products.shape[-3:-1])
    glances = glances.expand(*groups, *glances.shape[-4:]).flatten(-4, -3)
    products = products.expand(*groups, *products.shape[-3:]).flatten(-3, -2)
    rows = [
        reduce(group_products @ glance.mT, -1)
        for group_glances, group_products in zip(
            glances.reshape(-1, *glances.shape[-3:]),
            products.reshape(-1, *products.shape[-2:]),
            strict=True,
        )
        for glance in group_glances
    ]
    return torch.stack(rows).view(sizes)
