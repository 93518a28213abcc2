"""A decoded video frame to upright RGB with square pixels."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from sgmn.records import ImageArray

# A pixel five times as wide as high is a broken header, not a format.
_WIDEST_PIXEL = 4


def convert_to_upright_rgb(
    frame: VideoFrame,
    reformatter: VideoReformatter,
    *,
    pixel_aspect: Fraction | None = None,
    max_side: int | None = None,
) -> ImageArray:
    """Convert to uint8 RGB, (H, W, 3), as a player would show it.

    `pixel_aspect` is the width of one stored pixel over its height. `max_side` (pixels)
    bounds the longer side, aspect kept, never enlarging. Scaling is swscale's, in the same
    pass as the conversion. Raises ValueError or an av.FFmpegError.
    """
    width, height = _size(frame, pixel_aspect, max_side)
    small = reformatter.reformat(frame, width, height, "rgb24", threads=1)
    return np.ascontiguousarray(_turned(cast(ImageArray, small.to_ndarray()), _matrix(frame)))


def _size(frame: VideoFrame, aspect: Fraction | None, max_side: int | None) -> tuple[int, int]:
    width, height = float(frame.width), float(frame.height)
    if aspect and 1 / _WIDEST_PIXEL <= aspect <= _WIDEST_PIXEL:
        width *= float(aspect)
    longer = max(width, height)
    share = 1.0 if max_side is None else min(1.0, max_side / longer)
    return max(1, round(width * share)), max(1, round(height * share))


def _matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    """The 3x3 display matrix, row by row (a phone held upright writes one), if there is one."""
    data = cast(Any, frame.side_data).get("DISPLAYMATRIX")
    return None if data is None else tuple(np.frombuffer(data, dtype=np.int32).tolist())


def _turned(rgb: ImageArray, matrix: tuple[int, ...] | None) -> ImageArray:
    """Turn by quarters and mirror. The matrix maps stored x, y to shown (a x + c y, b x + d y)."""
    if matrix is None:
        return rgb
    a, b, _, c, d = matrix[:5]
    if abs(a) + abs(d) < abs(b) + abs(c):
        rgb, a, d = rgb.swapaxes(0, 1), c, b
    rgb = rgb[:, ::-1] if a < 0 else rgb
    return rgb[::-1] if d < 0 else rgb
