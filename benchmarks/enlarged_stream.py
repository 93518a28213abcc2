"""Turns a small stream into what platforms send: 1080×1920, 25 frames a second, 5 Mbit/s.

The picture is enlarged and moves a little, with noise, so that decoding is realistic work. What it
shows, and when, stays the same; so does its true timeline. A key frame comes every two seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sgmn.media import video
from sgmn.records import ImageArray

WIDTH, HEIGHT, FPS = 1080, 1920, 25
GOP_S = 2
BIT_RATE = 5_000_000  # bits per second, as platforms recommend for this size
MARGIN = 60  # pixels by which the picture moves
NOISE_LEVELS = 3  # of 256


def enlarge_stream(source: Path, path: Path) -> Path:
    """Write the enlarged stream, unless it is there already."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        _encode(source, unfinished)
        unfinished.rename(path)
    return path


def _encode(source: Path, path: Path) -> None:
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate, stream.gop_size = BIT_RATE, GOP_S * FPS
        stream.thread_type = "FRAME"  # one slice per frame, as cameras and platforms encode
        stream.options = {"preset": "veryfast", "sc_threshold": "0"}
        for number, planes in enumerate(_generate_planes(source)):
            frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _generate_planes(source: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the planes of each frame: noisy crops that move over the pictures of the source."""
    rng = np.random.default_rng(1)
    shape = (7, HEIGHT, WIDTH)
    noise = rng.integers(-NOISE_LEVELS, NOISE_LEVELS + 1, shape, np.int8).view(np.uint8)
    for number, image in enumerate(_repeat_images(source)):
        left = int(MARGIN / 2 * (1 + np.sin(number / 40)))
        top = int(MARGIN / 2 * (1 + np.cos(number / 31)))
        crop = np.ascontiguousarray(image[top : top + HEIGHT, left : left + WIDTH])
        frame = av.VideoFrame.from_ndarray(crop, "rgb24").reformat(format="yuv420p")
        planes: NDArray[np.uint8] = np.asarray(frame.to_ndarray(), np.uint8)
        # Luma is in 16..235, so uint8 addition of the wrapped negative noise cannot overflow.
        planes[:HEIGHT] += noise[number % len(noise)]
        yield planes


def _repeat_images(source: Path) -> Iterator[ImageArray]:
    """Yield an enlarged picture for each frame, at its own time."""
    image, number = None, 0
    for frame in video.read_frames(source, rate_hz=float(FPS)):
        while image is not None and number / FPS < frame.time_s:
            yield image
            number += 1
        size = (WIDTH + MARGIN, HEIGHT + MARGIN)
        image = np.asarray(ImageOps.fit(Image.fromarray(frame.rgb), size))
    end_s = max(video.read_duration(source), (number + 1) / FPS)
    while image is not None and number / FPS < end_s:
        yield image
        number += 1
