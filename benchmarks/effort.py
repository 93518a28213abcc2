"""What does `--effort adaptive` save, and what does it cost?

    python -m benchmarks.effort DATASET --index INDEX --cache FOLDER [--streams 2] [--runtime NAME]

Enlarges streams of a dataset to 1080×1920, 25 frames a second, 5 Mbit/s, a key frame every two
seconds, and watches each exactly and adaptively, in turn. Prints wall and CPU seconds, multiples of
real time on the cores used (length · cores / CPU seconds is what an idle machine would reach at
best), the share of the time that is right, and the stages of exact alone: decoding, and encoding
with scoring. Set OMP_WAIT_POLICY=PASSIVE.
Targets: adaptive at least 25× real time on two cores, exact 8×, at most 1 point less time right.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from benchmarks.enlarged_stream import enlarge_stream

from sgmn.catalogue.index import Index
from sgmn.data.dataset import Stream, read_stream
from sgmn.evaluation.timeline_metrics import time_weighted_accuracy
from sgmn.live.frame_buffer import FrameBuffer
from sgmn.live.recognizer import RecognitionResult, StreamRecognizer
from sgmn.live.recording import BATCH_SIZE
from sgmn.live.windows import cut_windows
from sgmn.media import video
from sgmn.workflows.loading import ShelfCache

Seconds = defaultdict[str, list[float]]  # wall, CPU and recorded seconds in all


def main() -> None:
    options = parse_options()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    torch.set_num_threads(options.cores)
    index = Index.open(options.index, None, options.runtime)
    shelves, seconds = ShelfCache(index), defaultdict[str, list[float]](lambda: [0.0, 0.0, 0.0])
    paths = sorted((options.dataset / "streams").glob("*.json"))[: options.streams]
    for path in paths:
        stream = read_stream(path)
        large = enlarge_stream(stream.video, options.cache / f"{path.stem}.mp4")
        recognizer = StreamRecognizer(index.embedder, shelves[stream.shop_id])
        recognizer.watch(stream.video, stream.transcript)  # warms up
        watch_both(recognizer, large, stream, seconds, options.rounds)
    print_table(seconds, options.cores)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path, help="dataset with streams")
    parser.add_argument("--index", type=Path, required=True, help="index of its shops")
    parser.add_argument("--cache", type=Path, required=True, help="folder for enlarged streams")
    parser.add_argument("--streams", type=int, default=2, help="number of streams")
    parser.add_argument("--rounds", type=int, default=1, help="rounds for each stream")
    parser.add_argument("--runtime", default="torch", help="what runs the towers")
    parser.add_argument("--cores", type=int, default=2, help="number of cores to use")
    return parser.parse_args()


def watch_both(
    recognizer: StreamRecognizer, path: Path, stream: Stream, seconds: Seconds, rounds: int
) -> None:
    """Watch a stream exactly and adaptively, and run the stages of exact alone."""
    side, settings = recognizer.embedder.max_side, recognizer.settings
    adaptive = replace(recognizer, effort="adaptive")
    frames = list(video.read_frames(path, max_side=side))

    def score() -> object:
        buffer = FrameBuffer(recognizer.embedder, frames)
        times_s, words = buffer.frame_times_s(), stream.transcript
        windows = cut_windows(times_s, words, settings.window_s, settings.hop_s)
        return list(recognizer.score_windows(windows, buffer, BATCH_SIZE))

    results: dict[str, RecognitionResult] = {}
    for _ in range(rounds):
        runs: dict[str, Callable[[], object]] = {
            "exact": lambda: recognizer.watch(path, stream.transcript),
            "adaptive": lambda: adaptive.watch(path, stream.transcript),
            "decode all": lambda: list(video.read_frames(path, max_side=side)),
            "decode keys": lambda: list(
                video.read_frames(path, max_side=side, key_frames_only=True)
            ),
            "encode all": score,
        }
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            result = run()
            spent = (time.perf_counter() - wall, time.process_time() - cpu)
            for place, value in enumerate((*spent, video.read_duration(path))):
                seconds[name][place] += value
            if isinstance(result, RecognitionResult):
                results[name] = result
    for name, result in results.items():
        right = time_weighted_accuracy(stream.timeline, result.segments)
        print(f"{path.stem} {name}: {right:.1%} right; {str(result.decoding) or 'all frames'}")


def print_table(seconds: Seconds, cores: int) -> None:
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'stage':<12}{'wall s':>9}{'CPU s':>9}{'real time':>11}{'by CPU':>9}")
    for name, (wall, cpu, recorded) in seconds.items():
        factors = f"{recorded / wall:>11.1f}{recorded * cores / cpu:>9.1f}"
        print(f"{name:<12}{wall:>9.1f}{cpu:>9.1f}{factors}")
    slower = max(seconds[name][0] for name in ("decode all", "encode all"))
    print(f"exact: whole / slower stage = {seconds['exact'][0] / slower:.2f} (at most 1.25)")


if __name__ == "__main__":
    main()
