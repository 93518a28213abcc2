"""Watch one long stream at full speed, and check that memory, files and threads stay constant.

    python tools/soak.py --index INDEX --video FILE --hours 2 [--transcript FILE] [-o OUT.json]

FILE, a minute or more, is decoded repeatedly as a live source is, and appears as one stream of that
many hours; its transcript arrives along with its frames. A row every few stream minutes shows what
the process holds. After the first tenth of the time, memory may vary by 5 %, open files and threads
not at all; otherwise the exit status is 1. Use half an hour or more: some library threads, which
are not related to the stream, end some time after the start.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

from sgmn import outputs
from sgmn.catalogue.index import Index
from sgmn.errors import SgmnError
from sgmn.live.events import Event
from sgmn.live.recognizer import StreamRecognizer
from sgmn.live.session import Session, SessionResult, WindowUpdate
from sgmn.live.windows import FRAME_RATE_HZ
from sgmn.media import transcript, video
from sgmn.media.live_source import LiveFrame, LiveSource
from sgmn.media.live_transcript import LiveTranscript
from sgmn.media.source_settings import SourceSettings
from sgmn.memory import retain_freed_memory
from sgmn.records import Utterance
from sgmn.workflows import loading

SAMPLES, MIN_SAMPLES = 24, 3  # in total unless --every is set; and after the warm-up
WARM_UP, MAX_GROWTH = 0.1, 0.05  # fractions of the time and of the memory
MIN_LENGTH_S = 60.0
SHORT_QUEUE = SourceSettings(queue_frames=4)  # so that the file is open most of the time
PAGE_BYTES = resource.getpagesize()
PROCESS = Path("/proc/self")
HEADER = ("minutes", "MiB", "files", "threads", "utterances", "events", "x real time")


class LoopedSource:
    """A file repeated as one stream of `length_s`; it is decoded again on each pass.

    Utterances are added to `transcript` when the stream reaches them.
    """

    def __init__(
        self, path: Path, length_s: float, max_side: int, utterances: Sequence[Utterance]
    ) -> None:
        self.path, self.length_s, self.max_side = path, length_s, max_side
        self.utterances = utterances
        self.transcript = LiveTranscript()
        self.damage: list[str] = []
        self.dropped_frames = self.reconnects = self.passes = 0
        self._source: LiveSource | None = None
        self._is_closed = False

    @property
    def is_reading(self) -> bool:
        """Whether the file is open and being decoded."""
        return self._source is not None and self._source.state == "running"

    def __iter__(self) -> Iterator[LiveFrame]:
        start_s = last_s = 0.0
        while start_s < self.length_s and not self._is_closed:
            for frame in self._read_once(start_s):
                yield frame
                last_s = frame.time_s
            start_s = last_s + 1 / FRAME_RATE_HZ
            self.passes += 1

    def _read_once(self, start_s: float) -> Iterator[LiveFrame]:
        """One pass over the file, with times that start at `start_s`."""
        waiting = sorted(self.utterances, key=lambda utterance: utterance.start, reverse=True)
        with LiveSource(
            str(self.path), rate_hz=FRAME_RATE_HZ, max_side=self.max_side, settings=SHORT_QUEUE
        ) as self._source:
            for frame in self._source:
                if start_s + frame.time_s > self.length_s:
                    break
                while waiting and waiting[-1].start <= frame.time_s:
                    self.transcript.add(_shift(waiting.pop(), start_s))
                yield replace(frame, time_s=start_s + frame.time_s)
            self.damage = sorted({*self.damage, *self._source.damage})

    def close(self) -> None:
        """End the stream."""
        self._is_closed = True
        if self._source is not None:
            self._source.close()


def _shift(utterance: Utterance, by_s: float) -> Utterance:
    return replace(utterance, start=utterance.start + by_s, end=utterance.end + by_s)


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process holds at `stream_s`; `speed` is relative to real time."""

    stream_s: float
    memory_bytes: int
    files: int
    threads: int
    utterances: int
    events: int
    speed: float


class Monitor:
    """Takes and prints a sample every `every_s` of stream time, while the file is being read."""

    def __init__(self, source: LoopedSource, every_s: float) -> None:
        self.source, self.every_s = source, every_s
        self.samples: list[Sample] = []
        self.events, self._due_s = 0, every_s
        self._last = (0.0, time.perf_counter())

    def count_event(self, event: Event) -> None:
        self.events += 1

    def check_time(self, update: WindowUpdate) -> None:
        now_s = update.belief.time_s
        if now_s >= self._due_s and self.source.is_reading:
            self._due_s += self.every_s
            self.samples.append(self._take_sample(now_s))
            print(format_sample(self.samples[-1]), flush=True)

    def _take_sample(self, now_s: float) -> Sample:
        last, self._last = self._last, (now_s, time.perf_counter())
        speed = (now_s - last[0]) / (self._last[1] - last[1])
        count = len(self.source.transcript)
        return Sample(
            now_s, memory_bytes(), count_files(), count_threads(), count, self.events, speed
        )


