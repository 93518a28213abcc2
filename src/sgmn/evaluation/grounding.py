"""Grounding: how much attention lies on the product, in space and in time.

For one frame with patch weights α (N,), which sum to 1, and boxes of the product:

    alpha_in_box  Σ_n α[n] · (share of patch n that lies in a box)
    alpha_area    the share of the frame that the boxes cover
    alpha_lift    mean alpha_in_box / mean alpha_area; 1 for uniform attention
    pointing      whether the center of the patch with the highest weight lies in a box

For one clip with frame weights ω (T,) and frames that show the product or do not:

    omega_auc     the probability that a frame that shows it has the higher weight (ties count ½)

Frames without a box have no spatial figures; clips whose frames all show the product, or none,
have no AUC. All figures are means: over frames in space, over clips in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgmn.evaluation.significance import PairedTestResult
from sgmn.evaluation.tables import markdown_table
from sgmn.records import Box

FloatArray = NDArray[np.floating[Any]]
CELLS = 200  # per side, of the raster in which overlapping boxes are united


@dataclass(frozen=True, slots=True)
class ClipGrounding:
    """The figures of one clip.

    Attributes:
        in_box: (F,) alpha_in_box of each frame with a box.
        area: (F,) alpha_area of the same frames.
        pointing: (F,) 0 or 1 of the same frames.
        auc: omega_auc, or None.
    """

    in_box: tuple[float, ...]
    area: tuple[float, ...]
    pointing: tuple[float, ...]
    auc: float | None


@dataclass(frozen=True, slots=True)
class GroundingSummary:
    """Mean figures over the frames and clips of a dataset; NaN-free: None where there are none."""

    alpha_in_box: float | None
    alpha_area: float | None
    alpha_lift: float | None
    pointing: float | None
    omega_auc: float | None
    frames: int
    clips: int


@dataclass(frozen=True, slots=True)
class GroundingReport:
    """Grounding with each clip's own transcript, another clip's, and none; and deaf guidance.

    `deaf` compares R@1 of the whole model with R@1 when guidance alone gets no transcript.
    """

    own: GroundingSummary
    other: GroundingSummary
    none: GroundingSummary
    deaf: PairedTestResult

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        deaf = {"whole": self.deaf.a, "deaf": self.deaf.b}
        deaf |= {"difference": self.deaf.difference, "p": self.deaf.p}
        variants = {name: asdict(getattr(self, name)) for name in ("own", "other", "none")}
        return variants | {"deaf": deaf}

    def markdown(self) -> str:
        """The report as a Markdown table and a sentence."""
        header = ["transcript", "alpha in box", "area", "lift", "pointing", "omega AUC"]
        rows = [
            [name, *map(_cell, _values(getattr(self, name)))] for name in ("own", "other", "none")
        ]
        deaf = self.deaf
        line = (
            f"R@1 {100 * deaf.a:.1f}; {100 * deaf.b:.1f} if guidance gets no transcript "
            f"({100 * deaf.difference:+.1f}, p {deaf.p:.3f})."
        )
        return f"{markdown_table(header, rows)}\n\n{line}"


def _values(summary: GroundingSummary) -> list[float | None]:
    return [
        summary.alpha_in_box,
        summary.alpha_area,
        summary.alpha_lift,
        summary.pointing,
        summary.omega_auc,
    ]


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def ground_clip(
    frame_weights: FloatArray,
    patch_weights: Sequence[FloatArray],
    patch_boxes: Sequence[FloatArray],
    boxes: Sequence[Sequence[Box]],
    visible: Sequence[bool],
) -> ClipGrounding:
    """Measure one clip of T frames.

    Args:
        frame_weights: (T,) ω.
        patch_weights: α (N,) of each frame.
        patch_boxes: (N, 4) left, top, right, bottom of the patches of each frame, as shares of
            the frame; patches beyond the frame's edges extend below 0 or above 1.
        boxes: The product's boxes in each frame, as shares of the frame.
        visible: Whether each frame shows the product.
    """
    spatial = [
        (in_box(weights, patches, own), covered_area(own), points_at(weights, patches, own))
        for weights, patches, own in zip(patch_weights, patch_boxes, boxes, strict=True)
        if own
    ]
    return ClipGrounding(
        in_box=tuple(share for share, _, _ in spatial),
        area=tuple(area for _, area, _ in spatial),
        pointing=tuple(hit for _, _, hit in spatial),
        auc=auc(frame_weights, np.asarray(visible, dtype=bool)),
    )


def in_box(weights: FloatArray, patches: FloatArray, boxes: Sequence[Box]) -> float:
    """The share of the weights (N,) that lies in the boxes; of overlapping ones the largest.

    >>> left_half = np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1]])
    >>> in_box(np.array([0.75, 0.25]), left_half, [(0.0, 0.0, 0.75, 1.0)])
    0.875
    """
    shares = [_overlap(patches, box) for box in boxes]
    return float(weights @ np.max(shares, axis=0))


def _overlap(patches: FloatArray, box: Box) -> FloatArray:
    """The share (N,) of each patch that lies in a box."""
    low = np.maximum(patches[:, :2], box[:2])
    high = np.minimum(patches[:, 2:], box[2:])
    sides = patches[:, 2:] - patches[:, :2]
    return np.asarray(np.prod((high - low).clip(min=0) / sides, axis=1))


def covered_area(boxes: Sequence[Box]) -> float:
    """The share of the frame that the boxes cover.

    >>> covered_area([(0.0, 0.0, 0.5, 0.5)])
    0.25
    """
    if len(boxes) == 1:
        left, top, right, bottom = boxes[0]
        return (right - left) * (bottom - top)
    centers = (np.arange(CELLS) + 0.5) / CELLS
    covered = np.zeros((CELLS, CELLS), dtype=bool)
    for left, top, right, bottom in boxes:
        rows, columns = (centers > top) & (centers < bottom), (centers > left) & (centers < right)
        covered |= rows[:, None] & columns
    return float(covered.mean())


def points_at(weights: FloatArray, patches: FloatArray, boxes: Sequence[Box]) -> float:
    """1.0 if the center of the patch with the highest weight lies in a box, else 0.0."""
    left, top, right, bottom = patches[int(weights.argmax())]
    x, y = (left + right) / 2, (top + bottom) / 2
    return float(any(box[0] <= x <= box[2] and box[1] <= y <= box[3] for box in boxes))


def auc(weights: FloatArray, visible: NDArray[np.bool_]) -> float | None:
    """The probability that a visible frame has a higher weight than another; None without both.

    >>> auc(np.array([0.5, 0.3, 0.2]), np.array([True, False, True]))
    0.5
    """
    shown, hidden = weights[visible], weights[~visible]
    if not (shown.size and hidden.size):
        return None
    difference = shown[:, None] - hidden
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def summarize(clips: Iterable[ClipGrounding]) -> GroundingSummary:
    """Average over all frames with a box, and over all clips with an AUC."""
    measured = list(clips)
    in_boxes = [value for clip in measured for value in clip.in_box]
    areas = [value for clip in measured for value in clip.area]
    hits = [value for clip in measured for value in clip.pointing]
    aucs = [clip.auc for clip in measured if clip.auc is not None]
    lift = float(np.mean(in_boxes) / np.mean(areas)) if areas and np.mean(areas) > 0 else None
    return GroundingSummary(
        alpha_in_box=_mean(in_boxes),
        alpha_area=_mean(areas),
        alpha_lift=lift,
        pointing=_mean(hits),
        omega_auc=_mean(aucs),
        frames=len(in_boxes),
        clips=len(aucs),
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
