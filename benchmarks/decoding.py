"""How fast is the frame reader compared with plain PyAV loops?

    python benchmarks/decoding.py [--seconds 300] [--repeats 3]

Three readers of one generated 1080p H.264 file; the readers run alternately:
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

from sgmn.media import video

WIDTH, HEIGHT, FPS = 1920, 1080, 25
MARGIN = 400  # pixels by which the canvas is larger than a frame
MAX_SIDE = 224
THREAD_TYPE = "AUTO"  # as in the reader
MIN_SPEEDUP, MAX_OVERHEAD = 1.5, 1.15


def main() -> None:
    options = parse_options()
    path = ensure_video(options.cache, options.seconds)
    readers: dict[str, Callable[[Path], int]] = {
        "reader": read_sampled,
        "convert": convert_all,
        "decode": decode_all,
    }
    times: dict[str, list[float]] = {name: [] for name in readers}
    counts: dict[str, int] = {}
    for _ in range(options.repeats):
        for name, read in readers.items():
            start = time.perf_counter()
            counts[name] = read(path)
            times[name].append(time.perf_counter() - start)
    print_table(times, counts, options.seconds)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300, help="length of the video")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the median counts")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "sgmn-bench")
    return parser.parse_args()


def ensure_video(cache: Path, seconds: int) -> Path:
    """Return the path of the video, which is generated once."""
    path = cache / f"moving-{WIDTH}x{HEIGHT}-{seconds}s.mp4"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        start = time.perf_counter()
        write_video(unfinished, seconds)
        unfinished.rename(path)
        print(f"generated {path} in {time.perf_counter() - start:.0f} s")
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")
    return path


def write_video(path: Path, seconds: int) -> None:
    """Encode a window that moves over a noisy canvas, so that decoding is realistic work."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0 : HEIGHT + MARGIN, 0 : WIDTH + MARGIN].astype(np.float32)
    canvas = 90 + 60 * np.sin(x / 37) * np.cos(y / 53) + rng.normal(0, 12, x.shape)
    luma = np.clip(canvas, 16, 235).astype(np.uint8)
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.thread_type = "FRAME"  # one slice per frame, as cameras and platforms encode
        stream.options = {"preset": "veryfast", "crf": "26"}
        for number in range(seconds * FPS):
            frame = av.VideoFrame.from_ndarray(frame_planes(luma, number), "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def frame_planes(luma: np.ndarray, number: int) -> np.ndarray:
    """Return the YUV 4:2:0 planes (H * 3 / 2, W) of a frame."""
    left = int(MARGIN / 2 + (MARGIN / 2 - 1) * np.sin(number / 40))
    top = int(MARGIN / 2 + (MARGIN / 2 - 1) * np.cos(number / 31))
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    planes[:HEIGHT] = luma[top : top + HEIGHT, left : left + WIDTH]
    planes[HEIGHT:, : WIDTH // 2] = 96 + number % 64
    return planes


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


def print_table(times: dict[str, list[float]], counts: dict[str, int], seconds: int) -> None:
    medians = {name: statistics.median(values) for name, values in times.items()}
    repeats = len(times["reader"])
    print(f"{os.cpu_count()} cores, thread type {THREAD_TYPE}, medians of {repeats} rounds")
    print(f"{'reader':<10}{'frames':>8}{'seconds':>9}{'of real time':>14}")
    for name, value in medians.items():
        print(f"{name:<10}{counts[name]:>8}{value:>9.2f}{value / seconds:>14.3f}")
    speedup = medians["convert"] / medians["reader"]
    overhead = medians["reader"] / medians["decode"]
    print(f"convert / reader = {speedup:.2f} (target: at least {MIN_SPEEDUP})")
    print(f"reader / decode  = {overhead:.2f} (target: at most {MAX_OVERHEAD})")


if __name__ == "__main__":
    main()
