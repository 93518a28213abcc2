"""How fast is `sgmn watch`, and do decoding and encoding go side by side?

    python benchmarks/watching.py [--video FILE | --from CLIP] [--index INDEX] [--seconds 60]

Two ways through one 1080p H.264 file, each as its decoding alone, its encoding and scoring alone
(of frames in memory), and whole; the sides take turns:
  recording  Recognizer.watch
  live       Session over a LiveSource of the file
Run it with OMP_WAIT_POLICY=PASSIVE, as `sgmn` sets it for itself and `make bench` for this.
Without --video the file is made: a crop that wanders over enlarged frames of CLIP, or over drawn
pictures, with grain, so that decoding is real work. Somebody speaks all the time.
Aims: the whole at least 8 seconds of video a second, and at most 1.25 times as long as the slower
of its two stages alone.
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

from sgmn.catalogue.shelf import Shelf
from sgmn.live.recognizer import RATE_HZ, TOGETHER, Recognizer, Reel
from sgmn.live.session import Session
from sgmn.live.windows import windows
from sgmn.media import video
from sgmn.media.live_source import LiveFrame, LiveSource
from sgmn.model.embedder import Embedder
from sgmn.records import Picture, Product, ProductContent, Utterance
from sgmn.workflows import opening

WIDTH, HEIGHT, RATE = 1920, 1080, 25
MARGIN = 200  # pixels that the crop may wander
HELD = 5  # frames of the file for which one picture lies under the crop
BIT_RATE = 5_000_000  # a second, as platforms ask for at this size
GRAIN = 5  # of 256 levels
UTTERANCE_S = 5.0
LEAST_FACTOR, MOST_RATIO = 8.0, 1.25
DECODE, ENCODE, WHOLE = "decode", "encode and score", "whole"
Sides = dict[tuple[str, str], Callable[[], object]]
Times = dict[tuple[str, str], list[tuple[float, float]]]  # seconds on the wall and of all cores


def main() -> None:
    options = parsed()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    torch.set_num_threads(options.threads or options.cores)
    used = opening.embedder(opening.model_of(options.index, None) if options.index else "builtin")
    recognizer = Recognizer(used, shelf_of(used, options.index))
    with tempfile.TemporaryDirectory() as folder:
        path = options.video or Path(folder) / "stream.mp4"
        if options.video is None:
            film(path, options.clip, options.seconds)
        seconds = video.duration(path)
        print(f"{path.name}: {seconds:.0f} s, {path.stat().st_size * 8e-6 / seconds:.1f} Mbit/s")
        said = spoken(recognizer.shelf.products, seconds)
        show(in_turns(sides(path, recognizer, said), options.turns), seconds)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--video", type=Path, help="watch this file as it is")
    parser.add_argument("--from", type=Path, dest="clip", help="a video to enlarge")
    parser.add_argument("--seconds", type=int, default=60, help="length of what is made")
    parser.add_argument("--index", type=Path, help="else 50 drawn products, the built-in model")
    parser.add_argument("--cores", type=int, default=2, help="of those there are")
    parser.add_argument("--threads", type=int, help="torch's; as many as cores unless given")
    parser.add_argument("--turns", type=int, default=3, help="of each side; the median counts")
    return parser.parse_args()


def shelf_of(used: Embedder, index: Path | None) -> Shelf:
    """The shop of an index, or one of 50 drawn products."""
    if index is not None:
        opened = opening.opened(index, used)
        return opening.Shelves(opened)[opening.only_shop(opened, None)]
    rng = np.random.default_rng(0)
    titles = [f"fresh green lime number {number}" for number in range(50)]
    contents = [ProductContent((drawn(rng, 224, 224),), title) for title in titles]
    return Shelf([Product(title, title) for title in titles], used.products(contents))


def drawn(rng: np.random.Generator, width: int, height: int) -> Picture:
    """Blots of every size, the larger the stronger, as in photographs."""
    sheet = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((4, 0.5), (16, 0.25), (64, 0.15), (256, 0.1)):
        blots = Image.fromarray(rng.integers(256, size=(cells, cells, 3), dtype=np.uint8))
        sheet += weight * np.asarray(blots.resize((width, height)), np.float32)
    return sheet.astype(np.uint8)


def spoken(products: Sequence[Product], seconds: float) -> list[Utterance]:
    """Something about one product after another."""
    starts = np.arange(0.0, seconds, UTTERANCE_S)
    return [
        Utterance(at, at + UTTERANCE_S, f"today i have this {products[i % len(products)].title}")
        for i, at in enumerate(starts.tolist())
    ]


def film(path: Path, clip: Path | None, seconds: int) -> None:
    """Write the file to watch."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate, stream.gop_size = BIT_RATE, 2 * RATE
        stream.thread_type = "FRAME"  # one slice a picture, as cameras and platforms make them
        stream.options = {"preset": "veryfast"}
        for number, frame in enumerate(islice(shots(clip), seconds * RATE)):
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def shots(clip: Path | None) -> Iterator[av.VideoFrame]:
    """Crops that wander over the pictures, with grain, without end."""
    rng = np.random.default_rng(1)
    grains = rng.integers(-GRAIN, GRAIN + 1, (7, HEIGHT, WIDTH), np.int8).view(np.uint8)
    held = chain.from_iterable(repeat(picture, HELD) for picture in pictures(clip))
    for number, picture in enumerate(held):
        left = int(MARGIN / 2 * (1 + np.sin(number / 40)))
        top = int(MARGIN / 2 * (1 + np.cos(number / 31)))
        crop = np.ascontiguousarray(picture[top : top + HEIGHT, left : left + WIDTH])
        shot = av.VideoFrame.from_ndarray(crop, "rgb24").to_ndarray(format="yuv420p")
        # Luma is 16 to 235, so nothing wraps; a negative grain is one short of 256.
        shot[:HEIGHT] += grains[number % len(grains)]
        yield av.VideoFrame.from_ndarray(shot, "yuv420p")


