"""Rows of tokens are put together, whatever some of them lack."""

from __future__ import annotations

import torch

from sgmn.model.tokens import ImageTokens


def test_images_without_fine_patches_take_the_width_of_the_others() -> None:
    pooled, patches = torch.randn(1, 4), torch.randn(1, 2, 4)
    plain = ImageTokens(pooled, patches, patches[..., 0] != 0, torch.rand(1, 2, 2))
    fine = torch.randn(1, 3, 2)
    detailed = ImageTokens(pooled, patches, plain.patch_mask, plain.patch_positions, fine)
    assert plain.fine_patches.shape == (1, 0, 4)
    together = ImageTokens.cat([plain, detailed])
    assert torch.equal(together.fine_patches, torch.cat([torch.zeros(1, 3, 2), fine]))
