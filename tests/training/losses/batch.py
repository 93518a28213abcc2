"""A batch of random tokens with labels, and a tiny model with all parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sgmn.model.network import SGMN
from sgmn.model.parts import PARTS
from sgmn.model.scoring import TERMS
from sgmn.model.tokens import ItemTokens, grid_positions
from sgmn.training.config import LossConfig
from sgmn.training.data.batches import Batch
from sgmn.training.data.grounding_labels import GroundingLabels
from sgmn.training.losses.objective import BatchLoss, Objective
from sgmn.training.training_step import TrainingStep

B, T, N, L, S = 6, 3, 4, 5, 7
TARGETS = torch.tensor([[0, -1], [1, 2], [3, -1], [3, -1], [4, 0], [5, -1]])
CANDIDATES = torch.arange(S)
BOX_MASK = torch.rand(B, T, N, generator=torch.Generator().manual_seed(4)) > 0.6
BOX_MASK[2:4] = False  # these clips have no boxes
LEFT_TOP = 0.5 * torch.rand(B, T, 2, generator=torch.Generator().manual_seed(7))
LABELS = GroundingLabels(
    BOX_MASK,
    BOX_MASK.any(-1) & (torch.arange(T) > 0),  # clips 2 and 3 have no labels
    torch.cat([LEFT_TOP, LEFT_TOP + 0.4], -1) * BOX_MASK.any(-1, keepdim=True),
)


def full_network(model: Any) -> SGMN:
    """Return the network with all parts, and random values in their gates."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        parts = replace(model.network.config.parts, enabled=PARTS)
        network: SGMN = model.network.with_parts(parts, TERMS)
        network.towers.requires_grad_(False)
        with torch.no_grad():
            for parameter in network.parts.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def random_tokens(count: int, dim: int, seed: int) -> ItemTokens:
    rng = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        values: Tensor = torch.randn(*shape, dim, generator=rng) / dim**0.5
        return values

    image_mask = torch.ones(count, T, dtype=torch.bool)
    images = normalize(random(count, T), dim=-1)
    text = normalize(random(count), dim=-1)
    patch_mask = image_mask[..., None].expand(count, T, N)
    word_mask = torch.ones(count, L, dtype=torch.bool)
    patches, words = random(count, T, N), random(count, L)
    has_text = image_mask[:, 0]
    positions = grid_positions((2, N // 2)).expand(count, T, N, 2)
    image_tokens = images, image_mask, patches, patch_mask, positions
    glances = normalize(random(count, 2), dim=-1), random(count, 2, N)
    frames = torch.tensor([2, 0]).expand(count, 2)
    all_glances = *glances, frames, torch.ones_like(frames) > 0
    return ItemTokens(*image_tokens, words, word_mask, text, has_text, *all_glances)


def batch_of(dim: int, rows: Any = slice(None)) -> Batch:
    """Return some rows of the batch and the products that they sell."""
    targets = TARGETS[rows]
    own = sorted({int(n) for n in targets.flatten() if n >= 0} | {6})
    clips, products = random_tokens(B, dim, 1)[rows], random_tokens(S, dim, 2)[own]
    return Batch(clips, products, targets, CANDIDATES[own], labels=LABELS[rows])


def backward(network: SGMN, config: LossConfig) -> BatchLoss:
    """Make one backward pass on the batch."""
    step = TrainingStep(network, Objective(network.towers.dim, config, torch.arange(S)))
    result: BatchLoss = step(batch_of(network.towers.dim))
    torch.autograd.backward(result.loss)
    return result


def gradients(network: SGMN) -> dict[str, Tensor]:
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in network.named_parameters()
        if p.requires_grad
    }
