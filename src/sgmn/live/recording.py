"""Scores the windows of one recording: decodes all of its frames, or only those that matter."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, groupby
from math import floor
from operator import itemgetter
from pathlib import Path
from typing import Protocol

from sgmn.background import prefetch
from sgmn.batching import batched
from sgmn.errors import MediaError
from sgmn.live.adaptive import AdaptiveScoring, assign_frames
from sgmn.live.effort import ALL_FRAMES, DecodingReport, Effort, find_obstacle
from sgmn.live.evidence import TimelineSettings
from sgmn.live.frame_buffer import FrameBuffer
from sgmn.live.presence import ScoredWindow
from sgmn.live.windows import FRAME_RATE_HZ, Window, cut_windows, is_plausible_end
from sgmn.media import container, video
from sgmn.media.container import HardwareDecoder
from sgmn.media.frame import Frame
from sgmn.model.embedder import Embedder
from sgmn.records import Utterance

BATCH_SIZE = 8  # windows that are encoded together
PREFETCH_FRAMES = 8  # frames that are handed over together
PREFETCH_BATCHES = 4  # batches of frames that are decoded ahead, 32 frames in all


class WindowScorer(Protocol):
    """What a recording needs of a `StreamRecognizer`."""

    @property
    def embedder(self) -> Embedder:
        """Encodes frames and text."""

    @property
    def settings(self) -> TimelineSettings:
        """Timeline settings."""

    @property
    def context_windows(self) -> int:
        """How many windows before and after a window may influence it."""

    @property
    def effort(self) -> Effort:
        """How much is decoded."""

    @property
    def hardware(self) -> HardwareDecoder | None:
        """What decodes instead of the CPU."""

    @property
    def links_windows(self) -> bool:
        """Whether the score of a window depends on its neighbors."""

    def score_windows(
        self,
        windows: Iterable[Window],
        frame_buffer: FrameBuffer,
        batch_size: int,
        windows_after: int = 0,
    ) -> Iterator[ScoredWindow]:
        """Yield each window with its evidence."""


@dataclass
class RecordingScorer:
    """Scores the windows of one recording.

    Attributes:
        recognizer: Scores windows.
        source: A video file, or a folder of frames.
        utterances: What is said.
        damage: One line for each part of the video that could not be read.
        decoding: What was decoded, once all windows have been scored.
    """

    recognizer: WindowScorer
    source: Path | str
    utterances: Sequence[Utterance] = ()
    damage: list[str] = field(default_factory=list)
    decoding: DecodingReport = ALL_FRAMES

    def scores(self) -> Iterator[ScoredWindow]:
        """Yield each window with its evidence, in order.

        Raises MediaError if nothing of the video can be read.
        """
        is_adaptive = self.recognizer.effort == "adaptive" and not container.is_folder(self.source)
        reason = self._find_obstacle() if is_adaptive else ""
        if not is_adaptive or reason:
            self.decoding = DecodingReport(reason=reason)
            yield from self._score_all()
            return
        scoring = AdaptiveScoring(self.recognizer.settings, self.score_densely)
        yield from scoring.improve(self._score_all(key_frames_only=True))
        self.decoding = DecodingReport("adaptive", scoring.dense_count / scoring.window_count)

    def _find_obstacle(self) -> str:
        if self.recognizer.links_windows:
            return "the windows of this model influence each other"
        return find_obstacle(self.source)

    def _score_all(self, *, key_frames_only: bool = False) -> Iterator[ScoredWindow]:
        recognizer, settings = self.recognizer, self.recognizer.settings
        frames = batched(self._decode(key_frames_only=key_frames_only), PREFETCH_FRAMES)
        decoded_ahead = chain.from_iterable(prefetch(frames, PREFETCH_BATCHES))
        frame_buffer = FrameBuffer(recognizer.embedder, decoded_ahead)
        duration_s = video.read_duration(self.source, FRAME_RATE_HZ) or None
        windows = cut_windows(
            frame_buffer.frame_times_s(),
            self.utterances,
            settings.window_s,
            settings.hop_s,
            duration_s=duration_s,
        )
        yield from recognizer.score_windows(
            windows, frame_buffer, BATCH_SIZE, recognizer.context_windows
        )
        if not frame_buffer.frame_count:
            raise MediaError("contains no frames", self.source, "pass a video that plays")
        # A header that promises more than there is may have been reported while reading.
        last_s = frame_buffer.last_s
        if not self.damage and not is_plausible_end(duration_s or 0.0, last_s, settings.window_s):
            self.damage.append(
                f"{self.source}: its frames end soon after {last_s:.0f} s, "
                f"not at {duration_s:.0f} s as stated"
            )

    def score_densely(self, runs: Sequence[Sequence[Window]]) -> Generator[list[ScoredWindow]]:
        """Score runs of neighboring windows by all their frames.

        While a run is encoded, the frames of the next one are decoded.
        """
        recognizer = self.recognizer
        with closing(prefetch(self._decode_runs(runs), PREFETCH_BATCHES)) as batches:
            for windows, (_, batches_of_run) in zip(
                runs, groupby(batches, itemgetter(0)), strict=True
            ):
                frames = chain.from_iterable(batch for _, batch in batches_of_run)
                frame_buffer = FrameBuffer(recognizer.embedder, frames)
                dense = assign_frames(windows, frame_buffer.frame_times_s())
                yield list(recognizer.score_windows(dense, frame_buffer, BATCH_SIZE))

    def _decode_runs(
        self, runs: Sequence[Sequence[Window]]
    ) -> Iterator[tuple[int, Sequence[Frame]]]:
        """Yield batches of the frames of each run, with its number; the first is empty."""
        for number, windows in enumerate(runs):
            yield number, ()  # a run in a gap of the recording has no frames
            first, last = windows[0], windows[-1]
            # Whole seconds, so that the same frames are sampled as from the recording's start.
            start_s = floor(first.start_s * FRAME_RATE_HZ) / FRAME_RATE_HZ
            is_cut = last.end_s < last.center_s + self.recognizer.settings.window_s / 2
            frames = self._decode(start_s, None if is_cut else last.end_s)
            for batch in batched(_unless_empty(frames), PREFETCH_FRAMES):
                yield number, batch

    def _decode(
        self, start_s: float = 0.0, end_s: float | None = None, *, key_frames_only: bool = False
    ) -> Iterator[Frame]:
        return video.read_frames(
            self.source,
            rate_hz=FRAME_RATE_HZ,
            start_s=start_s,
            end_s=end_s,
            max_side=self.recognizer.embedder.max_side,
            damage=self.damage,
            key_frames_only=key_frames_only,
            hardware=self.recognizer.hardware,
        )


def _unless_empty(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yield the frames; none where the recording has a gap."""
    try:
        yield from frames
    except video.NoFramesError:
        return
