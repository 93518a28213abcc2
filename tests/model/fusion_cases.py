"""Inputs for the tests of the pairwise re-ranker."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sgmn.model.fusion import Fusion
from sgmn.model.tokens import ItemTokens

CLIPS, CLIP_TOKENS, PRODUCTS, VIEWS, PATCHES, WORDS, DIM = 4, 9, 6, 3, 5, 4, 24
ClipTokens = tuple[Tensor, Tensor]


def build_fusion(heads: int = 2, seed: int = 7) -> Fusion:
    """A re-ranker whose parameters all differ from their initial values."""
    torch.manual_seed(seed)
    fusion = Fusion(DIM, heads, latents=3)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return fusion


def draw_clips() -> ClipTokens:
    """Tokens and mask of clips; clip 3 is empty."""
    torch.manual_seed(0)
    lengths = torch.tensor([[CLIP_TOKENS], [4], [1], [0]])
    mask = torch.arange(CLIP_TOKENS) < lengths
    return torch.randn(CLIPS, CLIP_TOKENS, DIM) * mask.unsqueeze(-1), mask


def draw_products() -> ItemTokens:
    """Products with several views; 2 has only a title, 3 only an image, 4 is empty."""
    torch.manual_seed(1)
    image_mask = torch.arange(VIEWS) < torch.tensor([[3], [1], [0], [2], [0], [1]])
    patch_counts = torch.tensor([PATCHES, 3, PATCHES])[:, None]
    patch_mask = image_mask.unsqueeze(-1) & (torch.arange(PATCHES) < patch_counts)
    word_mask = torch.arange(WORDS) < torch.tensor([[WORDS], [2], [3], [0], [0], [WORDS]])
    images = normalize(torch.randn(PRODUCTS, VIEWS, DIM), dim=-1) * image_mask.unsqueeze(-1)
    patches = 2 * torch.randn(PRODUCTS, VIEWS, PATCHES, DIM) * patch_mask.unsqueeze(-1)
    words = torch.randn(PRODUCTS, WORDS, DIM) * word_mask.unsqueeze(-1)
    text = torch.randn(PRODUCTS, DIM) * word_mask.any(1, keepdim=True)
    positions = patches[..., :2]
    image_tokens = images, image_mask, patches, patch_mask, positions
    return ItemTokens(*image_tokens, words, word_mask, text, word_mask.any(1))


def score_pairs(fusion: Fusion, clips: ClipTokens, products: ItemTokens) -> Tensor:
    scores: Tensor = fusion(fusion.prepare_clips(*clips), fusion.encode_products(products))
    return scores


def assert_close(actual: Tensor, expected: Tensor) -> None:
    assert expected.std() > 1e-2  # constant scores would be close to anything
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)
