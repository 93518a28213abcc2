"""How fast is `sgmn watch`, and do decoding and encoding overlap?

    python benchmarks/watching.py [--video FILE | --from CLIP] [--index INDEX] [--seconds 60]

Two modes of watching one 1080p H.264 file. Each is measured as decoding alone, as encoding and
scoring alone (frames in memory), and as a whole; the stages run alternately:
  recording  StreamRecognizer.watch
  live       Session over a LiveSource of the file
Set OMP_WAIT_POLICY=PASSIVE, as `sgmn` and `make bench` do. Without --video, the file is generated:
a crop that moves over enlarged frames of CLIP, or over random images, with noise, so that decoding
is realistic work. The transcript covers the whole file.
Targets: at least 8 seconds of video per second, and at most 1.25 times as long as the slower of
the two stages alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice, repeat
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image, ImageOps

import sgmn
from sgmn.catalogue.index import Index
from sgmn.catalogue.shelf import Shelf
from sgmn.live.frame_buffer import FrameBuffer
from sgmn.live.recognizer import StreamRecognizer
from sgmn.live.recording import BATCH_SIZE
from sgmn.live.session import Session
from sgmn.live.windows import FRAME_RATE_HZ, cut_windows
from sgmn.media import video
from sgmn.media.live_source import LiveFrame, LiveSource
from sgmn.model.embedder import Embedder
from sgmn.records import ImageArray, Product, ProductContent, Utterance
from sgmn.workflows import loading

WIDTH, HEIGHT, FPS = 1920, 1080, 25
MARGIN = 200  # pixels by which the crop moves
FRAMES_PER_IMAGE = 5  # frames of the file before the image under the crop changes
BIT_RATE = 5_000_000  # bits per second, as platforms recommend for this size
NOISE_LEVELS = 5  # of 256
UTTERANCE_S = 5.0
MIN_REAL_TIME_FACTOR, MAX_RATIO = 8.0, 1.25
RECORDING, LIVE = "recording", "live"
DECODE, ENCODE, WHOLE = "decode", "encode and score", "whole"
Stages = dict[tuple[str, str], Callable[[], object]]  # by mode and stage
Times = dict[tuple[str, str], list[tuple[float, float]]]  # wall and CPU seconds (all cores)


def main() -> None:
    options = parse_options()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    torch.set_num_threads(options.threads or options.cores)
    recognizer = load_recognizer(options.index)
    with tempfile.TemporaryDirectory() as folder:
        path = options.video or Path(folder) / "stream.mp4"
        if options.video is None:
            write_video(path, options.clip, options.seconds)
        duration_s = video.read_duration(path)
        bit_rate = path.stat().st_size * 8e-6 / duration_s
        print(f"{path.name}: {duration_s:.0f} s, {bit_rate:.1f} Mbit/s")
        transcript = generate_transcript(recognizer.shelf.products, duration_s)
        stages = build_stages(path, recognizer, transcript)
        print_table(measure(stages, options.repeats), duration_s)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--video", type=Path, help="file to watch")
    parser.add_argument("--from", type=Path, dest="clip", help="video to enlarge")
    parser.add_argument("--seconds", type=int, default=60, help="length of a generated file")
    parser.add_argument("--index", type=Path, help="default: 50 products with random images")
    parser.add_argument("--cores", type=int, default=2, help="number of cores to use")
    parser.add_argument("--threads", type=int, help="threads of torch; default: one per core")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the median counts")
    return parser.parse_args()


def load_recognizer(path: Path | None) -> StreamRecognizer:
    """Return a recognizer for the shop of an index, or for products with random images."""
    if path is not None:
        index = Index.open(path)
        shelf = loading.ShelfCache(index)[loading.resolve_shop(index, None)]
        return StreamRecognizer(index.embedder, shelf)
    embedder = sgmn.load("builtin").embedder
    return StreamRecognizer(embedder, random_shelf(embedder))


def random_shelf(embedder: Embedder) -> Shelf:
    rng = np.random.default_rng(0)
    titles = [f"fresh green lime number {number}" for number in range(50)]
    contents = [ProductContent((random_image(rng, 224, 224),), title) for title in titles]
    return Shelf([Product(title, title) for title in titles], embedder.encode_products(contents))


def random_image(rng: np.random.Generator, width: int, height: int) -> ImageArray:
    """Return noise of several scales, with the coarsest strongest, as in photographs."""
    image = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((4, 0.5), (16, 0.25), (64, 0.15), (256, 0.1)):
        noise = Image.fromarray(rng.integers(256, size=(cells, cells, 3), dtype=np.uint8))
        image += weight * np.asarray(noise.resize((width, height)), np.float32)
    return image.astype(np.uint8)


def generate_transcript(products: Sequence[Product], duration_s: float) -> list[Utterance]:
    """Return utterances without gaps, each about the next product."""
    starts = np.arange(0.0, duration_s, UTTERANCE_S)
    return [
        Utterance(at, at + UTTERANCE_S, f"today i have this {products[i % len(products)].title}")
        for i, at in enumerate(starts.tolist())
    ]


def write_video(path: Path, clip: Path | None, seconds: int) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate, stream.gop_size = BIT_RATE, 2 * FPS
        stream.thread_type = "FRAME"  # one slice per frame, as cameras and platforms encode
        stream.options = {"preset": "veryfast"}
        for number, frame in enumerate(islice(generate_frames(clip), seconds * FPS)):
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def generate_frames(clip: Path | None) -> Iterator[av.VideoFrame]:
    """Yield noisy crops that move over images, without end."""
    rng = np.random.default_rng(1)
    shape = (7, HEIGHT, WIDTH)
    noise = rng.integers(-NOISE_LEVELS, NOISE_LEVELS + 1, shape, np.int8).view(np.uint8)
    images = chain.from_iterable(repeat(i, FRAMES_PER_IMAGE) for i in generate_images(clip))
    for number, image in enumerate(images):
        left = int(MARGIN / 2 * (1 + np.sin(number / 40)))
        top = int(MARGIN / 2 * (1 + np.cos(number / 31)))
        crop = np.ascontiguousarray(image[top : top + HEIGHT, left : left + WIDTH])
        planes = av.VideoFrame.from_ndarray(crop, "rgb24").to_ndarray(format="yuv420p")
        # Luma is in 16..235, so uint8 addition of the wrapped negative noise cannot overflow.
        planes[:HEIGHT] += noise[number % len(noise)]
        yield av.VideoFrame.from_ndarray(planes, "yuv420p")


def generate_images(clip: Path | None) -> Iterator[ImageArray]:
    """Yield images that are larger than a frame, without end."""
    width, height, rng = WIDTH + MARGIN, HEIGHT + MARGIN, np.random.default_rng(0)
    while True:
        if clip is None:
            yield from repeat(random_image(rng, width, height), 4 * FPS // FRAMES_PER_IMAGE)
            continue
        for frame in video.read_frames(clip, rate_hz=FPS / FRAMES_PER_IMAGE):
            yield np.asarray(ImageOps.fit(Image.fromarray(frame.rgb), (width, height)))


@dataclass(frozen=True)
class MemorySource:
    """A live source whose frames are in memory."""

    frames: Sequence[LiveFrame]
    damage: tuple[str, ...] = ()
    dropped_frames: int = 0
    reconnects: int = 0

    def __iter__(self) -> Iterator[LiveFrame]:
        return iter(self.frames)

    def close(self) -> None:
        """Do nothing: the frames end by themselves."""


def build_stages(
    path: Path, recognizer: StreamRecognizer, transcript: Sequence[Utterance]
) -> Stages:
    max_side, settings = recognizer.embedder.max_side, recognizer.settings
    session = Session(recognizer)

    def decode() -> list[video.Frame]:
        return list(video.read_frames(path, rate_hz=FRAME_RATE_HZ, max_side=max_side))

    def open_live() -> LiveSource:
        return LiveSource(str(path), rate_hz=FRAME_RATE_HZ, max_side=max_side)

    def decode_live() -> list[LiveFrame]:
        with open_live() as source:
            return list(source)

    def score() -> object:
        buffer = FrameBuffer(recognizer.embedder, frames)
        times_s = buffer.frame_times_s()
        windows = cut_windows(times_s, transcript, settings.window_s, settings.hop_s)
        return list(recognizer.score_windows(windows, buffer, BATCH_SIZE))

    def watch_live() -> object:
        with open_live() as source:
            return session.run(source, transcript)

    frames, memory_source = decode(), MemorySource(decode_live())
    return {
        (RECORDING, DECODE): decode,
        (RECORDING, ENCODE): score,
        (RECORDING, WHOLE): lambda: recognizer.watch(path, transcript),
        (LIVE, DECODE): decode_live,
        (LIVE, ENCODE): lambda: session.run(memory_source, transcript),
        (LIVE, WHOLE): watch_live,
    }


def measure(stages: Stages, repeats: int) -> Times:
    """Return the times of each stage, after one run of the encoding as a warm-up."""
    times: Times = {name: [] for name in stages}
    stages[RECORDING, ENCODE]()
    for _ in range(repeats):
        for name, run in stages.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return times


def print_table(times: Times, duration_s: float) -> None:
    cores, threads = len(os.sched_getaffinity(0)), torch.get_num_threads()
    print(f"{cores} cores, {threads} torch threads, load {os.getloadavg()[0]:.1f}")
    print(f"{'mode':<12}{'stage':<18}{'seconds':>9}{'cores busy':>12}{'real-time factor':>18}")
    medians = {name: statistics.median(wall for wall, _ in pairs) for name, pairs in times.items()}
    for (mode, stage), seconds in medians.items():
        busy = statistics.median(cpu / wall for wall, cpu in times[mode, stage])
        factor = duration_s / seconds
        print(f"{mode:<12}{stage:<18}{seconds:>9.2f}{busy:>12.2f}{factor:>18.1f}")
    for mode in (RECORDING, LIVE):
        whole = medians[mode, WHOLE]
        slower = max(medians[mode, DECODE], medians[mode, ENCODE])
        factor, ratio = duration_s / whole, whole / slower
        print(f"{mode}: real-time factor {factor:.1f} (target: at least {MIN_REAL_TIME_FACTOR})")
        print(f"{mode}: whole / slower stage = {ratio:.2f} (target: at most {MAX_RATIO})")


if __name__ == "__main__":
    main()
