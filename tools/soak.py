"""Watch one long stream, as fast as it goes, and see whether memory, files and threads stay.

    python tools/soak.py --index INDEX --video FILE --hours 2 [--transcript FILE] [-o OUT.json]

FILE, a minute or more, is decoded again and again as a live source is, and appears as one stream
of so many hours; its words come along with its pictures. A row every few stream minutes says what
the process holds. After the first tenth of the time memory may vary by 5 %, open files and threads
not at all; the exit status is 1 where they do. Give half an hour or more: threads of libraries that
have nothing to do end some time after the start.
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
from sgmn.live.recognizer import FRAME_RATE_HZ, StreamRecognizer
from sgmn.live.session import Session, SessionResult, WindowUpdate
from sgmn.media import transcript, video
from sgmn.media.live_source import LiveFrame, LiveSource, SourceSettings
from sgmn.media.live_transcript import LiveTranscript
from sgmn.memory import retain_freed_memory
from sgmn.records import Utterance
from sgmn.workflows import loading

SAMPLES, FEWEST = 24, 3  # in all unless --every is given; and of those that are judged
WARM_UP, MOST_GROWTH = 0.1, 0.05  # shares of the time and of the memory
SHORTEST_S = 60.0
AHEAD = SourceSettings(queue_frames=4)  # so that a file is being read most of the time
PAGE = resource.getpagesize()
PROCESS = Path("/proc/self")
HEADER = ("minutes", "MiB", "files", "threads", "words held", "events", "x real time")


class Looped:
    """A file over and over as one stream of `length_s`; each pass is decoded anew.

    What is said comes into `heard` as the stream gets there.
    """

    def __init__(self, path: Path, length_s: float, side: int, said: Sequence[Utterance]) -> None:
        self.path, self.length_s, self.side, self.said = path, length_s, side, said
        self.heard = LiveTranscript()
        self.damage: list[str] = []
        self.dropped_frames = self.reconnects = self.passes = 0
        self._now: LiveSource | None = None
        self._is_closed = False

    @property
    def is_reading(self) -> bool:
        """Whether the file is open and being decoded."""
        return self._now is not None and self._now.state == "running"

    def __iter__(self) -> Iterator[LiveFrame]:
        start_s = last_s = 0.0
        while start_s < self.length_s and not self._is_closed:
            for frame in self._once(start_s):
                yield frame
                last_s = frame.time_s
            start_s = last_s + 1 / FRAME_RATE_HZ
            self.passes += 1

    def _once(self, start_s: float) -> Iterator[LiveFrame]:
        """One pass, its times from `start_s` on."""
        waiting = sorted(self.said, key=lambda utterance: utterance.start, reverse=True)
        with LiveSource(
            str(self.path), rate_hz=FRAME_RATE_HZ, max_side=self.side, settings=AHEAD
        ) as self._now:
            for frame in self._now:
                if start_s + frame.time_s > self.length_s:
                    break
                while waiting and waiting[-1].start <= frame.time_s:
                    said = waiting.pop()
                    self.heard.add(Utterance(said.start + start_s, said.end + start_s, said.text))
                yield replace(frame, time_s=start_s + frame.time_s)
            self.damage = sorted({*self.damage, *self._now.damage})

    def close(self) -> None:
        """End it."""
        self._is_closed = True
        if self._now is not None:
            self._now.close()


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process holds at `stream_s`; `factor` is stream time over time since the last."""

    stream_s: float
    memory_bytes: int
    files: int
    threads: int
    words: int
    events: int
    factor: float


class Diary:
    """Takes and prints a sample every `every_s` of stream time, while the file is being read."""

    def __init__(self, source: Looped, every_s: float) -> None:
        self.source, self.every_s = source, every_s
        self.samples: list[Sample] = []
        self.events, self._due_s = 0, every_s
        self._last = (0.0, time.perf_counter())

    def hear(self, event: Event) -> None:
        self.events += 1

    def look(self, moment: WindowUpdate) -> None:
        now_s = moment.belief.time_s
        if now_s >= self._due_s and self.source.is_reading:
            self._due_s += self.every_s
            self.samples.append(self._sample(now_s))
            print(line(self.samples[-1]), flush=True)

    def _sample(self, now_s: float) -> Sample:
        before, self._last = self._last, (now_s, time.perf_counter())
        factor = (now_s - before[0]) / (self._last[1] - before[1])
        words = len(self.source.heard)
        return Sample(now_s, memory(), files(), threads(), words, self.events, factor)


