"""Tiny videos whose frames carry their number, so that tests can tell which one was taken."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT, BITS, CELL = 64, 48, 8, 8


def drawn(number: int) -> np.ndarray:
    """A frame whose upper edge shows `number` in black and white cells, the highest bit left."""
    rgb = np.full((HEIGHT, WIDTH, 3), 96, np.uint8)
    for bit in range(BITS):
        rgb[:16, bit * CELL : (bit + 1) * CELL] = 255 * (number >> (BITS - 1 - bit) & 1)
    return rgb


def number(rgb: np.ndarray) -> int:
    """The number that a frame shows, whatever its size."""
    height, width = rgb.shape[:2]
    row = rgb[height // 6, :, 1]
    cells = [int(row[int((bit + 0.5) * width / BITS)]) for bit in range(BITS)]
    return int("".join("1" if cell > 127 else "0" for cell in cells), 2)


def film(
    path: Path,
    times_s: Sequence[float],
    *,
    codec: str = "libx264",
    rate: int = 10,
    tick: Fraction = Fraction(1, 1000),
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    rotation: float | None = None,
    mirrored: bool = False,
    pixel_aspect: Fraction | None = None,
    sound_from_s: float | None = None,
    sound_s: float = 1.0,
    noise: bool = False,
) -> Path:
    """Write one numbered frame at each time; optionally with silence as sound."""
    with av.open(path, "w", options=container or {}) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"bf": "2", "g": "20", **(options or {})}
        stream.codec_context.time_base = tick
        if rotation is not None:
            stream.set_display_rotation(rotation, hflip=mirrored)
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        sound = None if sound_from_s is None else out.add_stream("aac", rate=8000, layout="mono")
        if sound is not None:
            out.mux(packet for f in silence(sound_from_s, sound_s) for packet in sound.encode(f))
            out.mux(sound.encode(None))
        for i, time_s in enumerate(times_s):
            rgb = drawn(i)
            if noise:  # so that every packet has some size
                rgb[20:] = np.random.default_rng(i).integers(0, 255, rgb[20:].shape)
            frame = av.VideoFrame.from_ndarray(rgb)
            frame.pts, frame.time_base = round(time_s / tick), tick
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def silence(from_s: float, length_s: float) -> list[av.AudioFrame]:
    blocks = []
    for i in range(round(length_s * 8000 / 1024)):
        block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        block.sample_rate, block.time_base = 8000, Fraction(1, 8000)
        block.pts = round(from_s * 8000) + i * 1024
        blocks.append(block)
    return blocks


def steady(seconds: float, rate: int = 10, from_s: float = 0.0) -> list[float]:
    return [from_s + i / rate for i in range(round(seconds * rate))]
