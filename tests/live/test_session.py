"""A session over a running stream: its events, its updates, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from sgmn.errors import MediaError
from sgmn.live.events import Event, segments_from_events, to_json
from sgmn.live.recognizer import StreamRecognizer
from sgmn.live.session import Session, WindowUpdate, events_from_result
from sgmn.media import video
from sgmn.media.live_source import LiveSource
from sgmn.records import Utterance
from tests.live.color_streams import (
    COLORS,
    SETTINGS,
    START_WALL_S,
    THREE_COLORS,
    ColorEmbedder,
    ColorStream,
    build_recognizer,
)


@pytest.fixture
def embedder() -> ColorEmbedder:
    return ColorEmbedder()


@pytest.fixture
def recognizer(embedder: ColorEmbedder) -> StreamRecognizer:
    return build_recognizer(embedder)


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make a recording of `THREE_COLORS` out of any path."""
    monkeypatch.setattr(video, "read_frames", lambda source, **_: iter(ColorStream(THREE_COLORS)))
    monkeypatch.setattr(video, "read_duration", lambda *_: float(len(THREE_COLORS)))
    return THREE_COLORS


def test_a_lag_as_long_as_the_stream_gives_the_segments_of_a_recording(
    recognizer: StreamRecognizer, recording: list[str]
) -> None:
    recorded = recognizer.watch("a.mp4")
    result = Session(recognizer, lag_s=100.0).run(ColorStream(recording))
    assert [s.product_id for s in result.segments] == ["red", "blue", "green"]
    assert result.duration_s == recorded.duration_s == 60.0
    for live, other in zip(result.segments, recorded.segments, strict=True):
        assert (live.start, live.end, live.product_id) == (other.start, other.end, other.product_id)
        assert live.confidence == pytest.approx(other.confidence, abs=0.002)  # what came after
        assert live.runner_up == other.runner_up


@pytest.mark.parametrize("lag_s", [0.0, 6.0, 100.0])
def test_a_recording_has_the_events_of_the_same_live_stream(
    lag_s: float, recognizer: StreamRecognizer, recording: list[str]
) -> None:
    live = Session(recognizer, lag_s).run(ColorStream(recording)).events
    recorded = events_from_result(recognizer.watch("a.mp4"), SETTINGS, lag_s)

    def without_wall_clock(events: Iterable[Event]) -> list[Any]:
        return [(e.id, e.kind, e.time_s, e.found_s, e.product_id, e.before) for e in events]

    assert without_wall_clock(live) == without_wall_clock(recorded) and len(live) >= 4


def test_events_are_reported_as_their_windows_complete(recognizer: StreamRecognizer) -> None:
    arrived: list[int] = []
    reported: list[tuple[Event, int]] = []
    result = Session(recognizer).run(
        ColorStream(THREE_COLORS, arrived.append),
        on_event=lambda event: reported.append((event, arrived[-1])),
    )
    assert tuple(event for event, _ in reported) == result.events
    assert result.segments == segments_from_events(result.events)
    for event, newest in reported[:-1]:
        # Its window ends 3 s after its moment, and is scored with the frame that shows so.
        assert newest == event.found_s + 3.0 and event.wall_s == START_WALL_S + newest
    assert (reported[-1][0].kind, reported[-1][0].time_s) == ("ended", 60.0)


def test_every_frame_is_encoded_once_and_every_window_scored_at_once(
    recognizer: StreamRecognizer, embedder: ColorEmbedder
) -> None:
    updates: list[WindowUpdate] = []
    Session(recognizer).run(ColorStream(THREE_COLORS), on_window=updates.append)
    assert embedder.image_count == 60
    assert embedder.largest_batch <= 5  # half a window plus a hop
    assert [u.belief.time_s for u in updates] == [1.0 + 2 * k for k in range(30)]
    assert updates[3].frame_count == 11 and updates[3].wall_s == START_WALL_S + 10


