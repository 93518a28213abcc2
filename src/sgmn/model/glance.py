"""The second glance: the attended region of a frame, encoded again at the scale of a shop image.

The first glance sees whole frames, in which a product may cover a few patches. Guidance says which
frames show the product, and where. The regions of the best frames are cut out of the images at
their own resolution and encoded by the same tower. They are further instances of the clip, and
their patches are compared with those of shop images, one by one (late interaction, as in ColBERT
and FILIP): twins differ in a cap or an emblem, which is a patch or two.

Axes: B clips, T frames, K glances per clip, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor
from typing import NamedTuple

import numpy as np
from torch import Tensor

from sgmn.model.guidance import GuidanceOutput
from sgmn.model.inputs import Canvas, choose_canvas, compute_placement
from sgmn.model.tokens import ImageTokens, ItemTokens
from sgmn.records import ImageArray

GLANCES = 4  # per clip: these frames hold most of ω, and cost a quarter of the first glance
DETAIL = 2  # frames are decoded this many times larger than the first glance sees them
MARGIN = 0.15  # of the predicted sides, because a box that cuts off the product costs most
STEPS = 16  # regions are snapped to this fraction of the image, so that windows share glances
MIN_STEPS = 2


Encode = Callable[[Sequence[ImageArray]], ImageTokens]


class Region(NamedTuple):
    """Part of an image, in steps of 1/STEPS of its sides; right and bottom are not included."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, eq=False)
class FrameImage:
    """The pixels of a frame (H, W, 3), and its regions that have been encoded."""

    rgb: ImageArray
    glances: dict[Region, ImageTokens] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class EncodedFrames:
    """Frames that have been encoded once, as any number of clips may use them.

    Attributes:
        tokens: The encoded frames.
        images: Their pixels for second glances; empty if the model takes none.
    """

    tokens: ImageTokens
    images: tuple[FrameImage, ...] = ()

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: slice | list[int]) -> EncodedFrames:
        """Select frames."""
        if isinstance(rows, slice):
            return EncodedFrames(self.tokens[rows], self.images[rows])
        return EncodedFrames(self.tokens[rows], tuple(self.images[i] for i in rows if self.images))

    def clone(self) -> EncodedFrames:
        """Copy the tokens, which lets go of the memory of frames that are not selected."""
        return EncodedFrames(self.tokens.map_tensors(Tensor.clone), self.images)

    @classmethod
    def cat(cls, parts: Sequence[EncodedFrames]) -> EncodedFrames:
        """Concatenate frames."""
        images = tuple(image for part in parts for image in part.images)
        return cls(ImageTokens.cat(part.tokens for part in parts), images)


def weigh_glances(tokens: ItemTokens, frame_weights: Tensor) -> Tensor:
    """The weights (B, K) of glances: ω of their frames, scaled to a sum of 1; 0 at padding."""
    weights = frame_weights.gather(1, tokens.glance_frames) * tokens.glance_mask
    return weights / weights.sum(1, keepdim=True).clamp(min=1e-12)


def add_glances(
    tokens: ItemTokens,
    guidance: GuidanceOutput,
    frames: Sequence[Sequence[FrameImage]],
    canvases: Sequence[Canvas],
    encode: Encode,
) -> ItemTokens:
    """Encode the attended regions of the best frames of each clip.

    Args:
        tokens: B clips, on the CPU.
        guidance: Their guidance.
        frames: The images of each clip, as many as it has tokens.
        canvases: The canvases of the image tower.
        encode: Encodes the cut out images.
    """
    picked, mask = choose_frames(guidance.frame_weights.cpu(), tokens.image_mask)
    boxes = guidance.boxes.cpu().tolist()
    wanted: list[list[tuple[FrameImage, Region]]] = []
    for row, images in enumerate(frames):
        places = picked[row][mask[row]].tolist()
        wanted.append(
            [(images[t], choose_region(images[t].rgb, boxes[row][t], canvases)) for t in places]
        )
    pairs = [pair for row in wanted for pair in row]
    encode_missing(pairs, encode)
    regions = [image.glances[region] for image, region in pairs]
    return place_glances(tokens, ImageTokens.cat(regions) if regions else None, picked, mask)


def place_glances(
    tokens: ItemTokens, regions: ImageTokens | None, frames: Tensor, mask: Tensor
) -> ItemTokens:
    """Give B clips their second glances.

    Args:
        tokens: The clips.
        regions: The encoded regions, clip by clip; None if there are none.
        frames: (B, K) long, the frame of each glance.
        mask: (B, K) bool, False at padding; True as often as there are regions.
    """
    dim, sizes = tokens.images.shape[-1], tuple(mask.shape)
    shape = regions.fine_patches.shape[1:] if regions is not None else (0, dim)
    glances = tokens.images.new_zeros(*sizes, dim)
    glance_patches = tokens.images.new_zeros(*sizes, *shape)
    if regions is not None:
        glances[mask], glance_patches[mask] = regions.pooled, regions.fine_patches
    return replace(
        tokens,
        glances=glances,
        glance_patches=glance_patches,
        glance_frames=frames,
        glance_mask=mask,
    )


def choose_frames(frame_weights: Tensor, frame_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Choose the frames of highest ω (B, T): their positions (B, K) and which exist (B, K)."""
    count = min(GLANCES, frame_weights.shape[1])
    weights = frame_weights.masked_fill(~frame_mask, -1.0)
    best = weights.topk(count, dim=1)
    return best.indices, best.values >= 0


def choose_region(image: ImageArray, box: Sequence[float], canvases: Sequence[Canvas]) -> Region:
    """The region around a box (left, top, right, bottom as fractions of the image's canvas)."""
    canvas = choose_canvas(image, canvases)
    top, left, height, width = compute_placement(image.shape, canvas)
    columns = _snap((box[0] * canvas[1] - left) / width, (box[2] * canvas[1] - left) / width)
    rows = _snap((box[1] * canvas[0] - top) / height, (box[3] * canvas[0] - top) / height)
    return Region(columns[0], rows[0], columns[1], rows[1])


def _snap(low: float, high: float) -> tuple[int, int]:
    """Widen a side (0..1) by the margin, and snap it outward."""
    margin = MARGIN * max(0.0, high - low)
    first = min(max(0, floor((low - margin) * STEPS)), STEPS - MIN_STEPS)
    last = max(min(STEPS, ceil((high + margin) * STEPS)), MIN_STEPS)
    return (first, last) if last - first >= MIN_STEPS else (first, first + MIN_STEPS)


def encode_missing(pairs: Sequence[tuple[FrameImage, Region]], encode: Encode) -> None:
    """Encode the regions of images that have not been encoded yet."""
    missing = {(id(image), region): (image, region) for image, region in pairs}
    new = [pair for pair in missing.values() if pair[1] not in pair[0].glances]
    if not new:
        return
    encoded = encode([cut_out(image.rgb, region) for image, region in new]).drop_patches()
    for row, (image, region) in enumerate(new):
        image.glances[region] = encoded[row : row + 1].map_tensors(Tensor.clone)


def cut_out(image: ImageArray, region: Region) -> ImageArray:
    """Cut a region out of an image (H, W, 3)."""
    height, width = image.shape[:2]
    rows = slice(region.top * height // STEPS, max(1, region.bottom * height // STEPS))
    columns = slice(region.left * width // STEPS, max(1, region.right * width // STEPS))
    return np.ascontiguousarray(image[rows, columns])
