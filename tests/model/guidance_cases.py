"""Inputs for the tests of text-guided attention."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sgmn.model.guidance import Guidance, GuidanceOutput
from sgmn.model.tokens import ItemTokens, grid_positions

CLIPS, FRAMES, PATCHES, WORDS, DIM = 4, 3, 6, 5, 32


def draw_tokens(seed: int = 0) -> ItemTokens:
    """Draw four clips.

    Clip 0 is complete; clip 1 lacks a frame, two patches and two words; clip 2 has no text; clip 3
    has no frames.
    """
    torch.manual_seed(seed)
    image_mask = torch.ones(CLIPS, FRAMES).bool()
    patch_mask = torch.ones(CLIPS, FRAMES, PATCHES).bool()
    word_mask = torch.ones(CLIPS, WORDS).bool()
    image_mask[1, 2], patch_mask[1, :, 4:], word_mask[1, 3:] = False, False, False
    word_mask[2], image_mask[3] = False, False
    patch_mask &= image_mask.unsqueeze(-1)
    images = normalize(torch.randn(CLIPS, FRAMES, DIM), dim=-1) * image_mask.unsqueeze(-1)
    patches = torch.randn(CLIPS, FRAMES, PATCHES, DIM) / DIM**0.5 * patch_mask.unsqueeze(-1)
    words = torch.randn(CLIPS, WORDS, DIM) * word_mask.unsqueeze(-1)
    text = normalize(words.sum(1), dim=-1)
    positions = grid_positions((2, PATCHES // 2)) * patch_mask.unsqueeze(-1)
    image_tokens = images, image_mask, patches, patch_mask, positions
    return ItemTokens(*image_tokens, words, word_mask, text, word_mask.any(1))


def build_guidance(seed: int = 5) -> Guidance:
    """A guidance with open gates whose parameters all differ from their initial values."""
    torch.manual_seed(seed)
    guidance = Guidance(DIM)
    with torch.no_grad():
        for parameter in guidance.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        guidance.gate.fill_(0.1)
        guidance.time_gain.fill_(0.5)
    return guidance


def assert_close(actual: GuidanceOutput, expected: GuidanceOutput) -> None:
    for tensor, expected_tensor in zip(actual, expected, strict=True):
        torch.testing.assert_close(tensor, expected_tensor, atol=2e-5, rtol=0)


def compute_loss(output: GuidanceOutput, seed: int = 9) -> Tensor:
    """Some loss of the boxes and of the outputs that are pooled into a clip vector."""
    torch.manual_seed(seed)
    target = torch.randn(DIM).to(output.frames)
    boxes = (output.boxes @ torch.randn(4).to(output.boxes)).sum()
    return ((output.frames @ target) * output.frame_weights).sum() + boxes
