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


@pytest.mark.parametrize("patches", [9, 40])  # the latter are too many to keep all pairs
@pytest.mark.parametrize(
    ("clips", "products"),
    [
        ((4, 2), (3, 7)),
        ((3, 4, 2), (3, 3, 7)),
        ((4, 2), (3, 3, 7)),
        ((1, 4, 2), (3, 3, 7)),
        ((3, 1, 2), (3, 5, 7)),
        ((0, 2), (3, 7)),
        ((4, 0), (3, 7)),
        ((4, 2), (0, 7)),
        ((0, 4, 2), (0, 3, 7)),
    ],
)
def test_the_best_cosines_and_their_gradients_are_those_of_all_pairs(
    clips: tuple[int, ...], products: tuple[int, ...], patches: int
) -> None:
    sides = build_patches(*clips, patches, 5, seed=0), build_patches(*products, 5, seed=1)
    expected = torch.einsum("...bkmw,...spw->...bkspm", *sides).amax(-1)
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))

    found = find_best_cosines(*sides)

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), sides),
        torch.autograd.grad((expected * weights).sum(), sides),
    )
    with torch.no_grad():
        torch.testing.assert_close(find_best_cosines(*sides), expected)


def test_gradients_of_many_patches_need_less_memory_than_all_pairs() -> None:
    glances = build_patches(4, 2, 40, 5, seed=0)
    products = build_patches(9, 13, 5, seed=1)
    sizes: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        find_best_cosines(glances, products)
    assert max(sizes) == 4 * 2 * 9 * 13 * 5 < 4 * 2 * 9 * 13 * 40  # all pairs


@pytest.mark.parametrize("grad", [False, True])
def test_the_number_of_clips_stays_free_in_an_export(grad: bool) -> None:
    class Late(torch.nn.Module):
        def forward(self, glances: Tensor, products: Tensor) -> Tensor:
            return find_best_cosines(glances, products)

    with torch.set_grad_enabled(grad):
        sides = build_patches(3, 2, 40, 5, seed=0), build_patches(3, 7, 5, seed=1)
        shapes = {"glances": {0: torch.export.Dim("clips", min=2, max=64)}, "products": None}
        program = torch.export.export(Late(), sides, dynamic_shapes=shapes)
        more = build_patches(9, 2, 40, 5, seed=2)
        torch.testing.assert_close(
            program.module()(more, sides[1]), find_best_cosines(more, sides[1])
        )
