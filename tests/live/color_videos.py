"""Small videos of plain colors, one per second, whose frames all differ a little."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from tests.live.color_streams import COLORS

SIDE, FPS = 32, 5


def write_color_video(
    path: Path, colors: Sequence[str], gop_s: float = 2.0, times_s: Sequence[float] | None = None
) -> Path:
    """Write a video with one color per second, and a key frame every `gop_s` seconds.

    The brightness changes from frame to frame, so that windows of other frames score differently.
    `times_s` are the times of the frames; by default, five per second.
    """
    times_s = [i / FPS for i in range(len(colors) * FPS)] if times_s is None else times_s
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        assert isinstance(stream, VideoStream)
        stream.width = stream.height = SIDE
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 1000)
        gop = str(round(gop_s * FPS))
        stream.options = {"g": gop, "keyint_min": gop, "sc_threshold": "0", "crf": "10"}
        for number, time_s in enumerate(times_s):
            rgb = np.zeros((SIDE, SIDE, 3), np.uint8)
            color = colors[min(int(time_s), len(colors) - 1)]
            if color in COLORS:
                rgb[..., COLORS.index(color)] = 100 + 37 * number % 120
            frame = av.VideoFrame.from_ndarray(rgb)
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
