"""The grounding loss: attention belongs on the product, in space and in time.

attention  mean over the frames with a box of -log Σ_{n in box} α[n]
frames     over the clips that show the product in some frames only: -log Σ_{t visible} ω[t], and
           the mean over pairs of a visible frame t and a hidden one u of log(1 + ω[u]/ω[t])
box        mean over the frames with a box of 1 - GIoU (Rezatofighi et al. 2019) plus the L1
           distance of the predicted box

Clips without labels are left out of all three. Axes: B clips, T frames, N patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sgmn.model.guidance import GuidanceOutput
from sgmn.model.tokens import TensorRows
from sgmn.training.data.grounding_labels import GroundingLabels

LEAST_WEIGHT = 1e-20  # of which the logarithm is taken


@dataclass(frozen=True)
class Grounding(TensorRows):
    """Where guidance attends in B clips, and where it should.

    Attributes:
        patch_weights: (B, T, N) α.
        frame_weights: (B, T) ω.
        boxes: (B, T, 4) predicted boxes.
        frame_mask: (B, T) bool, False at padding.
        box_mask, visible, true_boxes: see `GroundingLabels`.
    """

    patch_weights: Tensor
    frame_weights: Tensor
    boxes: Tensor
    frame_mask: Tensor
    box_mask: Tensor
    visible: Tensor
    true_boxes: Tensor

    @classmethod
    def compare(
        cls, output: GuidanceOutput, frame_mask: Tensor, labels: GroundingLabels
    ) -> Grounding:
        """Combine the output of guidance for some clips with their labels."""
        predicted = output.patch_weights, output.frame_weights, output.boxes, frame_mask
        return cls(*predicted, labels.box_mask, labels.visible, labels.boxes)


def grounding_loss(grounding: Grounding) -> Tensor:
    """Compute the sum of the three losses: a scalar."""
    boxes = box_loss(grounding.boxes, grounding.true_boxes, grounding.frame_mask)
    frames = frame_loss(grounding.frame_weights, grounding.visible, grounding.frame_mask)
    return attention_loss(grounding.patch_weights, grounding.box_mask) + frames + boxes


def attention_loss(patch_weights: Tensor, inside: Tensor) -> Tensor:
    """Penalize attention outside of the product's bounding box: a scalar >= 0.

    Args:
        patch_weights: (B, T, N) α.
        inside: (B, T, N) bool, which patches lie inside the box.

    Returns:
        The mean of -log Σ_inside α over the frames with a box; 0 if no frame has one.
    """
    has_box = inside.any(-1) & (patch_weights.sum(-1) > 0)
    return _mean_log_loss((patch_weights * inside).sum(-1), has_box)


def frame_loss(frame_weights: Tensor, visible: Tensor, frame_mask: Tensor) -> Tensor:
    """Penalize attention to frames that do not show the product: a scalar >= 0.

    Args:
        frame_weights: (B, T) ω.
        visible: (B, T) bool, which frames show the product.
        frame_mask: (B, T) bool, False at padding.

    Returns:
        The mean over the clips that have both kinds of frames; 0 if none has. The sum is content
        with one visible frame; the pairs rank all of them above the hidden ones.
    """
    visible, hidden = visible & frame_mask, ~visible & frame_mask
    has_both = visible.any(1) & hidden.any(1)
    log_weights = frame_weights.clamp(min=LEAST_WEIGHT).log()
    excess = functional.softplus(log_weights.unsqueeze(1) - log_weights.unsqueeze(2))
    pairs = visible.unsqueeze(2) & hidden.unsqueeze(1)
    mean_excess = (excess * pairs).sum((1, 2)) / pairs.sum((1, 2)).clamp(min=1)
    ranking = mean_excess.sum() / has_both.sum().clamp(min=1)
    return _mean_log_loss((frame_weights * visible).sum(1), has_both) + ranking


def box_loss(predicted: Tensor, true: Tensor, frame_mask: Tensor) -> Tensor:
    """Compare boxes (B, T, 4), over the frames whose true box has an area: a scalar >= 0."""
    has_box = (box_area(true) > 0) & frame_mask
    loss = 1 - generalized_iou(predicted, true) + (predicted - true).abs().sum(-1)
    return loss.masked_fill(~has_box, 0.0).sum() / has_box.sum().clamp(min=1)


def generalized_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the generalized intersection over union of boxes (..., 4), -1..1.

    >>> generalized_iou(torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([0.5, 0.0, 1.5, 1.0]))
    tensor(0.3333)
    """
    overlap = torch.cat([torch.maximum(a, b)[..., :2], torch.minimum(a, b)[..., 2:]], -1)
    hull = torch.cat([torch.minimum(a, b)[..., :2], torch.maximum(a, b)[..., 2:]], -1)
    shared = box_area(overlap)
    union = (box_area(a) + box_area(b) - shared).clamp(min=1e-6)
    hull_area = box_area(hull).clamp(min=1e-6)
    return shared / union - (hull_area - union) / hull_area


def box_area(boxes: Tensor) -> Tensor:
    """Return the area (...,) of boxes (..., 4); 0 where right < left or bottom < top."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def _mean_log_loss(shares: Tensor, selected: Tensor) -> Tensor:
    """Return the mean of -log over the selected shares; 0 if none is selected."""
    shares = shares.clamp(min=LEAST_WEIGHT).masked_fill(~selected, 1.0)
    return -shares.log().sum() / selected.sum().clamp(min=1)
