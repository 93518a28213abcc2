"""Watches a running stream: frames in, events out, each window scored as it completes.

The source decodes in a thread of its own while this one encodes and scores. Memory holds what
later windows may need, the lag of the decoder, and the events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import time

from sgmn.live.event_decoder import EventDecoder
from sgmn.live.events import Event, segments_from_events
from sgmn.live.evidence import TimelineSettings
from sgmn.live.frame_buffer import FrameBuffer
from sgmn.live.frame_source import FrameSource
from sgmn.live.recognizer import RecognitionResult, StreamRecognizer
from sgmn.live.timeline import Belief, OnlineDecoder
from sgmn.live.windows import Window, cut_windows
from sgmn.media.live_source import LiveFrame
from sgmn.media.live_transcript import LiveTranscript
from sgmn.records import Segment, Utterance

DEFAULT_LAG_S = 6.0


@dataclass(frozen=True, slots=True)
class WindowUpdate:
    """The state of a session after its newest window.

    Attributes:
        belief: What is probably on sale.
        wall_s: Wall-clock time when the newest frame arrived, in seconds since 1970.
        frame_count: Number of frames so far.
    """

    belief: Belief
    wall_s: float
    frame_count: int


@dataclass(frozen=True, slots=True)
class SessionResult:
    """The events of a stream that has ended, and the segments that follow from them.

    `damage`, `dropped_frames` and `reconnects` are those of the `FrameSource`.
    """

    events: tuple[Event, ...]
    segments: tuple[Segment, ...]
    duration_s: float
    damage: tuple[str, ...] = ()
    dropped_frames: int = 0
    reconnects: int = 0


@dataclass(frozen=True)
class Session:
    """Watches running streams, each with a new decoder.

    Attributes:
        recognizer: Scores the windows.
        lag_s: Seconds for which an event may be corrected.
        transcript_delay_s: How long after its end a window is scored, in stream time, because
            utterances arrive late.

    Example:
        >>> session = Session(recognizer, lag_s=6.0)  # doctest: +SKIP
        >>> with LiveSource("rtmp://host/live/key") as source:  # doctest: +SKIP
        ...     result = session.run(source, on_event=print)
    """

    recognizer: StreamRecognizer
    lag_s: float = DEFAULT_LAG_S
    transcript_delay_s: float = 0.0

    def run(
        self,
        source: FrameSource,
        utterances: Sequence[Utterance] = (),
        on_event: Callable[[Event], None] = lambda event: None,
        on_window: Callable[[WindowUpdate], None] = lambda update: None,
    ) -> SessionResult:
        """Watch a source until it ends; closing it from another thread ends it.

        A source that ends before its first frame has no events. Errors of the source propagate;
        the events then have no end.

        Args:
            source: The frames.
            utterances: What is said. The sequence may grow meanwhile; a window uses those present
                when it is scored. A `LiveTranscript` discards those that no later window needs.
            on_event: Called with each event, in this thread; the next window waits for it.
            on_window: Called after each window, in this thread; the next window waits for it.
        """
        settings, product_ids = self.recognizer.settings, self.recognizer.shelf.product_ids
        decoder = EventDecoder(product_ids, settings, self.lag_s)
        online_decoder = OnlineDecoder(product_ids, settings)
        events: list[Event] = []

        def report(new_events: Iterable[Event]) -> None:
            for event in new_events:
                events.append(event)
                on_event(event)

        frames, end_s = _TimedFrames(source), 0.0
        frame_buffer = FrameBuffer(self.recognizer.embedder, frames)
        windows = self._cut_windows(frame_buffer, utterances)
        for window, logits, saliency in self.recognizer.score_windows(windows, frame_buffer, 1):
            if isinstance(utterances, LiveTranscript):
                utterances.discard_before(window.start_s)
            report(decoder.push(window.center_s, logits, frames.wall_s, saliency))
            belief = online_decoder.push(window.center_s, logits, saliency)
            on_window(WindowUpdate(belief, frames.wall_s, frame_buffer.frame_count))
            end_s = window.end_s
        report(decoder.end(end_s, frames.wall_s))
        return _build_result(source, events, end_s)

    def _cut_windows(
        self, frame_buffer: FrameBuffer, utterances: Sequence[Utterance]
    ) -> Iterator[Window]:
        return cut_windows(
            frame_buffer.frame_times_s(),
            utterances,
            self.recognizer.settings.window_s,
            self.recognizer.settings.hop_s,
            delay_s=self.transcript_delay_s,
        )


def _build_result(source: FrameSource, events: Sequence[Event], end_s: float) -> SessionResult:
    return SessionResult(
        events=tuple(events),
        segments=segments_from_events(events),
        duration_s=end_s,
        damage=tuple(source.damage),
        dropped_frames=source.dropped_frames,
        reconnects=source.reconnects,
    )


def events_from_result(
    result: RecognitionResult,
    settings: TimelineSettings | None = None,
    lag_s: float = DEFAULT_LAG_S,
) -> Iterator[Event]:
    """Yield the events that a recording would have had as a running stream.

    They have no wall-clock time.
    """
    decoder = EventDecoder(result.product_ids, settings, lag_s)
    for time_s, logits, saliency in result.windows:
        yield from decoder.push(time_s, logits, saliency=saliency)
    yield from decoder.end(result.duration_s)


class _TimedFrames:
    """The frames of a source, and the wall-clock time of the newest one."""

    def __init__(self, source: Iterable[LiveFrame]) -> None:
        self._source = source
        self.wall_s = time()

    def __iter__(self) -> Iterator[LiveFrame]:
        for frame in self._source:
            self.wall_s = frame.wall_s
            yield frame
