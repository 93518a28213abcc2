"""One stream: windows, embedder, shelf and timeline in turn.

Every frame is encoded once, however many windows share it. The belief of the moment comes
from the past alone; when the stream has ended, the whole of it is decoded again, exactly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sgmn.background import ahead
from sgmn.batching import batched
from sgmn.catalogue.shelf import Shelf
from sgmn.errors import MediaError
from sgmn.live.evidence import TimelineSettings
from sgmn.live.stream_graph import StreamGraph
from sgmn.live.timeline import Belief, OnlineDecoder, segments
from sgmn.live.windows import Window, is_believed, windows
from sgmn.media import video
from sgmn.media.live_source import LiveFrame
from sgmn.model.embedder import Embedder
from sgmn.model.scoring import MODALITIES, ClipVectors, Modality
from sgmn.model.tokens import Looks
from sgmn.records import Picture, Segment, Utterance

Shown = video.Frame | LiveFrame
RATE_HZ = 1.0  # frames a second that are looked at
TOGETHER = 8  # windows that are encoded at once
AHEAD = 8  # frames that are decoded while others are encoded
REACH = 15  # windows: half a minute with the usual hop


@dataclass(frozen=True, slots=True, eq=False)
class Recognition:
    """What was found in a stream: its segments, and the evidence they rest on.

    times: (W,) seconds that the windows speak for; scores: (W, S) logits in the order of
    `product_ids`; damage: what of the video could not be read or believed, a line each.
    """

    segments: tuple[Segment, ...]
    duration_s: float
    times: NDArray[np.float64]
    scores: NDArray[np.float64]
    product_ids: tuple[str, ...]
    damage: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recognizer:
    """Finds the products of one shelf in streams; `use` names the modalities that count.

    With a model that has the part "interaction", a window sees `reach` windows before it, and
    as many after it where the stream is a recording; see `stream_graph`.
    """

    embedder: Embedder
    shelf: Shelf
    settings: TimelineSettings = field(default_factory=TimelineSettings)
    use: tuple[Modality, ...] = MODALITIES
    reach: int = REACH

    def watch(
        self,
        source: Path | str,
        utterances: Sequence[Utterance] = (),
        on_moment: Callable[[Belief], None] = lambda belief: None,
    ) -> Recognition:
        """Recognise a finished stream; `on_moment` hears each belief as the stream goes by.

        Raises MediaError when nothing of the video can be read.
        """
        decoder = OnlineDecoder(self.shelf.product_ids, self.settings)
        damage: list[str] = []
        times, rows, end_s = [], [], 0.0
        for window, logits in self._of_recording(source, utterances, damage):
            on_moment(decoder.push(window.center_s, logits))
            times.append(window.center_s)
            rows.append(logits)
            end_s = window.end_s
        moments, scores = np.array(times), np.array(rows)
        found = segments(moments, scores, self.shelf.product_ids, self.settings, (0.0, end_s))
        ids = tuple(self.shelf.product_ids)
        return Recognition(found, end_s, moments, scores, ids, tuple(damage))

    def scored(
        self, cut: Iterable[Window], reel: Reel, together: int, ahead: int = 0
    ) -> Iterator[tuple[Window, NDArray[np.float64]]]:
        """Each window of `reel` with its logits (S,); `together` of them are awaited and encoded.

        It comes `ahead` windows later, where they may change it.
        """
        ranker = self.embedder.ranker
        graph = StreamGraph(ranker, self.reach, ahead)
        if not graph.is_any:
            for some, clips in self._encoded(cut, reel, together):
                yield from zip(some, self._logits(self.shelf.scores(clips, ranker)), strict=True)
            return
        waiting: deque[Window] = deque()
        encoded = self._one_by_one(cut, reel, together, waiting)
        for row in graph.scores(encoded, self.shelf.vectors):
            yield waiting.popleft(), self._logits(row)

    def _one_by_one(
        self, cut: Iterable[Window], reel: Reel, together: int, waiting: deque[Window]
    ) -> Iterator[ClipVectors]:
        for some, clips in self._encoded(cut, reel, together):
            for place, window in enumerate(some):
                waiting.append(window)
                yield clips[[place]]

    def _encoded(
        self, cut: Iterable[Window], reel: Reel, together: int
    ) -> Iterator[tuple[Sequence[Window], ClipVectors]]:
        for some in batched(cut, together):
            frames = [reel[w.frames if "picture" in self.use else range(0)] for w in some]
            words = [w.words if "words" in self.use else "" for w in some]
            clips = self.embedder.windows(frames, words)
            reel.forget(some[-1].frames.start)
            yield some, clips

    def _logits(self, scores: Tensor) -> NDArray[np.float64]:
        """Scores times the logit scale."""
        return (scores * self.embedder.ranker.weights.logit_scale).double().numpy()

    def _of_recording(
        self, source: Path | str, utterances: Sequence[Utterance], damage: list[str]
    ) -> Iterator[tuple[Window, NDArray[np.float64]]]:
        """Each window with its logits (S,)."""
        side = self.embedder.max_side
        shown = video.frames(source, rate_hz=RATE_HZ, max_side=side, damage=damage)
        decoded = chain.from_iterable(ahead(batched(shown, AHEAD)))
        reel = Reel(self.embedder, decoded)
        length_s = video.duration(source, RATE_HZ) or None
        cut = windows(
            reel.times(), utterances, self.settings.window_s, self.settings.hop_s, 0.0, length_s
        )
        yield from self.scored(cut, reel, TOGETHER, self.reach)
        if not reel.count:
            raise MediaError("shows no frame", source, "give a video that plays")
        # A header that promises more than there is may have been reported while reading.
        believed = is_believed(length_s or 0.0, reel.last_s, self.settings.window_s)
        if not believed and not damage:
            found = f"its pictures end soon after {reel.last_s:.0f} s"
            damage.append(f"{source}: {found}, not at {length_s:.0f} s as stated")


class Reel:
    """The frames of a stream after their tower, as long as windows may still want them.

    Frames count from the stream's first; pixels are kept only until they are encoded, or
    until no window wants them any more.
    """

    def __init__(self, embedder: Embedder, shown: Iterable[Shown]) -> None:
        self.embedder, self.shown = embedder, shown
        self.waiting: list[Picture] = []
        self.looks = embedder.pictures([])
        self.forgotten = 0
        self.last_s = 0.0

    @property
    def count(self) -> int:
        """How many frames were read."""
        return self.forgotten + len(self.looks) + len(self.waiting)

    def times(self) -> Iterator[float]:
        """The frames' seconds, as they are read."""
        for frame in self.shown:
            self.waiting.append(frame.rgb)
            self.last_s = frame.time_s
            yield frame.time_s

    def __getitem__(self, frames: range) -> Looks:
        """Some frames that are not forgotten."""
        if frames.stop > self.forgotten + len(self.looks) and self.waiting:
            self.looks = Looks.cat([self.looks, self.embedder.pictures(self.waiting)])
            self.waiting.clear()
        start, stop = (max(0, number - self.forgotten) for number in (frames.start, frames.stop))
        return self.looks[start:stop]

    def forget(self, before: int) -> None:
        """Let go of the frames before a number; windows never go back."""
        gone = min(max(0, before - self.forgotten), self.count - self.forgotten)
        unseen = max(0, gone - len(self.looks))  # nobody looks, where words alone count
        del self.waiting[:unseen]
        self.looks = self.looks[gone - unseen :].mapped(Tensor.clone)
        self.forgotten += gone