def test_damage_and_counts_of_the_source_are_passed_on(recognizer: StreamRecognizer) -> None:
    result = Session(recognizer).run(ColorStream(THREE_COLORS))
    assert result.damage == ("two packets are lost",)
    assert (result.dropped_frames, result.reconnects) == (3, 1)


def test_utterances_that_arrive_during_the_stream_are_used(recognizer: StreamRecognizer) -> None:
    utterances: list[Utterance] = []

    def speak(number: int) -> None:
        if number == 22:
            utterances.append(Utterance(20.0, 22.0, "green green"))
        if number == 58:
            utterances.append(Utterance(40.0, 42.0, "red red"))  # too late for its windows

    probabilities: dict[float, Any] = {}

    def note(update: WindowUpdate) -> None:
        probabilities[update.belief.time_s] = update.belief.probabilities

    Session(recognizer).run(ColorStream([""] * 60, speak), utterances, on_window=note)
    red, green = COLORS.index("red"), COLORS.index("green")
    assert max(row[green] for time_s, row in probabilities.items() if time_s < 19) < 0.5
    assert probabilities[19.0][green] > 0.8 and probabilities[23.0][green] > 0.9
    assert max(row[red] for row in probabilities.values()) < 0.5


def probabilities_of_green(
    recognizer: StreamRecognizer, transcript_delay_s: float
) -> dict[float, float]:
    """Return the probability of green by time, if "green" is recognized nine seconds late."""
    utterances: list[Utterance] = []

    def speak(number: int) -> None:
        if number == 31:
            utterances.append(Utterance(20.0, 22.0, "green green"))

    probabilities: dict[float, float] = {}

    def note(update: WindowUpdate) -> None:
        green = update.belief.probabilities[COLORS.index("green")]
        probabilities[update.belief.time_s] = float(green)

    session = Session(recognizer, transcript_delay_s=transcript_delay_s)
    session.run(ColorStream([""] * 60, speak), utterances, on_window=note)
    return probabilities


def test_windows_wait_for_late_utterances(recognizer: StreamRecognizer) -> None:
    at_once = probabilities_of_green(recognizer, 0.0)
    delayed = probabilities_of_green(recognizer, 10.0)
    assert set(at_once) == set(delayed)
    assert max(at_once.values()) < 0.5 and delayed[21.0] > 0.8


def test_closing_the_source_ends_the_stream_cleanly(recognizer: StreamRecognizer) -> None:
    source, events = ColorStream(THREE_COLORS), list[Event]()

    def close_after_change(event: Event) -> None:
        events.append(event)
        if event.kind == "changed":
            source.close()

    result = Session(recognizer).run(source, on_event=close_after_change)
    assert events[-1].kind == "ended" and events[-1].time_s == result.duration_s < 35
    assert [s.product_id for s in result.segments] == ["red", "blue"]
    assert result.segments[-1].end == result.duration_s


def test_a_source_closed_before_its_first_frame_has_no_events(
    recognizer: StreamRecognizer,
) -> None:
    source = ColorStream(THREE_COLORS)
    source.close()
    result = Session(recognizer).run(source)
    assert result.events == () and result.segments == () and result.duration_s == 0.0


def test_errors_of_the_source_propagate(recognizer: StreamRecognizer) -> None:
    def fail(number: int) -> None:
        if number == 30:
            raise MediaError("is gone", "a stream")

    with pytest.raises(MediaError, match="a stream: is gone"):
        Session(recognizer).run(ColorStream(THREE_COLORS, fail))


def test_a_live_file_gives_the_segments_of_the_recording(
    recognizer: StreamRecognizer, stream: Path
) -> None:
    """The real source, frame buffer and windows, with all frames of a file."""
    path = stream / "streams" / "s.mp4"
    recorded = recognizer.watch(path)
    with LiveSource(str(path), max_side=8) as source:
        result = Session(recognizer, lag_s=60.0).run(source)
    assert [(s.start, s.end, s.product_id) for s in result.segments] == [
        (s.start, s.end, s.product_id) for s in recorded.segments
    ]
    assert [to_json(e)["kind"] for e in result.events][-1] == "ended"