def memory() -> int:
    """Bytes that are resident."""
    return int((PROCESS / "statm").read_text().split()[1]) * PAGE


def files() -> int:
    return len(list((PROCESS / "fd").iterdir()))


def threads() -> int:
    """Those of libraries too."""
    return len(list((PROCESS / "task").iterdir()))


def line(sample: Sample) -> str:
    minutes, size = f"{sample.stream_s / 60:.1f}", f"{sample.memory_bytes / 2**20:.0f}"
    cells = (minutes, size, *astuple(sample)[2:-1], f"{sample.factor:.1f}")
    return "".join(f"{cell:>12}" for cell in cells)


def verdict(samples: Sequence[Sample], length_s: float) -> dict[str, Any]:
    """How far each thing moved after the warm-up, and whether all may pass for constant."""
    warm = [sample for sample in samples if sample.stream_s >= WARM_UP * length_s]
    if len(warm) < FEWEST:
        what = f"gave {len(warm)} samples after the warm-up"
        raise SgmnError(what, "the stream", "give more --hours or less --every")
    sizes = [sample.memory_bytes for sample in warm]
    found = {
        "memory": max(sizes) / min(sizes) - 1,
        "files": max(s.files for s in warm) - min(s.files for s in warm),
        "threads": max(s.threads for s in warm) - min(s.threads for s in warm),
    }
    steady = found["memory"] <= MOST_GROWTH and not found["files"] and not found["threads"]
    return {"samples": len(warm), "spread": found, "steady": steady}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--transcript", type=Path)
    parser.add_argument("--hours", type=float, default=2.0, help="of stream time")
    parser.add_argument("--every", type=float, help=f"minutes; else {SAMPLES} samples in all")
    parser.add_argument("-o", "--output", type=Path, help="write the samples here as JSON")
    return parser.parse_args()


def looped(given: argparse.Namespace, side: int) -> Looped:
    """The stream that was asked for."""
    length_s = video.read_duration(given.video)
    if length_s < SHORTEST_S:
        what, remedy = f"is {length_s:.0f} s long", f"give {SHORTEST_S:.0f} s or more"
        raise SgmnError(what, given.video, remedy)
    said = transcript.read_transcript(given.transcript, length_s) if given.transcript else ()
    return Looped(given.video, given.hours * 3600, side, said)


def soaked(given: argparse.Namespace) -> tuple[Diary, SessionResult, float]:
    """Watch it all; what was held, what was found, and the seconds that it took."""
    opened = Index.open(given.index, None)
    used = opened.embedder
    shelf = loading.ShelfCache(opened)[loading.resolve_shop(opened, None)]
    source = looped(given, used.max_side)
    every_s = 60 * given.every if given.every else source.length_s / SAMPLES
    diary = Diary(source, every_s)
    print("".join(f"{name:>12}" for name in HEADER))
    began = time.perf_counter()
    found = Session(StreamRecognizer(used, shelf)).run(source, source.heard, diary.hear, diary.look)
    return diary, found, time.perf_counter() - began


def main() -> None:
    given = parsed()
    retain_freed_memory()  # as the command line does
    outputs.require_writable(given.output)
    diary, found, seconds = soaked(given)
    judged = verdict(diary.samples, diary.source.length_s)
    spread, factor = judged["spread"], found.duration_s / seconds
    about = {
        "stream_s": found.duration_s,
        "seconds": seconds,
        "factor": factor,
        "passes": diary.source.passes,
        "events": diary.events,
        "damage": found.damage,
    }
    if given.output is not None:
        content = {**about, **judged, "rows": [asdict(sample) for sample in diary.samples]}
        outputs.write_text(given.output, json.dumps(content, indent=1) + "\n")
    print(f"{found.duration_s:.0f} s in {seconds:.0f} s: {factor:.1f}x, {diary.events} events")
    print(f"after the warm-up memory varied by {spread['memory']:.1%}, ", end="")
    print(f"files by {spread['files']}, threads by {spread['threads']}: ", end="")
    print("steady" if judged["steady"] else "NOT STEADY")
    sys.exit(0 if judged["steady"] else 1)


if __name__ == "__main__":
    main()
