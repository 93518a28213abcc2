"""Convert a decoded video frame to upright RGB with square pixels."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from sgmn.records import ImageArray

# A pixel more than four times as wide as high indicates a broken header, not a format.
_MAX_PIXEL_ASPECT = 4


class UprightConverter:
    """Converts the frames of a video to uint8 RGB, (H, W, 3), as a player displays them.

    Args:
        max_side: Maximum length of the longer side, in pixels. The aspect ratio is kept, and
            nothing is enlarged.
    """

    def __init__(self, max_side: int | None = None) -> None:
        self._max_side = max_side
        self._reformatter = VideoReformatter()
        # By angle, because PyAV's side data and its frame refer to each other: each frame whose
        # side data was read stays in memory until the next garbage collection.
        self._matrices: dict[int, tuple[int, ...] | None] = {}

    def convert(self, frame: VideoFrame, pixel_aspect: Fraction | None = None) -> ImageArray:
        """Convert a decoded frame, scaled in the same pass (swscale).

        Args:
            frame: The decoded frame.
            pixel_aspect: Width of a stored pixel divided by its height.

        Raises:
            ValueError or av.FFmpegError: If libav cannot convert the frame.
        """
        width, height = _output_size(frame, pixel_aspect, self._max_side)
        converted = self._reformatter.reformat(frame, width, height, "rgb24", threads=1)
        rgb = cast(ImageArray, converted.to_ndarray())
        angle = frame.rotation
        if angle not in self._matrices:
            self._matrices[angle] = _read_display_matrix(frame)
        return np.ascontiguousarray(_apply_display_matrix(rgb, self._matrices[angle]))


def _output_size(
    frame: VideoFrame, pixel_aspect: Fraction | None, max_side: int | None
) -> tuple[int, int]:
    width, height = float(frame.width), float(frame.height)
    if pixel_aspect and 1 / _MAX_PIXEL_ASPECT <= pixel_aspect <= _MAX_PIXEL_ASPECT:
        width *= float(pixel_aspect)
    scale = 1.0 if max_side is None else min(1.0, max_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _read_display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    """The 3x3 display matrix in row order, which phones write, or None."""
    data = cast(Any, frame.side_data).get("DISPLAYMATRIX")
    return None if data is None else tuple(np.frombuffer(data, dtype=np.int32).tolist())


def _apply_display_matrix(rgb: ImageArray, matrix: tuple[int, ...] | None) -> ImageArray:
    """Rotate by multiples of 90 degrees and mirror.

    The matrix maps stored coordinates x, y to displayed ones: (a x + c y, b x + d y).
    """
    if matrix is None:
        return rgb
    a, b, _, c, d = matrix[:5]
    if abs(a) + abs(d) < abs(b) + abs(c):
        rgb, a, d = rgb.swapaxes(0, 1), c, b
    rgb = rgb[:, ::-1] if a < 0 else rgb
    return rgb[::-1] if d < 0 else rgb