def pictures(clip: Path | None) -> Iterator[Picture]:
    """What lies under the crop, one after another, without end."""
    width, height, rng = WIDTH + MARGIN, HEIGHT + MARGIN, np.random.default_rng(0)
    while True:
        if clip is None:
            yield from repeat(drawn(rng, width, height), 4 * RATE // HELD)
            continue
        for frame in video.frames(clip, rate_hz=RATE / HELD):
            yield np.asarray(ImageOps.fit(Image.fromarray(frame.rgb), (width, height)))


@dataclass(frozen=True)
class Ready:
    """A source whose frames are in memory."""

    frames: Sequence[LiveFrame]
    damage: tuple[str, ...] = ()
    dropped: int = 0
    reconnects: int = 0

    def __iter__(self) -> Iterator[LiveFrame]:
        return iter(self.frames)

    def close(self) -> None:
        """It ends by itself."""


def sides(path: Path, recognizer: Recognizer, said: Sequence[Utterance]) -> Sides:
    side, settings = recognizer.embedder.max_side, recognizer.settings
    session = Session(recognizer)

    def decoded() -> list[video.Frame]:
        return list(video.frames(path, rate_hz=RATE_HZ, max_side=side))

    def live() -> LiveSource:
        return LiveSource(str(path), rate_hz=RATE_HZ, max_side=side)

    def decoded_live() -> list[LiveFrame]:
        with live() as source:
            return list(source)

    def scored() -> object:
        reel = Reel(recognizer.embedder, shown)
        cut = windows(reel.times(), said, settings.window_s, settings.hop_s)
        return list(recognizer.scored(cut, reel, TOGETHER))

    def whole_live() -> object:
        with live() as source:
            return session.run(source, said)

    shown, ready = decoded(), Ready(decoded_live())
    return {
        ("recording", DECODE): decoded,
        ("recording", ENCODE): scored,
        ("recording", WHOLE): lambda: recognizer.watch(path, said),
        ("live", DECODE): decoded_live,
        ("live", ENCODE): lambda: session.run(ready, said),
        ("live", WHOLE): whole_live,
    }


def in_turns(sides: Sides, turns: int) -> Times:
    """Each side `turns` times, after one turn of the encoding to warm up."""
    times: Times = {name: [] for name in sides}
    sides["recording", ENCODE]()
    for _ in range(turns):
        for name, side in sides.items():
            began, cpu = time.perf_counter(), time.process_time()
            side()
            times[name].append((time.perf_counter() - began, time.process_time() - cpu))
    return times


def show(times: Times, seconds: float) -> None:
    cores, threads = len(os.sched_getaffinity(0)), torch.get_num_threads()
    print(f"{cores} cores, {threads} torch threads, load {os.getloadavg()[0]:.1f}")
    print(f"{'way':<12}{'side':<18}{'seconds':>9}{'cores busy':>12}{'real-time factor':>18}")
    walls = {name: statistics.median(wall for wall, _ in taken) for name, taken in times.items()}
    for (way, side), wall in walls.items():
        busy = statistics.median(cpu / wall for wall, cpu in times[way, side])
        print(f"{way:<12}{side:<18}{wall:>9.2f}{busy:>12.2f}{seconds / wall:>18.1f}")
    for way in ("recording", "live"):
        whole, slowest = walls[way, WHOLE], max(walls[way, DECODE], walls[way, ENCODE])
        print(f"{way}: real-time factor {seconds / whole:.1f} (aim: at least {LEAST_FACTOR})")
        print(f"{way}: whole / slower stage = {whole / slowest:.2f} (aim: at most {MOST_RATIO})")


if __name__ == "__main__":
    main()