def memory_bytes() -> int:
    """Resident memory."""
    return int((PROCESS / "statm").read_text().split()[1]) * PAGE_BYTES


def count_files() -> int:
    return len(list((PROCESS / "fd").iterdir()))


def count_threads() -> int:
    """All threads, including those of libraries."""
    return len(list((PROCESS / "task").iterdir()))


def format_sample(sample: Sample) -> str:
    minutes, size = f"{sample.stream_s / 60:.1f}", f"{sample.memory_bytes / 2**20:.0f}"
    cells = (minutes, size, *astuple(sample)[2:-1], f"{sample.speed:.1f}")
    return "".join(f"{cell:>12}" for cell in cells)


def judge_samples(samples: Sequence[Sample], length_s: float) -> dict[str, Any]:
    """How much each resource varies after the warm-up, and whether all count as constant."""
    warm = [sample for sample in samples if sample.stream_s >= WARM_UP * length_s]
    if len(warm) < MIN_SAMPLES:
        message = f"there are only {len(warm)} samples after the warm-up"
        raise SgmnError(message, "soak test", "use more --hours or less --every")
    sizes = [sample.memory_bytes for sample in warm]
    spread = {
        "memory": max(sizes) / min(sizes) - 1,
        "files": max(s.files for s in warm) - min(s.files for s in warm),
        "threads": max(s.threads for s in warm) - min(s.threads for s in warm),
    }
    steady = spread["memory"] <= MAX_GROWTH and not spread["files"] and not spread["threads"]
    return {"samples": len(warm), "spread": spread, "steady": steady}


def main() -> None:
    options = parse_arguments()
    retain_freed_memory()  # as the command line does
    outputs.require_writable(options.output)
    monitor, result, seconds = run_soak(options)
    verdict = judge_samples(monitor.samples, monitor.source.length_s)
    meta = {
        "stream_s": result.duration_s,
        "seconds": seconds,
        "factor": result.duration_s / seconds,
        "passes": monitor.source.passes,
        "events": monitor.events,
        "damage": result.damage,
    }
    if options.output is not None:
        content = {**meta, **verdict, "rows": [asdict(sample) for sample in monitor.samples]}
        outputs.write_text(options.output, json.dumps(content, indent=1) + "\n")
    print_verdict(meta, verdict)
    sys.exit(0 if verdict["steady"] else 1)


def run_soak(options: argparse.Namespace) -> tuple[Monitor, SessionResult, float]:
    """Watch the whole stream; returns the samples, the result and the elapsed seconds."""
    index = Index.open(options.index)
    shelf = loading.ShelfCache(index)[loading.resolve_shop(index, None)]
    source = open_source(options, index.embedder.max_side)
    every_s = 60 * options.every if options.every else source.length_s / SAMPLES
    monitor = Monitor(source, every_s)
    print("".join(f"{name:>12}" for name in HEADER))
    start_s = time.perf_counter()
    session = Session(StreamRecognizer(index.embedder, shelf))
    result = session.run(source, source.transcript, monitor.count_event, monitor.check_time)
    return monitor, result, time.perf_counter() - start_s


def open_source(options: argparse.Namespace, max_side: int) -> LoopedSource:
    length_s = video.read_duration(options.video)
    if length_s < MIN_LENGTH_S:
        message, remedy = f"has {length_s:.0f} s", f"use {MIN_LENGTH_S:.0f} s or more"
        raise SgmnError(message, options.video, remedy)
    path = options.transcript
    utterances = transcript.read_transcript(path, length_s) if path else ()
    return LoopedSource(options.video, options.hours * 3600, max_side, utterances)


def print_verdict(meta: dict[str, Any], verdict: dict[str, Any]) -> None:
    spread = verdict["spread"]
    print(
        f"{meta['stream_s']:.0f} s in {meta['seconds']:.0f} s: {meta['factor']:.1f}x,"
        f" {meta['events']} events"
    )
    print(
        f"after the warm-up memory varied by {spread['memory']:.1%}, files by {spread['files']},"
        f" threads by {spread['threads']}: {'steady' if verdict['steady'] else 'NOT STEADY'}"
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--transcript", type=Path)
    parser.add_argument("--hours", type=float, default=2.0, help="length of the stream")
    parser.add_argument("--every", type=float, help=f"minutes; default: {SAMPLES} samples")
    parser.add_argument("-o", "--output", type=Path, help="write the samples to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
