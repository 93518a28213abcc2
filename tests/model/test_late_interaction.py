"""Tests for `sgmn.model.late_interaction`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sgmn.model.late_interaction import find_best_cosines


def build_patches(*sizes: int, seed: int) -> Tensor:
    patches = torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))
    return functional.normalize(patches, dim=-1).requires_grad_()


@pytest.mark.parametrize("groups", [(), (3,)])
def test_the_best_cosines_and_their_gradients_are_those_of_all_pairs(
    groups: tuple[int, ...],
) -> None:
    glances = build_patches(*groups, 4, 2, 9, 5, seed=0)
    products = build_patches(*groups, 3, 7, 5, seed=1)
    expected = torch.einsum("...bkmw,...spw->...bkspm", glances, products).amax(-1)
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))

    found = find_best_cosines(glances, products)

    torch.testing.assert_close(found, expected)
    sides = (glances, products)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), sides),
        torch.autograd.grad((expected * weights).sum(), sides),
    )
    with torch.no_grad():
        torch.testing.assert_close(find_best_cosines(glances, products), expected)
