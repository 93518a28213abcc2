"""Boxes of labeled frames, and the patches of the image tower that lie inside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgmn.model.inputs import Canvas, choose_canvas, compute_placement
from sgmn.records import Box, Clip, ImageArray

FrameBoxes = tuple[Box, ...]  # the boxes of one frame
PatchGrids = Mapping[Canvas, tuple[int, int]]  # rows and columns of patches on each canvas


def boxes_at_times(clip: Clip, times: Sequence[float], rate_hz: float) -> tuple[FrameBoxes, ...]:
    """Return the boxes of a clip's frames at some times.

    Args:
        clip: its K sets of boxes lie at equal steps from its start on. Of K frames on disk, each
            has its own set.
        times: of the frames in seconds, as `sgmn.media.clips` returns them.
        rate_hz: rate of frames on disk.

    A frame takes the set nearest in time. There are no boxes if neither the clip nor its video
    states an end.
    """
    length_s = _length_s(clip, rate_hz) if clip.boxes else 0.0
    if length_s <= 0:
        return ((),) * len(times)
    start_s, last = clip.start if clip.video else 0.0, len(clip.boxes) - 1
    positions = (round((time - start_s) / length_s * len(clip.boxes)) for time in times)
    return tuple(clip.boxes[min(position, last)] for position in positions)


def _length_s(clip: Clip, rate_hz: float) -> float:
    if clip.video is None:
        return len(clip.frames) / rate_hz
    from sgmn.media import video  # clips of images need no PyAV

    return (video.read_duration(clip.video) if clip.end is None else clip.end) - clip.start


def other_boxes_at_times(
    clip: Clip, times: Sequence[float], rate_hz: float
) -> dict[str, tuple[FrameBoxes, ...]]:
    """Return the boxes of the other products that a clip shows, in its frames at some times.

    Clips may list them in `extra["shown"]`, as [{"time": seconds, "boxes": {product: box}}], or in
    `extra["held_instead"]`, as null or [product, box] for each set of the clip's boxes.
    """
    boxes = _shown_boxes(clip, times)
    held = clip.extra.get("held_instead", ())
    for product in dict.fromkeys(entry[0] for entry in held if entry):
        sets = tuple((tuple(entry[1]),) if entry and entry[0] == product else () for entry in held)
        boxes[product] = boxes_at_times(replace(clip, boxes=sets), times, rate_hz)
    return {
        product: frames
        for product, frames in boxes.items()
        if product not in clip.product_ids and any(frames)
    }


def _shown_boxes(clip: Clip, times: Sequence[float]) -> dict[str, tuple[FrameBoxes, ...]]:
    """Return the boxes in `extra["shown"]`; a frame takes the entry nearest in time."""
    entries = clip.extra.get("shown", ())
    if not entries:
        return {}
    nearest = [min(entries, key=lambda entry: abs(entry["time"] - time)) for time in times]
    return {
        product: tuple(
            (tuple(entry["boxes"][product]),) if product in entry["boxes"] else ()
            for entry in nearest
        )
        for product in dict.fromkeys(product for entry in nearest for product in entry["boxes"])
    }


def visible_at_times(
    clip: Clip, times: Sequence[float], boxes: Sequence[FrameBoxes]
) -> tuple[bool, ...]:
    """Return whether the frames of a clip at some times show its product; empty if unknown.

    `extra["visible_span"]` [from, to] in seconds decides; without it, the `boxes` of the frames.
    """
    span = clip.extra.get("visible_span")
    if span is not None:
        return tuple(span[0] <= time <= span[1] for time in times)
    return tuple(bool(frame_boxes) for frame_boxes in boxes) if clip.boxes else ()


def patches_in_boxes(
    frames: Sequence[Sequence[ImageArray]],
    boxes: Sequence[Sequence[FrameBoxes]],
    canvases: Sequence[Canvas],
    grids: PatchGrids,
) -> Tensor:
    """Return which patches of B clips' frames lie inside a box: (B, T, N) bool, False at padding.

    Args:
        frames: the frames of each clip.
        boxes: the boxes of each frame of each clip; empty for a clip without labels.
        canvases: canvases of the image tower.
        grids: rows and columns of its patches on each canvas.

    T and N are those of `ItemTokens`: the longest clip and the largest grid among the frames.
    """
    clip_canvases = [[choose_canvas(image, canvases) for image in clip] for clip in frames]
    patches = max((prod(grids[canvas]) for clip in clip_canvases for canvas in clip), default=0)
    mask = np.zeros((len(frames), max([1, *map(len, frames)]), patches), dtype=bool)
    for clip, clip_boxes in enumerate(boxes):
        for frame, frame_boxes in enumerate(clip_boxes):
            canvas = clip_canvases[clip][frame]
            covered = _covered(frame_boxes, frames[clip][frame].shape, canvas, grids[canvas])
            mask[clip, frame, : covered.size] = covered.ravel()
    return torch.from_numpy(mask)


def _covered(
    boxes: FrameBoxes, shape: Sequence[int], canvas: Canvas, grid: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return which patches (rows, columns) of an image on its canvas lie inside some box."""
    top, left, height, width = compute_placement(shape, canvas)
    mask = np.zeros(grid, dtype=bool)
    for x, y, right, bottom in boxes:
        if x < right and y < bottom:  # a box without an area shows nothing
            rows = _cells_between(grid[0], canvas[0], top + height * y, top + height * bottom)
            columns = _cells_between(grid[1], canvas[1], left + width * x, left + width * right)
            mask |= rows[:, None] & columns
    return mask


def _cells_between(cells: int, length: int, start: float, end: float) -> NDArray[np.bool_]:
    """Return which cells of a side have their center between `start` and `end`, in pixels.

    A range narrower than a cell counts as one cell, so that a small product has a patch.
    """
    cell = length / cells
    half = max(end - start, cell) / 2
    centers = (np.arange(cells) + 0.5) * cell
    return np.asarray(np.abs(centers - (start + end) / 2) <= half * (1 + 1e-9))
