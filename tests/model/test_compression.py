"""Quantized product tokens: their size, their error, and whether they preserve the ranking."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sgmn.model.compression import compress, decompress, from_bytes, to_bytes
from sgmn.model.fusion import Fusion

PRODUCTS, LATENTS, DIM = 6, 8, 512


def draw_tokens(seed: int = 0) -> Tensor:
    """Tokens of very different length, like patches and words."""
    torch.manual_seed(seed)
    return torch.randn(PRODUCTS, LATENTS, DIM) * torch.logspace(-1, 2, LATENTS)[:, None]


def test_the_error_is_at_most_half_a_quantization_step() -> None:
    tokens = draw_tokens()
    steps = tokens.abs().amax(-1, keepdim=True) / 127
    assert ((decompress(compress(tokens)) - tokens).abs() <= 0.501 * steps).all()


def test_a_cell_has_one_byte_per_number_and_two_per_token() -> None:
    (cell, *_) = to_bytes(compress(draw_tokens()))
    assert len(cell) == 8 * 512 + 2 * 8 <= 8 * 1024


def test_cells_preserve_the_quantized_tokens() -> None:
    before = compress(draw_tokens())
    after = from_bytes(to_bytes(before), LATENTS, DIM)
    assert after.values.dtype == torch.int8 and after.scales.dtype == torch.float16
    assert torch.equal(after.values, before.values) and torch.equal(after.scales, before.scales)


def test_one_cell_can_be_decoded_alone() -> None:
    cells = to_bytes(compress(draw_tokens()))
    single = decompress(from_bytes([cells[4]], LATENTS, DIM))
    expected = decompress(compress(draw_tokens()))[4]
    torch.testing.assert_close(single[0], expected, rtol=0, atol=0)


def test_no_cells_give_no_products() -> None:
    assert decompress(from_bytes([], LATENTS, DIM)).shape == (0, LATENTS, DIM)


def test_a_cell_of_another_size_is_refused() -> None:
    cells = to_bytes(compress(draw_tokens()))
    message = f"expected {LATENTS * (DIM + 3)} for {LATENTS} tokens of {DIM + 1}"
    with pytest.raises(ValueError, match=message):
        from_bytes(cells, LATENTS, DIM + 1)


def test_zeros_stay_zero_and_tiny_numbers_stay_small() -> None:
    tokens = draw_tokens()
    tokens[0], tokens[1, 2] = 0, 0
    tokens[2, 3] = 1e-30
    restored = decompress(compress(tokens))
    assert torch.equal(restored[0], torch.zeros(LATENTS, DIM))
    assert torch.equal(restored[1, 2], torch.zeros(DIM))
    assert restored.isfinite().all() and (restored[2, 3].abs() < 1e-4).all()


def test_well_separated_scores_keep_their_order() -> None:
    torch.manual_seed(3)
    fusion = Fusion(64).requires_grad_(False)
    torch.nn.init.normal_(fusion.output.weight)
    clips = fusion.prepare_clips(torch.randn(4, 30, 64), torch.ones(4, 30, dtype=torch.bool))
    latents = torch.randn(40, 8, 64)
    exact, approximate = fusion(clips, latents), fusion(clips, decompress(compress(latents)))
    gaps = exact[:, :, None] - exact[:, None]
    is_separated = gaps > 0.05 * exact.std()
    assert is_separated.float().mean() > 0.45  # at most half of the gaps are positive
    assert ((approximate[:, :, None] - approximate[:, None])[is_separated] > 0).all()
