"""How fast is the frame reader beside plain PyAV? Prints a table of seconds and ratios.

Three ways through one generated 1080p H.264 file, one after the other in each round:
  reader   sgmn.media.video.frames, one frame a second, longer side 224
  convert  a plain PyAV loop that turns every frame into an RGB array
  decode   a plain PyAV loop that converts nothing
Aims: convert / reader at least 1.5, reader / decode at most 1.15.
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

from sgmn.media import video

WIDTH, HEIGHT, RATE = 1920, 1080, 25
MAX_SIDE = 224
THREADS = "AUTO"  # as the reader sets it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300, help="length of the video")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the median counts")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "sgmn-bench")
    options = parser.parse_args()
    path = ensure_video(options.cache, options.seconds)
    sides: dict[str, Callable[[Path], int]] = {
        "reader": read_due,
        "convert": convert_all,
        "decode": decode_all,
    }
    taken: dict[str, list[float]] = {name: [] for name in sides}
    counts: dict[str, int] = {}
    for _ in range(options.repeats):
        for name, side in sides.items():
            began = time.perf_counter()
            counts[name] = side(path)
            taken[name].append(time.perf_counter() - began)
    show(taken, counts, options.seconds)


def ensure_video(cache: Path, seconds: int) -> Path:
    """The file, made once; content that moves, with noise, so that decoding is real work."""
    path = cache / f"moving-{WIDTH}x{HEIGHT}-{seconds}s.mp4"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        began = time.perf_counter()
        encode(unfinished, seconds)
        unfinished.rename(path)
        print(f"made {path} in {time.perf_counter() - began:.0f} s")
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")
    return path


def encode(path: Path, seconds: int) -> None:
    rng = np.random.default_rng(0)
    # One large canvas of gradients and noise; the picture is a window that wanders over it.
    y, x = np.mgrid[0 : HEIGHT + 400, 0 : WIDTH + 400].astype(np.float32)
    canvas = 90 + 60 * np.sin(x / 37) * np.cos(y / 53) + rng.normal(0, 12, x.shape)
    luma = np.clip(canvas, 16, 235).astype(np.uint8)
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.thread_type = "FRAME"  # one slice a picture, as cameras and platforms make them
        stream.options = {"preset": "veryfast", "crf": "26"}
        for i in range(seconds * RATE):
            left, top = int(200 + 199 * np.sin(i / 40)), int(200 + 199 * np.cos(i / 31))
            shot = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
            shot[:HEIGHT] = luma[top : top + HEIGHT, left : left + WIDTH]
            shot[HEIGHT:, : WIDTH // 2] = 96 + i % 64
            frame = av.VideoFrame.from_ndarray(shot, "yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_due(path: Path) -> int:
    return sum(1 for _ in video.frames(path, rate_hz=1.0, max_side=MAX_SIDE))


def convert_all(path: Path) -> int:
    with av.open(path) as container:
        container.streams.video[0].thread_type = THREADS
        return sum(
            frame.to_ndarray(format="rgb24").shape[0] > 0 for frame in container.decode(video=0)
        )


def decode_all(path: Path) -> int:
    with av.open(path) as container:
        container.streams.video[0].thread_type = THREADS
        return sum(1 for _ in container.decode(video=0))


def show(taken: dict[str, list[float]], counts: dict[str, int], seconds: int) -> None:
    median = {name: statistics.median(times) for name, times in taken.items()}
    print(f"{os.cpu_count()} cores, thread type {THREADS}, medians of {len(taken['reader'])}")
    print(f"{'side':<10}{'frames':>8}{'seconds':>9}{'of real time':>14}")
    for name, value in median.items():
        print(f"{name:<10}{counts[name]:>8}{value:>9.2f}{value / seconds:>14.3f}")
    faster = median["convert"] / median["reader"]
    dearer = median["reader"] / median["decode"]
    print(f"convert / reader = {faster:.2f} (aim: at least 1.5)")
    print(f"reader / decode  = {dearer:.2f} (aim: at most 1.15)")


if __name__ == "__main__":
    main()
