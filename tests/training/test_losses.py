"""InfoNCE against its formula in loops, and what must not count."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sgmn.training.losses import info_nce
from sgmn.training.schedule import warmup_cosine


def by_loop(logits: Tensor, positive: Tensor) -> float:
    def one_way(rows: Tensor, wanted: Tensor) -> float:
        losses = []
        for row, targets in zip(rows.tolist(), wanted.tolist(), strict=True):
            total = torch.tensor(row).exp().sum().log().item()
            own = [total - value for value, is_own in zip(row, targets, strict=True) if is_own]
            if own:
                losses.append(sum(own) / len(own))
        return sum(losses) / len(losses)

    return (one_way(logits, positive) + one_way(logits.T, positive.T)) / 2


def case() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    positive = torch.zeros(4, 6, dtype=torch.bool)
    positive[0, 0] = positive[1, 1] = positive[2, 0] = positive[3, 2] = positive[3, 3] = True
    return torch.randn(4, 6), positive


def test_equals_its_formula() -> None:
    logits, positive = case()
    assert info_nce(logits, positive).item() == pytest.approx(by_loop(logits, positive), abs=1e-5)


def test_is_a_mean_not_a_sum() -> None:
    """Twice the same rows beside twice the same columns cost log 2 more, not twice as much."""
    logits, positive = case()
    twice = info_nce(logits.repeat(2, 1), positive.repeat(2, 1)).item()
    assert twice == pytest.approx(by_loop(logits.repeat(2, 1), positive.repeat(2, 1)), abs=1e-5)
    assert twice < 1.5 * info_nce(logits, positive).item()


def test_two_clips_of_one_product_are_not_negatives() -> None:
    """Rows 0 and 2 share column 0: each gets gradient towards it, none away from it."""
    logits, positive = case()
    logits.requires_grad_()
    info_nce(logits, positive).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] < 0 and logits.grad[2, 0] < 0


def test_columns_without_a_clip_are_negatives_only() -> None:
    logits, positive = case()
    logits.requires_grad_()
    info_nce(logits, positive).backward()
    assert logits.grad is not None and (logits.grad[:, 4:] > 0).all()


def test_perfect_scores_cost_nothing() -> None:
    positive = torch.eye(5, dtype=torch.bool)
    assert info_nce(100 * positive.float(), positive).item() == pytest.approx(0, abs=1e-6)


def test_schedule_rises_then_falls() -> None:
    shares = [warmup_cosine(step, 100, 0.1) for step in range(101)]
    assert shares[:10] == sorted(shares[:10]) and shares[0] > 0
    assert max(shares) == shares[9] == shares[10] == 1
    assert shares[10:] == sorted(shares[10:], reverse=True) and shares[100] == pytest.approx(0)
    assert warmup_cosine(0, 100, 0.0) == 1
