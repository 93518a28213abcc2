"""Boxes of labelled frames, and which patches of the picture tower lie inside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgmn.model.inputs import Canvas, nearest_canvas, placement
from sgmn.records import Box, Clip, Picture

Boxes = tuple[Box, ...]  # of one frame
Grids = Mapping[Canvas, tuple[int, int]]  # rows and columns of patches on each canvas


def at_times(clip: Clip, times: Sequence[float], rate_hz: float) -> tuple[Boxes, ...]:
    """The boxes of a clip's frames at `times`, seconds as `clips.timed_clip_frames` gives them.

    A clip's K sets of boxes lie at equal steps, from its start on: of K frames on disk each has
    its own. A frame takes the set that is nearest in time; none where neither the clip nor its
    video states an end.
    """
    length_s = _length_s(clip, rate_hz) if clip.boxes else 0.0
    if length_s <= 0:
        return ((),) * len(times)
    begins, last = clip.start if clip.video else 0.0, len(clip.boxes) - 1
    places = (round((time - begins) / length_s * len(clip.boxes)) for time in times)
    return tuple(clip.boxes[min(place, last)] for place in places)


def _length_s(clip: Clip, rate_hz: float) -> float:
    if clip.video is None:
        return len(clip.frames) / rate_hz
    from sgmn.media import video  # clips of pictures need no PyAV

    return (video.duration(clip.video) if clip.end is None else clip.end) - clip.start


def inside(
    frames: Sequence[Sequence[Picture]],
    boxes: Sequence[Sequence[Boxes]],
    canvases: Sequence[Canvas],
    grids: Grids,
) -> Tensor:
    """Which patches (B, T, N) of B clips' frames lie inside a box: bool, False at padding.

    boxes: of each frame of each clip, or none at all for a clip without. T and N are those of
    `Tokens`: of the longest clip and of the largest grid among the pictures.
    """
    chosen = [[nearest_canvas(picture, canvases) for picture in shown] for shown in frames]
    patches = max((prod(grids[canvas]) for of_clip in chosen for canvas in of_clip), default=0)
    found = np.zeros((len(frames), max([1, *map(len, frames)]), patches), dtype=bool)
    for clip, of_clip in enumerate(boxes):
        for place, of_frame in enumerate(of_clip):
            canvas = chosen[clip][place]
            covered = _covered(of_frame, frames[clip][place].shape, canvas, grids[canvas])
            found[clip, place, : covered.size] = covered.ravel()
    return torch.from_numpy(found)


def _covered(
    boxes: Boxes, shape: Sequence[int], canvas: Canvas, grid: tuple[int, int]
) -> NDArray[np.bool_]:
    """(rows, columns): the patches of a canvas that lie inside some box of the picture on it."""
    top, left, height, width = placement(shape, canvas)
    found = np.zeros(grid, dtype=bool)
    for x, y, right, bottom in boxes:
        if x < right and y < bottom:  # without an area: nothing is to be seen
            down = _reached(grid[0], canvas[0], top + height * y, top + height * bottom)
            across = _reached(grid[1], canvas[1], left + width * x, left + width * right)
            found |= down[:, None] & across
    return found


def _reached(cells: int, length: int, start: float, end: float) -> NDArray[np.bool_]:
    """Which cells of a side have their middle between `start` and `end`, all in pixels.

    What is narrower than a cell counts as one: a small product has a patch all the same.
    """
    cell = length / cells
    half = max(end - start, cell) / 2
    middles = (np.arange(cells) + 0.5) * cell
    return np.asarray(np.abs(middles - (start + end) / 2) <= half * (1 + 1e-9))
