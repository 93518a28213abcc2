"""Product tokens as bytes: how small, how near, and whether they still rank alike."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sgmn.model.compression import compress, decompress, from_bytes, to_bytes
from sgmn.model.fusion import Fusion

S, R, D = 6, 8, 512


def tokens(seed: int = 0) -> Tensor:
    """Tokens of very different size, as patches and words are."""
    torch.manual_seed(seed)
    return torch.randn(S, R, D) * torch.logspace(-1, 2, R)[:, None]


def test_a_number_is_off_by_half_a_step_of_its_token_at_most() -> None:
    found = tokens()
    steps = found.abs().amax(-1, keepdim=True) / 127
    assert ((decompress(compress(found)) - found).abs() <= 0.501 * steps).all()


def test_a_product_takes_a_byte_a_number_and_two_a_token() -> None:
    (cell, *_) = to_bytes(compress(tokens()))
    assert len(cell) == 8 * 512 + 2 * 8 <= 8 * 1024


def test_bytes_and_back_is_exact() -> None:
    there = compress(tokens())
    back = from_bytes(to_bytes(there), R, D)
    assert back.values.dtype == torch.int8 and back.scales.dtype == torch.float16
    assert torch.equal(back.values, there.values) and torch.equal(back.scales, there.scales)


def test_products_keep_their_rows() -> None:
    cells = to_bytes(compress(tokens()))
    alone = decompress(from_bytes([cells[4]], R, D))
    torch.testing.assert_close(alone[0], decompress(compress(tokens()))[4], rtol=0, atol=0)


def test_no_products_is_an_empty_shelf() -> None:
    assert decompress(from_bytes([], R, D)).shape == (0, R, D)


def test_a_cell_of_another_size_is_refused() -> None:
    cells = to_bytes(compress(tokens()))
    with pytest.raises(ValueError, match=f"expected {R * (D + 3)} for {R} tokens of {D + 1}"):
        from_bytes(cells, R, D + 1)


def test_zero_stays_zero_and_tiny_stays_near() -> None:
    found = tokens()
    found[0], found[1, 2] = 0, 0
    found[2, 3] = 1e-30
    back = decompress(compress(found))
    assert torch.equal(back[0], torch.zeros(R, D)) and torch.equal(back[1, 2], torch.zeros(D))
    assert back.isfinite().all() and (back[2, 3].abs() < 1e-4).all()


def test_restored_products_keep_the_order_of_well_separated_scores() -> None:
    torch.manual_seed(3)
    fusion = Fusion(64).requires_grad_(False)
    torch.nn.init.normal_(fusion.output.weight)
    clips = fusion.prepare_clips(torch.randn(4, 30, 64), torch.ones(4, 30, dtype=torch.bool))
    latents = torch.randn(40, 8, 64)
    exact, near = fusion(clips, latents), fusion(clips, decompress(compress(latents)))
    apart = exact[:, :, None] - exact[:, None]
    well = apart > 0.05 * exact.std()
    assert well.float().mean() > 0.45  # of the half that can be
    assert ((near[:, :, None] - near[:, None])[well] > 0).all()
