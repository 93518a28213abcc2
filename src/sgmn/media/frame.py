"""A decoded frame and its time."""

from __future__ import annotations

from dataclasses import dataclass

from sgmn.records import ImageArray


@dataclass(frozen=True, slots=True)
class Frame:
    """A video frame.

    Attributes:
        time_s: Seconds from the start of the video.
        rgb: uint8 RGB, (H, W, 3).
    """

    time_s: float
    rgb: ImageArray
