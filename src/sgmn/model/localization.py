"""Localization: which patches, frames and boxes show the product that a transcript is about.

Matches of words and patches alone do not find a product that the words hardly describe. The
localizer adds what is learned from labeled boxes: what a presented product looks like, where it
usually is, and how the transcript as a whole changes that. Untrained, it adds exactly zero.

Axes: B clips, T frames, N patches, D dimensions, H hidden dimensions.
"""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.tokens import ItemTokens

HIDDEN = 128
FREQUENCIES = (1, 2)  # of the sines and cosines of a position, in half periods per canvas side
POSITION_FEATURES = 2 + 4 * len(FREQUENCIES)
BOX_FEATURES = 6  # moments and concentration of the attention
SPREAD_TO_SIDE = 3.0  # a uniform distribution has a standard deviation of 0.29 sides
MATCH_SCALE = 10.0  # products of two unit vectors are small next to the vectors themselves


class Localizer(nn.Module):
    """Scores patches and frames, and predicts boxes, from tokens of `dim` dimensions."""

    def __init__(self, dim: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.patch, self.frame = nn.Linear(dim, hidden), nn.Linear(dim, hidden)
        self.position = nn.Linear(POSITION_FEATURES, hidden)
        self.modulation = nn.Linear(dim, 2 * hidden)
        self.patch_score = nn.Sequential(nn.LayerNorm(hidden), nn.GELU(), *_mlp(hidden, hidden, 1))
        self.content, self.text = nn.Linear(dim, hidden), nn.Linear(dim, hidden)
        self.frame_score = nn.Sequential(*_mlp(3 * hidden + 2, hidden, 1))
        self.box = nn.Sequential(*_mlp(2 * hidden + BOX_FEATURES, hidden, 4))
        for head in (self.patch_score, self.frame_score, self.box):
            _zero(head[-1])

    def score_patches(self, tokens: ItemTokens, text: Tensor) -> Tensor:
        """What to add to the saliency of the patches: (B, T, N).

        The transcript, `text` (B, D), modulates the features of patch, position and frame (FiLM,
        Perez et al. 2018); without one (a zero vector), the bias of the modulation remains.
        """
        hidden = self.patch(tokens.patches) + self.position(
            encode_positions(tokens.patch_positions)
        )
        hidden = hidden + self.frame(tokens.images).unsqueeze(2)
        scale, shift = self.modulation(text)[:, None, None].chunk(2, dim=-1)
        scores: Tensor = self.patch_score(hidden * (1 + scale) + shift)
        return scores.squeeze(-1)

    def score_frames(self, tokens: ItemTokens, attended: Tensor, strength: Tensor) -> Tensor:
        """What to add to the logits of the frame weights: (B, T).

        Args:
            tokens: The clips.
            attended: (B, T, D) the attended content of each frame.
            strength: (B, T) how salient the patches of each frame are.
        """
        content = functional.normalize(self.content(attended), dim=-1)
        text = functional.normalize(self.text(tokens.text), dim=-1)
        match = content * (text * tokens.has_text.unsqueeze(-1)).unsqueeze(1)
        scalars = torch.stack([strength, match.sum(-1)], -1)
        features = [content, MATCH_SCALE * match, self.frame(tokens.images), scalars]
        scores: Tensor = self.frame_score(torch.cat(features, -1))
        return scores.squeeze(-1)

    def predict_boxes(self, tokens: ItemTokens, weights: Tensor, attended: Tensor) -> Tensor:
        """The product's box in each frame: (B, T, 4), see `GuidanceOutput.boxes`.

        Center and sides follow from mean and spread of the attention; the rest is learned.

        Args:
            tokens: The clips.
            weights: (B, T, N) attention over patches.
            attended: (B, T, D) the attended content of each frame.
        """
        mean = torch.einsum("btn,btnc->btc", weights, tokens.patch_positions)
        square = torch.einsum("btn,btnc->btc", weights, tokens.patch_positions.square())
        spread = (square - mean.square()).clamp(min=1e-4).sqrt()
        peak = weights.square().sum(-1, keepdim=True).clamp(min=1e-4)
        content = functional.normalize(self.content(attended), dim=-1)
        features = [content, self.frame(tokens.images), mean, spread, peak, peak.log()]
        shift, growth = self.box(torch.cat(features, -1)).chunk(2, dim=-1)
        center = mean + 0.2 * shift
        half = SPREAD_TO_SIDE / 2 * spread * growth.clamp(-2, 2).exp()
        boxes = torch.cat([center - half, center + half], -1)
        return boxes * tokens.image_mask.unsqueeze(-1)


def encode_positions(positions: Tensor) -> Tensor:
    """Features (..., 10) of positions (..., 2): themselves, and their sines and cosines."""
    angles = [pi * k * positions for k in FREQUENCIES]
    waves = [wave for angle in angles for wave in (angle.sin(), angle.cos())]
    return torch.cat([positions, *waves], -1)


def _mlp(inputs: int, hidden: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs)]


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
