"""Clip and product vectors for the tests of the score."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from sgmn.model.scoring import ClipVectors, ProductVectors

CLIPS, FRAMES, PATCHES, PRODUCTS, DIM = 5, 4, 3, 6, 8


def draw_clips(seed: int = 0) -> ClipVectors:
    """Draw clips; 1 has only two frames, 2 and 4 have no text."""
    torch.manual_seed(seed)
    frame_weights = torch.rand(CLIPS, FRAMES)
    frame_weights[1, 2:] = 0  # padding
    frame_weights = frame_weights / frame_weights.sum(1, keepdim=True)
    frame_mask = (frame_weights > 0).unsqueeze(-1)
    frames = normalize(torch.randn(CLIPS, FRAMES, DIM), dim=-1) * frame_mask
    image, text = normalize(torch.randn(2, CLIPS, DIM), dim=-1)
    patches = normalize(torch.randn(CLIPS, FRAMES * PATCHES, DIM), dim=-1)
    patch_weights = torch.rand(CLIPS, FRAMES, PATCHES)
    patch_weights = patch_weights / patch_weights.sum(-1, keepdim=True)
    patch_weights = (patch_weights * frame_weights.unsqueeze(-1)).flatten(1)
    return ClipVectors(
        frames=frames,
        frame_weights=frame_weights,
        image=image,
        has_image=torch.ones(CLIPS, dtype=torch.bool),
        text=text,
        has_text=torch.tensor([True, True, False, True, False]),
        instances=patches * (patch_weights > 0).unsqueeze(-1),
        instance_weights=patch_weights,
    )


def draw_products(seed: int = 1) -> ProductVectors:
    """Draw products; 3 has no image, 1 has no title."""
    torch.manual_seed(seed)
    image, text = normalize(torch.randn(2, PRODUCTS, DIM), dim=-1)
    has_image = torch.tensor([True, True, True, False, True, True])
    has_text = torch.tensor([True, False, True, True, True, True])
    return ProductVectors(image, has_image, text, has_text)
