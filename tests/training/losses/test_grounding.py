"""The grounding loss: compared with loops, and what a few steps of it teach guidance."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor

from sgmn.model.guidance import Guidance
from sgmn.model.tokens import ItemTokens
from sgmn.training.data.grounding_labels import GroundingLabels
from sgmn.training.losses.grounding import (
    Grounding,
    attention_loss,
    box_loss,
    frame_loss,
    generalized_iou,
    grounding_loss,
)
from tests.training.losses.batch import LABELS, B, N, T, random_tokens

DIM = 32


def test_attention_loss_is_the_mean_over_frames_with_a_box() -> None:
    weights = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [0.0, 0.0, 0.0]]])
    inside = torch.tensor([[[True, True, False], [False, False, False], [True, False, False]]])
    expected = -torch.tensor(0.75).log()
    torch.testing.assert_close(attention_loss(weights, inside), expected)
    inside[0, 1, 0] = True
    expected = -(torch.tensor(0.75).log() + torch.tensor(0.1).log()) / 2
    torch.testing.assert_close(attention_loss(weights, inside), expected)


def test_frame_loss_is_the_mean_over_clips_with_both_kinds_of_frames() -> None:
    """Clip 1 is always visible, clip 2 unlabeled, and the hidden frame of clip 3 is padding."""
    weights = torch.tensor([[0.2, 0.3, 0.5], [0.2, 0.3, 0.5], [0.2, 0.3, 0.5], [0.4, 0.6, 0.0]])
    visible = torch.tensor([[1, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 0]]).bool()
    frame_mask = torch.tensor([[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 0]]).bool()
    # Of clip 0, the hidden frame has 0.3, which the pairs compare with 0.2 and 0.5.
    first = -log(0.7) + (log(1 + 0.3 / 0.2) + log(1 + 0.3 / 0.5)) / 2
    assert float(frame_loss(weights, visible, frame_mask)) == pytest.approx(first)
    visible[1, 2] = False
    second = -log(0.5) + (log(1 + 0.5 / 0.2) + log(1 + 0.5 / 0.3)) / 2
    expected = (first + second) / 2
    assert float(frame_loss(weights, visible, frame_mask)) == pytest.approx(expected)


def test_generalized_iou_of_apart_equal_and_nested_boxes() -> None:
    unit = torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert generalized_iou(unit, unit) == 1
    assert generalized_iou(unit, torch.tensor([0.0, 0.0, 0.5, 0.5])) == 0.25
    assert generalized_iou(unit, unit + 2) == pytest.approx((0 - 7) / 9)


def test_box_loss_is_the_mean_over_frames_with_a_box() -> None:
    predicted = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0], [0.2, 0.2, 0.3, 0.3]]])
    true = torch.tensor([[[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.0, 0.0]]])
    frame_mask = torch.ones(1, 3).bool()
    expected = ((1 - 0.25 + 1.0) + 0.0) / 2
    torch.testing.assert_close(box_loss(predicted, true, frame_mask), torch.tensor(expected))
    frame_mask[0, 1] = False
    torch.testing.assert_close(box_loss(predicted, true, frame_mask), torch.tensor(1.75))


def ground(guidance: Guidance, tokens: ItemTokens, labels: GroundingLabels) -> Grounding:
    return Grounding.compare(guidance(tokens), tokens.image_mask, labels)


def test_the_grounding_loss_equals_a_loop() -> None:
    grounding = ground(Guidance(DIM), random_tokens(B, DIM, 1), LABELS)
    attention, frames, boxes = [], [], []
    for b in range(B):
        alpha, omega, labels = grounding.patch_weights[b], grounding.frame_weights[b], LABELS[[b]]
        for t in range(T):
            if labels.box_mask[0, t].any():
                attention.append(-alpha[t][labels.box_mask[0, t]].sum().log())
                predicted, true = grounding.boxes[b, t], labels.boxes[0, t]
                boxes.append(1 - generalized_iou(predicted, true) + (predicted - true).abs().sum())
        if 0 < labels.visible.sum() < T:
            shown, hidden = omega[labels.visible[0]], omega[~labels.visible[0]]
            pairs = torch.stack([(1 + h / s).log() for s in shown for h in hidden])
            frames.append(-shown.sum().log() + pairs.mean())
    assert len(attention) > 5 and len(frames) > 1
    expected = sum(torch.stack(losses).mean() for losses in (attention, frames, boxes))
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(grounding_loss(grounding), expected, atol=1e-5, rtol=0)


def test_the_loss_without_labels_is_zero_and_has_a_graph() -> None:
    guidance, tokens = Guidance(DIM), random_tokens(B, DIM, 1)
    labels = LABELS.map_tensors(torch.zeros_like)
    loss = grounding_loss(ground(guidance, tokens, labels))
    loss.backward()
    assert loss == 0
    gradients = [p.grad for p in guidance.parameters() if p.grad is not None]
    assert gradients and not any(gradient.any() for gradient in gradients)


class _Pair:
    """Clips in which the transcript alone tells which of two products is meant.

    Frame 0 shows product 0 in patch 0, frame 1 shows product 1 in patch 3, frame 2 shows both.
    """

    def __init__(self) -> None:
        torch.manual_seed(2)
        tokens = random_tokens(2, DIM, 3)
        patches = 0.1 * tokens.patches[:1].expand(2, -1, -1, -1).clone()
        products = 2 * torch.nn.functional.normalize(torch.randn(2, DIM), dim=-1)
        labels = GroundingLabels(
            torch.zeros(2, T, N).bool(), torch.zeros(2, T).bool(), torch.zeros(2, T, 4)
        )
        for product, patch in ((0, 0), (1, 3)):
            for frame in (product, 2):
                patches[:, frame, patch] += products[product]
                labels.box_mask[product, frame, patch] = True
                labels.visible[product, frame] = True
                x, y = tokens.patch_positions[0, 0, patch].tolist()
                labels.boxes[product, frame] = torch.tensor([x, y, x, y]) + torch.tensor(
                    [-0.25, -0.25, 0.25, 0.25]
                )
        images = tokens.images[:1].expand(2, -1, -1)
        self.tokens = ItemTokens(images, tokens.image_mask, patches, *_rest(tokens))
        self.labels = labels


def _rest(tokens: ItemTokens) -> tuple[Tensor, ...]:
    return (
        tokens.patch_mask,
        tokens.patch_positions,
        tokens.words,
        tokens.word_mask,
        tokens.text,
        tokens.has_text,
    )


@torch.no_grad()
def measure(guidance: Guidance, pair: _Pair) -> tuple[float, float, float]:
    """Return the least share of attention in a box, least visible weight, and mean box IoU."""
    output, labels = guidance(pair.tokens), pair.labels
    has_box = labels.box_mask.any(-1)
    inside = (output.patch_weights * labels.box_mask).sum(-1)[has_box]
    visible = (output.frame_weights * labels.visible).sum(1)
    overlap = generalized_iou(output.boxes, labels.boxes)[has_box]
    return float(inside.min()), float(visible.min()), float(overlap.mean())


def test_attention_follows_the_transcript_of_a_counterfactual_pair() -> None:
    """The same frames, two transcripts: after a few steps each clip has its own patch and frame."""
    torch.manual_seed(0)
    pair, guidance = _Pair(), Guidance(DIM)
    optimizer = torch.optim.Adam(guidance.parameters(), lr=5e-3)
    before = measure(guidance, pair)
    for _ in range(60):
        optimizer.zero_grad()
        grounding_loss(ground(guidance, pair.tokens, pair.labels)).backward()
        optimizer.step()
    inside, visible, overlap = measure(guidance, pair)
    assert before[0] < 0.6 and before[1] < 0.7
    assert inside > 0.8 and visible > 0.9 and overlap > before[2] + 0.1
    swapped = guidance(pair.tokens[[1, 0]])
    assert (swapped.frame_weights[0, 1] > swapped.frame_weights[0, 0]).item()
