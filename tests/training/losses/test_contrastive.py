"""InfoNCE and the pair loss, compared with their formulas, and what they must ignore."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sgmn.training.losses.contrastive import info_nce, pair_loss


def by_loop(logits: Tensor, positive: Tensor) -> float:
    """Compute the loss by its formula, in loops."""

    def one_direction(rows: Tensor, targets: Tensor) -> float:
        losses: list[float] = []
        for row, is_target in zip(rows.tolist(), targets.tolist(), strict=True):
            total = float(torch.tensor(row).exp().sum().log())
            own = [total - value for value, is_own in zip(row, is_target, strict=True) if is_own]
            if own:
                losses.append(sum(own) / len(own))
        return sum(losses) / len(losses)

    return (one_direction(logits, positive) + one_direction(logits.T, positive.T)) / 2


def case() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    positive = torch.zeros(4, 6, dtype=torch.bool)
    positive[0, 0] = positive[1, 1] = positive[2, 0] = positive[3, 2] = positive[3, 3] = True
    return torch.randn(4, 6), positive


def test_equals_its_formula() -> None:
    logits, positive = case()
    assert info_nce(logits, positive).item() == pytest.approx(by_loop(logits, positive), abs=1e-5)


def test_is_a_mean_not_a_sum() -> None:
    """Repeated rows do not double the loss."""
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


def test_products_without_a_clip_are_only_negatives() -> None:
    logits, positive = case()
    logits.requires_grad_()
    info_nce(logits, positive).backward()
    assert logits.grad is not None and (logits.grad[:, 4:] > 0).all()


def test_perfect_scores_have_no_loss() -> None:
    positive = torch.eye(5, dtype=torch.bool)
    assert info_nce(100 * positive.float(), positive).item() == pytest.approx(0, abs=1e-6)


def test_ignored_pairs_are_in_no_denominator() -> None:
    """As if the pair did not exist, in both directions."""
    logits, positive = case()
    ignored = torch.zeros_like(positive)
    ignored[0, 4] = ignored[1, 0] = True
    absent = logits.masked_fill(ignored, -1e4)
    found = info_nce(logits.clone().requires_grad_(), positive, ignored)
    assert found.item() == pytest.approx(by_loop(absent, positive), abs=1e-5)
    assert found.item() < info_nce(logits, positive).item()


def test_ignored_pairs_get_no_gradient() -> None:
    logits, positive = case()
    logits.requires_grad_()
    ignored = torch.zeros_like(positive)
    ignored[0, 4] = ignored[:, 5] = True  # nothing is left of column 5
    with torch.autograd.set_detect_anomaly(True):  # no intermediate NaN either
        info_nce(logits, positive, ignored).backward()
    assert logits.grad is not None and logits.grad.isfinite().all()
    assert (logits.grad[ignored] == 0).all() and (logits.grad[1:, 4] > 0).all()


def test_a_positive_is_never_ignored() -> None:
    logits, positive = case()
    assert torch.equal(info_nce(logits, positive, positive), info_nce(logits, positive))


def test_a_batch_without_a_positive_has_no_loss() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    loss = info_nce(logits, torch.zeros(2, 3, dtype=torch.bool))
    loss.backward()
    assert loss == 0 and logits.grad is not None and (logits.grad == 0).all()


def test_pair_loss_is_cross_entropy_of_column_0() -> None:
    scores = torch.randn(5, 4)
    target = torch.zeros(5, dtype=torch.long)
    found = pair_loss(scores, torch.ones(5, 3, dtype=torch.bool))
    torch.testing.assert_close(found, torch.nn.functional.cross_entropy(scores, target))


def test_every_row_has_a_gradient_of_the_right_sign() -> None:
    scores = torch.randn(6, 4, requires_grad=True)
    pair_loss(scores, torch.ones(6, 3, dtype=torch.bool)).backward()
    assert scores.grad is not None
    assert (scores.grad[:, 0] < 0).all() and (scores.grad[:, 1:] > 0).all()


def test_a_row_without_a_negative_has_no_influence() -> None:
    """The loss is the mean over the other rows, whose gradients stay the same."""
    scores, valid = torch.randn(4, 3), torch.ones(4, 2, dtype=torch.bool)
    valid[1], valid[2, 1] = False, False
    scores[1] = torch.tensor([0.0, torch.nan, torch.inf])  # must not be read
    found, others = scores.clone().requires_grad_(), scores[[0, 2, 3]].requires_grad_()
    loss, expected = pair_loss(found, valid), pair_loss(others, valid[[0, 2, 3]])
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    assert found.grad is not None and others.grad is not None
    torch.testing.assert_close(found.grad[[0, 2, 3]], others.grad)
    assert (found.grad[1] == 0).all() and found.grad[2, 2] == 0


def test_pair_loss_without_negatives_is_zero_and_differentiable() -> None:
    scores = torch.randn(2, 3, requires_grad=True)
    loss = pair_loss(scores, torch.zeros(2, 2, dtype=torch.bool))
    loss.backward()
    assert loss == 0 and scores.grad is not None and (scores.grad == 0).all()
