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
from sgmn.live.decoder import LogProbs
from sgmn.live.effort import ALL_FRAMES, DecodingReport, Effort
from sgmn.live.evidence import TimelineSettings, compute_evidence, timeline_settings
from sgmn.live.frame_buffer import FrameBuffer
from sgmn.live.presence import UNKNOWN, ScoredWindow, compute_presence
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
        saliency: (W,) how salient the frames of each window are; None if that is not known.

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
    saliency: NDArray[np.float64] | None = None

    @property
    def windows(self) -> Iterator[tuple[float, Logits, float]]:
        """The moment, the logits (S,) and the saliency of each window."""
        unknown = np.full(len(self.times_s), UNKNOWN)
        saliency = unknown if self.saliency is None else self.saliency
        return zip(self.times_s.tolist(), self.scores, saliency.tolist(), strict=True)

    def compute_evidence(self, settings: TimelineSettings) -> LogProbs:
        """Return log-likelihoods (W, S + 1): see `evidence.compute_evidence`."""
        return compute_evidence(self.scores, settings, compute_presence(self.saliency, settings))


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
        scored = []
        for one in recording.scores():
            on_belief(decoder.push(one.window.center_s, one.logits, one.saliency))
            scored.append(one)
        end_s = scored[-1].window.end_s if scored else 0.0
        times_s = np.array([one.window.center_s for one in scored])
        scores = np.array([one.logits for one in scored])
        saliency = np.array([one.saliency for one in scored])
        span_s = (0.0, end_s)
        segments = decode_segments(times_s, scores, product_ids, self.settings, span_s, saliency)
        return RecognitionResult(
            segments=segments,
            duration_s=end_s,
            times_s=times_s,
            scores=scores,
            product_ids=product_ids,
            damage=tuple(recording.damage),
            decoding=recording.decoding,
            saliency=saliency,
        )

    def score_windows(
        self,
        windows: Iterable[Window],
        frame_buffer: FrameBuffer,
        batch_size: int,
        windows_after: int = 0,
    ) -> Iterator[ScoredWindow]:
        """Yield each window with its evidence.

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
                logits = self._to_logits(self.shelf.scores(clips, ranker))
                yield from map(ScoredWindow, batch, logits, read_saliency(clips))
            return
        pending: deque[tuple[Window, float]] = deque()
        for scores in graph.scores(_split_batches(batches, pending), self.shelf.vectors):
            window, saliency = pending.popleft()
            yield ScoredWindow(window, self._to_logits(scores), saliency)

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
    batches: Iterable[tuple[Sequence[Window], ClipVectors]], pending: deque[tuple[Window, float]]
) -> Iterator[ClipVectors]:
    """Yield the vectors of one window at a time; add the window and its saliency to `pending`."""
    for batch, clips in batches:
        for row, (window, saliency) in enumerate(zip(batch, read_saliency(clips), strict=True)):
            pending.append((window, saliency))
            yield clips[[row]]


def read_saliency(clips: ClipVectors) -> list[float]:
    """Return how salient the frames of each clip are.

    It is `UNKNOWN` for clips without frames, and for models without guidance.
    """
    saliency: list[float] = clips.saliency.masked_fill(~clips.has_image, UNKNOWN).tolist()
    return saliency
