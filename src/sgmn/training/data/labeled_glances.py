"""Second glances around labeled boxes, so that the towers learn from what they will look at again.

While the towers change, guidance does not yet predict boxes that are worth a second glance. The
labeled boxes take their place, shifted and scaled at random as predicted boxes are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from sgmn.model.glance import GLANCES, choose_region, cut_out
from sgmn.model.inputs import GlanceInputs, Preprocessor
from sgmn.records import ImageArray
from sgmn.training.losses.grounding import box_area

SHIFT = 0.1  # standard deviation of the shift of the center, as a fraction of the sides
SCALE = 0.2  # standard deviation of the logarithm of the scale of each side


def cut_labeled_glances(
    frames: Sequence[Sequence[ImageArray]],
    boxes: Tensor,
    preprocessor: Preprocessor,
    rng: np.random.Generator,
) -> GlanceInputs:
    """Cut a region around the box out of the first frames of each clip that have one.

    Args:
        frames: The frames of B clips.
        boxes: (B, T, 4), as in `GroundingLabels`.
        preprocessor: That of the model.
        rng: Moves the boxes.
    """
    count = min(GLANCES, boxes.shape[1])
    has_box = box_area(boxes) > 0
    order = has_box.int().argsort(dim=1, descending=True, stable=True)[:, :count]
    mask = has_box.gather(1, order)
    regions = []
    for row, slot in mask.nonzero().tolist():
        frame = int(order[row, slot])
        box = move_box(boxes[row, frame].numpy(), rng)
        image = frames[row][frame]
        regions.append(cut_out(image, choose_region(image, box, preprocessor.canvases)))
    return GlanceInputs(preprocessor.prepare_regions(regions), order, mask)


def move_box(box: np.ndarray, rng: np.random.Generator) -> list[float]:
    """Shift and scale a box (4,) at random; the part outside 0..1 is cut off."""
    low, high = box[:2], box[2:]
    center = (low + high) / 2 + (high - low) * rng.normal(0, SHIFT, 2)
    half = (high - low) / 2 * np.exp(rng.normal(0, SCALE, 2))
    moved: list[float] = np.clip([*(center - half), *(center + half)], 0, 1).tolist()
    return moved
