"""Recognizes the products in a stream: windows, embedder, shelf and timeline in turn.

Each frame is encoded once, however many windows share it. The belief of a moment uses past
windows only. When the stream has ended, all windows are decoded again, exactly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sgmn.batching import batched
from sgmn.catalogue.shelf import Shelf
from sgmn.live.effort import ALL_FRAMES, DecodingReport, Effort
from sgmn.live.evidence import TimelineSettings, timeline_settings
from sgmn.live.frame_buffer import FrameBuffer
from sgmn.live.recording import RecordingScorer
from sgmn.live.stream_graph import StreamGraph
from sgmn.live.timeline import Belief, OnlineDecoder, decode_segments
from sgmn.live.windows import Window
from sgmn.media.container import HardwareDecoder
from sgmn.model.embedder import Embedder
from sgmn.model.scoring import MODALITIES, ClipVectors, Modality
from sgmn.records import Segment, Utterance

CONTEXT_WINDOWS = 15  # half a minute with the default hop

Logits = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RecognitionResult:
    """The segments of a stream and the evidence that they rest on.

    Attributes:
        segments: The timeline, in order.
        duration_s: Duration of the stream, in seconds.
        times_s: (W,) moments that the windows represent, in seconds.
        scores: (W, S) logits, in the order of `product_ids`.
        product_ids: The S products of the shelf.
        damage: One line for each part of the video that could not be read.
        decoding: What was decoded of the video.

    Example:
        >>> result = RecognitionResult((Segment(0, 9, "p1"),), 9.0, np.array([5.0]),
        ...     np.array([[2.0, 0.5]]), ("p1", "p2"))
        >>> result.product_ids[int(result.scores[0].argmax())]
        'p1'
    """

    segments: tuple[Segment, ...]
    duration_s: float
    times_s: NDArray[np.float64]
    scores: Logits
    product_ids: tuple[str, ...]
    damage: tuple[str, ...] = ()
    decoding: DecodingReport = ALL_FRAMES


@dataclass(frozen=True)
class StreamRecognizer:
    """Recognizes the products of one shelf in streams.

    Attributes:
        embedder: Encodes frames and text.
        shelf: The products.
        timeline: Timeline settings; None takes those that belong to the model.
        modalities: The modalities that are compared.
        context_windows: If the model has the part "interaction": how many windows before a window
            influence it and, in a recording, how many after it; see `stream_graph`.
        effort: "exact" decodes all frames of a recording; "adaptive" only its key frames and, where
            these leave doubt, all frames.
        hardware: Decodes recordings instead of the CPU.

    Example:
        >>> recognizer = StreamRecognizer(index.embedder, index.shelf())  # doctest: +SKIP
        >>> recognizer.watch("stream.mp4").segments  # doctest: +SKIP
    """

    embedder: Embedder
    shelf: Shelf
    timeline: TimelineSettings | None = None
    modalities: tuple[Modality, ...] = MODALITIES
    context_windows: int = CONTEXT_WINDOWS
    effort: Effort = "exact"
    hardware: HardwareDecoder | None = None

    @cached_property
    def settings(self) -> TimelineSettings:
        """The timeline settings in use."""
        return self.timeline or timeline_settings(self.embedder.model)

    @property
    def links_windows(self) -> bool:
        """Whether the score of a window depends on its neighbors."""
        return StreamGraph(self.embedder.ranker, self.context_windows).is_active

    def watch(
        self,
        source: Path | str,
        utterances: Sequence[Utterance] = (),
        on_belief: Callable[[Belief], None] = lambda belief: None,
    ) -> RecognitionResult:
        """Recognize the products in a recording.

        Args:
            source: A video file, or a folder of frames.
            utterances: What is said.
            on_belief: Called with the belief after each window.

        Raises:
            MediaError: Nothing of the video can be read.
        """
        product_ids = tuple(self.shelf.product_ids)
        decoder = OnlineDecoder(product_ids, self.settings)
        recording = RecordingScorer(self, source, utterances)
        times, rows, end_s = [], [], 0.0
        for window, logits in recording.scores():
            on_belief(decoder.push(window.center_s, logits))
            times.append(window.center_s)
            rows.append(logits)
            end_s = window.end_s
        times_s, scores = np.array(times), np.array(rows)
        segments = decode_segments(times_s, scores, product_ids, self.settings, (0.0, end_s))
        damage, decoding = tuple(recording.damage), recording.decoding
        return RecognitionResult(segments, end_s, times_s, scores, product_ids, damage, decoding)

    def score_windows(
        self,
        windows: Iterable[Window],
        frame_buffer: FrameBuffer,
        batch_size: int,
        windows_after: int = 0,
    ) -> Iterator[tuple[Window, Logits]]:
        """Yield each window with its logits (S,).

        Args:
            windows: The windows, in order.
            frame_buffer: The frames of the windows.
            batch_size: How many windows are collected and encoded together.
            windows_after: How many later windows may influence a window. It is yielded that many
                windows later.
        """
        ranker = self.embedder.ranker
        graph = StreamGraph(ranker, self.context_windows, windows_after)
        batches = self._encode_batches(windows, frame_buffer, batch_size)
        if not graph.is_active:
            for batch, clips in batches:
                yield from zip(
                    batch, self._to_logits(self.shelf.scores(clips, ranker)), strict=True
                )
            return
        pending: deque[Window] = deque()
        for scores in graph.scores(_split_batches(batches, pending), self.shelf.vectors):
            yield pending.popleft(), self._to_logits(scores)

    def _encode_batches(
        self, windows: Iterable[Window], frame_buffer: FrameBuffer, batch_size: int
    ) -> Iterator[tuple[Sequence[Window], ClipVectors]]:
        uses_image, uses_text = "image" in self.modalities, "text" in self.modalities
        for batch in batched(windows, batch_size):
            frames = [frame_buffer[w.frames if uses_image else range(0)] for w in batch]
            texts = [w.text if uses_text else "" for w in batch]
            clips = self.embedder.encode_windows(frames, texts)
            frame_buffer.discard_before(batch[-1].frames.start)
            yield batch, clips

    def _to_logits(self, scores: Tensor) -> Logits:
        """Return scores times the logit scale."""
        return (scores * self.embedder.ranker.weights.logit_scale).double().numpy()


def _split_batches(
    batches: Iterable[tuple[Sequence[Window], ClipVectors]], pending: deque[Window]
) -> Iterator[ClipVectors]:
    """Yield the vectors of one window at a time, and add the window to `pending`."""
    for batch, clips in batches:
        for row, window in enumerate(batch):
            pending.append(window)
            yield clips[[row]]
