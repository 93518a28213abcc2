"""Compare the frame reader with plain PyAV. Prints seconds and ratios.

Each round runs three ways through one generated 1080p H.264 file, one after the other:
  reader   sgmn.media.video.read_frames, one frame per second, longer side 224
  convert  a plain PyAV loop that converts every frame to an RGB array
  decode   a plain PyAV loop that converts nothing
Targets: convert / reader at least 1.5, reader / decode at most 1.15.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sgmn.media import video

WIDTH, HEIGHT, RATE = 1920, 1080, 25
MARGIN = 400  # by which the canvas exceeds the frame
MAX_SIDE = 224
THREAD_TYPE = "AUTO"  # as in the reader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300, help="length of the video")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the median counts")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "sgmn-bench")
    options = parser.parse_args()
    path = ensure_video(options.cache, options.seconds)
    methods: dict[str, Callable[[Path], int]] = {
        "reader": read_sampled,
        "convert": convert_all,
        "decode": decode_all,
    }
    times_s: dict[str, list[float]] = {name: [] for name in methods}
    frame_counts: dict[str, int] = {}
    for _ in range(options.repeats):
        for name, method in methods.items():
            start = time.perf_counter()
            frame_counts[name] = method(path)
            times_s[name].append(time.perf_counter() - start)
    print_table(times_s, frame_counts, options.seconds)


def ensure_video(cache: Path, seconds: int) -> Path:
    """Return the video, encoded once; it moves and has noise, so that decoding is real work."""
    path = cache / f"moving-{WIDTH}x{HEIGHT}-{seconds}s.mp4"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        start = time.perf_counter()
        encode_video(temporary, seconds)
        temporary.rename(path)
        print(f"encoded {path} in {time.perf_counter() - start:.0f} s")
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")
    return path


def encode_video(path: Path, seconds: int) -> None:
    canvas = draw_canvas()
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.thread_type = "FRAME"  # one slice per frame, as cameras and platforms encode
        stream.options = {"preset": "veryfast", "crf": "26"}
        for i in range(seconds * RATE):
            frame = av.VideoFrame.from_ndarray(draw_yuv_frame(canvas, i), "yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def draw_canvas() -> NDArray[np.uint8]:
    """Gradients and noise, larger than a frame."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0 : HEIGHT + MARGIN, 0 : WIDTH + MARGIN].astype(np.float32)
    canvas = 90 + 60 * np.sin(x / 37) * np.cos(y / 53) + rng.normal(0, 12, x.shape)
    luma: NDArray[np.uint8] = np.clip(canvas, 16, 235).astype(np.uint8)
    return luma


def draw_yuv_frame(canvas: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """A window that moves over the canvas, in planar YUV 4:2:0."""
    left, top = int(200 + 199 * np.sin(number / 40)), int(200 + 199 * np.cos(number / 31))
    yuv = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    yuv[:HEIGHT] = canvas[top : top + HEIGHT, left : left + WIDTH]
    yuv[HEIGHT:, : WIDTH // 2] = 96 + number % 64
    return yuv


def read_sampled(path: Path) -> int:
    return sum(1 for _ in video.read_frames(path, rate_hz=1.0, max_side=MAX_SIDE))


def convert_all(path: Path) -> int:
    with av.open(path) as container:
        container.streams.video[0].thread_type = THREAD_TYPE
        return sum(
            frame.to_ndarray(format="rgb24").shape[0] > 0 for frame in container.decode(video=0)
        )


def decode_all(path: Path) -> int:
    with av.open(path) as container:
        container.streams.video[0].thread_type = THREAD_TYPE
        return sum(1 for _ in container.decode(video=0))


def print_table(
    times_s: dict[str, list[float]], frame_counts: dict[str, int], seconds: int
) -> None:
    medians = {name: statistics.median(values) for name, values in times_s.items()}
    repeats = len(times_s["reader"])
    print(f"{os.cpu_count()} cores, thread type {THREAD_TYPE}, medians of {repeats}")
    print(f"{'method':<10}{'frames':>8}{'seconds':>9}{'of real time':>14}")
    for name, value in medians.items():
        print(f"{name:<10}{frame_counts[name]:>8}{value:>9.2f}{value / seconds:>14.3f}")
    convert_ratio = medians["convert"] / medians["reader"]
    decode_ratio = medians["reader"] / medians["decode"]
    print(f"convert / reader = {convert_ratio:.2f} (target: at least 1.5)")
    print(f"reader / decode  = {decode_ratio:.2f} (target: at most 1.15)")


if __name__ == "__main__":
    main()
