"""Distance-weighted triplets: which negatives are drawn, gradients, and the memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sgmn.errors import SettingsError
from sgmn.training.losses.triplets import MaskedVectors, TripletLoss

D = 16


def shelf(count: int, width: int = D, seed: int = 0) -> Tensor:
    """Similar vectors, so that all are within the maximum distance of each other."""
    generator = torch.Generator().manual_seed(seed)
    own = normalize(torch.randn(count, width, generator=generator), dim=1)
    return normalize(torch.ones(width) / width**0.5 + own, dim=1)


def every(rows: Tensor) -> MaskedVectors:
    return MaskedVectors(rows, torch.ones(len(rows), dtype=torch.bool))


def drawn(
    clips: Tensor, products: Tensor, positive: Tensor, classes: Tensor, draws: int = 30
) -> Tensor:
    """Count how often each product (S,) was pushed away from the clips.

    A margin above all cosines makes every drawn triplet count.
    """
    triplets, found = TripletLoss(products.shape[1], margin=3.0), torch.zeros(len(products))
    for seed in range(draws):
        torch.manual_seed(seed)
        rows = products.clone().requires_grad_()
        triplets(every(clips), every(rows), positive, classes).loss.backward()
        assert rows.grad is not None
        found += (rows.grad * clips.mean(0)).sum(1) > 0
    return found


def test_loss_is_the_mean_over_clips_of_the_formula() -> None:
    """With one possible negative each, nothing is random; clip 0 has no loss."""
    products = shelf(2)
    clips = normalize(products[[0, 0]] + torch.tensor([[0.0], [0.3]]) * products[1], dim=1)
    positive = torch.eye(2, dtype=torch.bool)
    cosines = clips @ products.T
    gaps = cosines[[0, 1], [1, 0]] - cosines.diagonal() + 0.2
    found = TripletLoss(D)(every(clips), every(products), positive, torch.arange(2))
    assert gaps[0] < 0 < gaps[1] and found.skipped == 0
    torch.testing.assert_close(found.loss, gaps[1] / 2)


def test_near_duplicates_and_other_positives_are_never_drawn() -> None:
    """Both clips sell product 0; product 2 is its duplicate; clip 0 sells product 1 as well."""
    products = shelf(5)
    clips = normalize(products[[0, 0]] + 0.1 * products[[1, 2]], dim=1)
    positive = torch.zeros(2, 5, dtype=torch.bool)
    positive[:, 0] = positive[0, 1] = True
    counts = drawn(clips[:1], products, positive[:1], torch.tensor([0, 1, 0, 3, 4]))
    assert (counts[:3] == 0).all() and (counts[3:] > 0).all()
    counts = drawn(clips[1:], products, positive[1:], torch.tensor([0, 1, 0, 3, 4]))
    assert counts[1] > 0 and counts[0] == counts[2] == 0


def test_two_clips_of_one_product_are_both_pulled_to_it() -> None:
    products = shelf(3)
    clips = shelf(2, seed=1)
    positive = torch.tensor([[1, 0, 0], [1, 0, 0]]).bool()
    rows = clips.clone().requires_grad_()
    TripletLoss(D, margin=3.0)(
        every(rows), every(products), positive, torch.arange(3)
    ).loss.backward()
    assert rows.grad is not None
    assert ((rows.grad * products[0]).sum(1) < 0).all()


@pytest.mark.parametrize("width", [64, 512, 1152, 4096])
def test_a_close_pair_does_not_suppress_the_others(width: int) -> None:
    """Nor does a distant one: every clip has a triplet and a gradient, in any dimension."""
    products = shelf(32, width)
    products[16] = normalize(products[0] + 0.05 * products[2], dim=0)
    products[17] = -products[1]
    clips = normalize(products[:16] + 0.02 * shelf(16, width, seed=1), dim=1).requires_grad_()
    positive = torch.eye(16, 32, dtype=torch.bool)
    found = TripletLoss(width, margin=3.0)(
        every(clips), every(products), positive, torch.arange(32)
    )
    found.loss.backward()
    assert found.skipped == 0 and clips.grad is not None
    assert (clips.grad.norm(dim=1) > 1e-3).all()


def test_a_row_without_a_negative_is_counted_and_has_no_influence() -> None:
    """Clip 0 sells all but product 3, which lies on the other side of the sphere."""
    products = shelf(3)
    products = torch.cat([products, -products[:1]])
    clips = products[[0, 2]] + 0.1 * products[1]
    positive = torch.tensor([[1, 1, 1, 0], [0, 1, 0, 0]]).bool()
    classes = torch.tensor([0, 1, 2, 3])
    torch.manual_seed(0)
    both = TripletLoss(D)(every(clips), every(products), positive, classes)
    alone = TripletLoss(D)(every(clips[1:]), every(products), positive[1:], classes)
    assert both.skipped == 1 and alone.loss > 0
    torch.testing.assert_close(both.loss, alone.loss)


def test_the_loss_without_triplets_is_zero_and_differentiable() -> None:
    clips, products = shelf(2).requires_grad_(), shelf(2).requires_grad_()
    classes = torch.zeros(2, dtype=torch.long)
    none = torch.zeros(2, dtype=torch.bool)
    cases = [
        (every(products), torch.eye(2, dtype=torch.bool), classes),
        (every(products), torch.zeros(2, 2, dtype=torch.bool), torch.arange(2)),
        (MaskedVectors(products, none), torch.eye(2, dtype=torch.bool), torch.arange(2)),
        (every(-products), torch.eye(2, dtype=torch.bool), classes),
    ]
    for listed, positive, of_classes in cases:
        found = TripletLoss(D)(every(clips), listed, positive, of_classes)
        found.loss.backward()
        assert found.loss == 0 and found.skipped == 2
    assert clips.grad is not None and products.grad is not None
    assert not clips.grad.any() and not products.grad.any()


def test_missing_vectors_are_in_no_triplet() -> None:
    """A clip without frames and products without images change neither loss nor gradient."""
    clips, products = shelf(3, seed=1), shelf(4)
    clips[1], products[2:] = 0, 0
    seen, shown = torch.tensor([1, 0, 1]).bool(), torch.tensor([1, 1, 0, 0]).bool()
    positive = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0]]).bool()
    gaps = (clips[[0, 2]] * (products[[1, 0]] - products[[0, 1]])).sum(1)
    triplets, rows, listed = TripletLoss(D, margin=3.0), clips.clone(), products.clone()
    for tensor in (rows, listed):
        tensor.requires_grad_()
    for seed in range(10):
        torch.manual_seed(seed)
        found = triplets(
            MaskedVectors(rows, seen), MaskedVectors(listed, shown), positive, torch.arange(4)
        )
        torch.testing.assert_close(found.loss, (3 + gaps).mean())
        found.loss.backward()
    assert found.skipped == 1 and rows.grad is not None and listed.grad is not None
    assert not rows.grad[1].any() and not listed.grad[2:].any() and listed.grad[:2].any()


def test_draws_follow_the_seed_and_are_weighted_by_distance() -> None:
    products = shelf(6)
    products[5] = normalize(products[0] + 0.6 * products[5], dim=0)
    positive = torch.zeros(1, 6, dtype=torch.bool)
    positive[0, 0] = True
    first, again = (drawn(products[:1], products, positive, torch.arange(6)) for _ in range(2))
    assert torch.equal(first, again)
    assert first[5] > first[1:5].sum() and first[1:].count_nonzero() > 1


def test_the_memory_provides_negatives_of_past_batches_without_gradient() -> None:
    """A batch of one product has negatives only in memory, and its own copies do not count."""
    triplets = TripletLoss(D, margin=3.0, memory=4)
    own, past = shelf(1).requires_grad_(), shelf(2, seed=1).requires_grad_()
    clip, yes = shelf(1, seed=2), torch.ones(1, 1, dtype=torch.bool)
    assert triplets(every(clip), every(own), yes, torch.tensor([3])).skipped == 1
    triplets.remember(every(own), torch.tensor([3]))
    assert triplets(every(clip), every(own), yes, torch.tensor([3])).skipped == 1
    triplets.remember(every(past), torch.tensor([5, 3]))
    found = triplets(every(clip), every(own), yes, torch.tensor([3]))
    found.loss.backward()
    expected = 3 + clip[0] @ past[0] - clip[0] @ own[0]
    torch.testing.assert_close(found.loss, expected)
    assert found.skipped == 0 and past.grad is None
    assert own.grad is not None and own.grad.any()
    assert not any(buffer.requires_grad for buffer in triplets.buffers())


def test_the_memory_drops_the_oldest_and_skips_missing_vectors() -> None:
    triplets = TripletLoss(D, memory=3)
    missing = torch.zeros(2, dtype=torch.bool)
    triplets.remember(MaskedVectors(shelf(2), missing), torch.arange(2))
    alone = every(shelf(1))
    assert triplets(alone, alone, ~missing[:1, None], torch.tensor([9])).skipped == 1
    for first in (0, 2, 4):
        triplets.remember(every(shelf(2, seed=first)), torch.tensor([first, first + 1]))
    assert triplets.memory is not None
    assert sorted(triplets.memory.label_memory.tolist()) == [3, 4, 5]
    triplets.remember(every(shelf(5)), torch.arange(10, 15))
    assert sorted(triplets.memory.label_memory.tolist()) == [12, 13, 14]


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_a_restored_memory_continues_like_the_original(batches: int) -> None:
    first, second = TripletLoss(D, margin=3.0, memory=5), TripletLoss(D, margin=3.0, memory=5)
    for seed in range(batches):
        first.remember(every(shelf(3, seed=seed)), torch.arange(3) + 3 * seed)
    second.load_state_dict(first.state_dict())
    clips, products = every(shelf(4, seed=8)), every(shelf(4, seed=9))
    losses = []
    for triplets in (first, second):
        torch.manual_seed(0)
        triplets.remember(products, torch.arange(4) + 50)
        positive = torch.eye(4, dtype=torch.bool)
        losses.append(triplets(clips, products, positive, torch.arange(4) + 50).loss)
    assert torch.equal(*losses)


@pytest.mark.parametrize(
    "wrong", [{"margin": 0}, {"max_distance": 1.5}, {"max_distance": 0.5}, {"memory": -1}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        TripletLoss(D, **wrong)  # type: ignore[arg-type]
