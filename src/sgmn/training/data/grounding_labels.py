"""Labels of clips that tell guidance where and when the product is visible, as tensors.

Axes: B clips, T frames, N patches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sgmn.model.inputs import Canvas, choose_canvas, compute_placement
from sgmn.model.network import SGMN
from sgmn.model.tokens import TensorRows
from sgmn.records import Box, ImageArray
from sgmn.training.data.boxes import FrameBoxes, PatchGrids, patches_in_boxes


@dataclass(frozen=True)
class GroundingLabels(TensorRows):
    """Where and when B clips show the product that they are about; T and N as in `ItemTokens`.

    Attributes:
        box_mask: (B, T, N) bool, which patches of each frame lie inside a box of the product.
        visible: (B, T) bool, which frames show the product; all False if that is not known.
        boxes: (B, T, 4) the largest box of each frame, as fractions of its canvas; 0 without one.
    """

    box_mask: Tensor
    visible: Tensor
    boxes: Tensor

    def crop(self, frames: int, patches: int) -> GroundingLabels:
        """Keep the first frames and patches of each clip."""
        mask = self.box_mask[:, :frames, :patches]
        return GroundingLabels(mask, self.visible[:, :frames], self.boxes[:, :frames])


def build_labels(
    frames: Sequence[Sequence[ImageArray]],
    boxes: Sequence[Sequence[FrameBoxes]],
    visible: Sequence[Sequence[bool]],
    canvases: Sequence[Canvas],
    grids: PatchGrids,
) -> GroundingLabels:
    """Build the labels of B clips.

    Args:
        frames: the frames of each clip.
        boxes: the boxes of each frame of each clip; empty for a clip without boxes.
        visible: whether each frame of each clip shows the product; empty if that is not known.
        canvases: canvases of the image tower.
        grids: rows and columns of its patches on each canvas.
    """
    box_mask = patches_in_boxes(frames, boxes, canvases, grids)
    is_visible = torch.zeros(box_mask.shape[:2], dtype=torch.bool)
    sides = torch.zeros(*box_mask.shape[:2], 4)
    for clip, images in enumerate(frames):
        if visible[clip]:
            is_visible[clip, : len(images)] = torch.tensor(visible[clip])
        for frame, frame_boxes in enumerate(boxes[clip]):
            if frame_boxes:
                box = max(frame_boxes, key=_area)
                sides[clip, frame] = _on_canvas(box, images[frame], canvases)
    return GroundingLabels(box_mask, is_visible, sides)


def measure_patch_grids(network: SGMN) -> PatchGrids:
    """Return rows and columns of the image tower's patches on each canvas."""
    network.eval()  # measuring a canvas must not change running statistics
    return {canvas: network.patch_grid(canvas) for canvas in network.config.canvases}


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _on_canvas(box: Box, image: ImageArray, canvases: Sequence[Canvas]) -> Tensor:
    """Convert a box from fractions of an image to fractions of its canvas."""
    canvas = choose_canvas(image, canvases)
    top, left, height, width = compute_placement(image.shape, canvas)
    scale = torch.tensor([width, height, width, height]) * torch.tensor(box)
    size = torch.tensor([canvas[1], canvas[0], canvas[1], canvas[0]])
    return (torch.tensor([left, top, left, top]) + scale) / size
