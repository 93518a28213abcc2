"""A running stream: what is told of it, what is kept of it, and how it ends."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import ref

import numpy as np
import pytest
import torch

from sgmn.errors import MediaError
from sgmn.live.events import Event, segments_from_events, to_json
from sgmn.live.evidence import TimelineSettings
from sgmn.live.frame_source import PacedSource
from sgmn.live.recognizer import StreamRecognizer
from sgmn.live.session import Session, WindowUpdate, events_from_result
from sgmn.live.windows import Window
from sgmn.media import video
from sgmn.media.live_source import LiveFrame, LiveSource
from sgmn.media.live_transcript import LiveTranscript
from sgmn.model.tokens import ImageTokens
from sgmn.records import ImageArray, Utterance

SETTINGS = TimelineSettings(nothing_threshold=0.0, switch_cost=1.0, window_s=6.0)
WALL_S = 1_000_000.0  # when every fake stream begins
COLOURS = ("red", "green", "blue")


class Eyes:
    """An embedder that sees a picture's mean colour and hears the names of colours."""

    max_side = 8
    ranker = SimpleNamespace(weights=SimpleNamespace(logit_scale=1.0), parts=None)

    def __init__(self) -> None:
        self.encoded, self.most = 0, 0  # pictures: of all times, and at once

    def encode_images(self, pictures: Sequence[ImageArray]) -> ImageTokens:
        self.encoded += len(pictures)
        self.most = max(self.most, len(pictures))
        means = [np.asarray(p, float).mean((0, 1)) / 255 for p in pictures]
        whole = torch.tensor(np.array(means).reshape(-1, 3))
        return ImageTokens(whole, whole[:, None], torch.ones(len(whole), 1, dtype=torch.bool))

    def encode_windows(self, frames: Sequence[ImageTokens], words: Sequence[str]) -> Any:
        shown = [some.pooled.mean(0) if len(some) else torch.zeros(3) for some in frames]
        heard = [torch.tensor([float(name in said) for name in COLOURS]) for said in words]
        return torch.stack([s + h for s, h in zip(shown, heard, strict=True)])


class Stall:
    """A shelf of three colours."""

    product_ids = COLOURS

    def scores(self, clips: Any, ranker: Any) -> Any:
        return 8.0 * clips


class Running:
    """A stream of one frame a second, each of one colour; `at` is called as a frame is due."""

    damage: Sequence[str] = ("two packets are lost",)
    dropped_frames, reconnects = 3, 1

    def __init__(
        self, colours: Sequence[str], at: Callable[[int], None] = lambda number: None
    ) -> None:
        self.colours, self.at, self.is_closed = colours, at, False

    def __iter__(self) -> Iterator[LiveFrame]:
        for number, colour in enumerate(self.colours):
            self.at(number)
            if self.is_closed:
                return
            rgb = np.zeros((2, 2, 3), np.uint8)
            if colour in COLOURS:
                rgb[..., COLOURS.index(colour)] = 255
            yield LiveFrame(float(number), WALL_S + number, rgb)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def eyes() -> Eyes:
    return Eyes()


@pytest.fixture
def recognizer(eyes: Eyes) -> StreamRecognizer:
    return StreamRecognizer(eyes, Stall(), SETTINGS)  # type: ignore[arg-type]


def shown(*spans: tuple[str, int]) -> list[str]:
    return [colour for colour, seconds in spans for _ in range(seconds)]


THREE = shown(("red", 20), ("blue", 15), ("green", 25))


@pytest.fixture
def filmed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lets a recording show the same frames as `Running` of `THREE`."""
    monkeypatch.setattr(video, "frames", lambda source, **_: iter(Running(THREE)))
    monkeypatch.setattr(video, "duration", lambda *_: float(len(THREE)))
    return THREE


def test_a_lag_as_long_as_the_stream_finds_what_a_recording_shows(
    recognizer: StreamRecognizer, filmed: list[str]
) -> None:
    recorded = recognizer.watch("a.mp4")
    found = Session(recognizer, lag_s=100.0).run(Running(filmed))
    assert [s.product_id for s in found.segments] == ["red", "blue", "green"]
    assert found.duration_s == recorded.duration_s == 60.0
    for live, other in zip(found.segments, recorded.segments, strict=True):
        assert (live.start, live.end, live.product_id) == (other.start, other.end, other.product_id)
        assert live.confidence == pytest.approx(other.confidence, abs=0.002)  # what came after
        assert live.runner_up == other.runner_up


@pytest.mark.parametrize("lag_s", [0.0, 6.0, 100.0])
def test_a_recording_has_the_events_that_it_would_have_had_live(
    lag_s: float, recognizer: StreamRecognizer, filmed: list[str]
) -> None:
    live = Session(recognizer, lag_s).run(Running(filmed)).events
    recorded = events_from_result(recognizer.watch("a.mp4"), SETTINGS, lag_s)

    def told(events: Sequence[Event]) -> list[Any]:
        return [(e.id, e.kind, e.time_s, e.found_s, e.product_id, e.before) for e in events]

    assert told(live) == told(tuple(recorded)) and len(live) >= 4


def test_events_are_told_as_their_windows_complete(recognizer: StreamRecognizer) -> None:
    arrived: list[int] = []
    heard: list[tuple[Event, int]] = []
    found = Session(recognizer).run(
        Running(THREE, arrived.append), on_event=lambda event: heard.append((event, arrived[-1]))
    )
    assert tuple(event for event, _ in heard) == found.events
    assert found.segments == segments_from_events(found.events)
    for event, newest in heard[:-1]:
        # Its window ends 3 s after its moment, and is weighed with the frame that shows so.
        assert newest == event.found_s + 3.0 and event.wall_s == WALL_S + newest
    assert (heard[-1][0].kind, heard[-1][0].time_s) == ("ended", 60.0)


def test_every_frame_is_encoded_once_and_every_window_scored_at_once(
    recognizer: StreamRecognizer, eyes: Eyes
) -> None:
    moments: list[WindowUpdate] = []
    Session(recognizer).run(Running(THREE), on_window=moments.append)
    assert eyes.encoded == 60 and eyes.most <= 5  # a window's first half, a hop
    assert [m.belief.time_s for m in moments] == [1.0 + 2 * k for k in range(30)]
    assert moments[3].frame_count == 11 and moments[3].wall_s == WALL_S + 10


def test_what_the_source_knows_of_itself_is_passed_on(recognizer: StreamRecognizer) -> None:
    found = Session(recognizer).run(Running(THREE))
    assert found.damage == ("two packets are lost",)
    assert (found.dropped_frames, found.reconnects) == (3, 1)


def test_words_that_come_meanwhile_are_heard(recognizer: StreamRecognizer) -> None:
    said: list[Utterance] = []

    def speak(number: int) -> None:
        if number == 22:
            said.append(Utterance(20.0, 22.0, "green green"))
        if number == 58:
            said.append(Utterance(40.0, 42.0, "red red"))  # too late for its windows

    chances: dict[float, Any] = {}

    def note(moment: WindowUpdate) -> None:
        chances[moment.belief.time_s] = moment.belief.probabilities

    Session(recognizer).run(Running([""] * 60, speak), said, on_window=note)
    red, green = COLOURS.index("red"), COLOURS.index("green")
    assert max(chance[green] for time_s, chance in chances.items() if time_s < 19) < 0.5
    assert chances[19.0][green] > 0.8 and chances[23.0][green] > 0.9
    assert max(chance[red] for chance in chances.values()) < 0.5


def test_a_window_waits_for_words_that_take_time(recognizer: StreamRecognizer) -> None:
    """Words that come nine seconds late are heard by those who wait ten, and by nobody else."""
    found = []
    for wait_s in (0.0, 10.0):
        said: list[Utterance] = []

        def speak(number: int, said: list[Utterance] = said) -> None:
            if number == 31:
                said.append(Utterance(20.0, 22.0, "green green"))

        chances: dict[float, Any] = {}

        def note(moment: WindowUpdate, chances: dict[float, Any] = chances) -> None:
            chances[moment.belief.time_s] = moment.belief.probabilities[COLOURS.index("green")]

        Session(recognizer, transcript_delay_s=wait_s).run(
            Running([""] * 60, speak), said, on_window=note
        )
        found.append(chances)
    assert set(found[0]) == set(found[1])
    assert max(found[0].values()) < 0.5 and found[1][21.0] > 0.8


def test_what_nobody_hears_any_more_is_forgotten(recognizer: StreamRecognizer) -> None:
    said, kept = LiveTranscript(), list[int]()

    def speak(number: int) -> None:
        said.add(Utterance(number, number + 0.5, f"word{number}"))
        kept.append(len(said))

    Session(recognizer).run(Running([""] * 200, speak), said)
    assert max(kept) < 20


def test_closing_the_source_ends_the_stream_cleanly(recognizer: StreamRecognizer) -> None:
    source = Running(THREE)
    events: list[Event] = []

    def hear(event: Event) -> None:
        events.append(event)
        if event.kind == "changed":
            source.close()

    found = Session(recognizer).run(source, on_event=hear)
    assert events[-1].kind == "ended" and events[-1].time_s == found.duration_s < 35
    assert [s.product_id for s in found.segments] == ["red", "blue"]
    assert found.segments[-1].end == found.duration_s


def test_a_source_closed_before_its_first_frame_has_no_events(recognizer: StreamRecognizer) -> None:
    source = Running(THREE)
    source.close()
    found = Session(recognizer).run(source)
    assert found.events == found.segments == () and found.duration_s == 0.0


def held(kind: type) -> list[Any]:
    """Everything of a kind that is alive."""
    gc.collect()
    return [thing for thing in gc.get_objects() if type(thing) is kind]


class Second(float):
    """A time that can be asked whether it is still alive."""


class Counted(Running):
    """A stream that counts which of its times and pictures are alive."""

    def __iter__(self) -> Iterator[LiveFrame]:
        for frame in super().__iter__():
            own = replace(frame, time_s=Second(frame.time_s))
            watched.extend((ref(own.time_s), ref(own.rgb)))
            yield own


class CountedRows(StreamRecognizer):
    """Counts which of its rows of scores are alive."""

    def score_windows(self, *arguments: Any) -> Iterator[tuple[Window, Any]]:
        for window, row in super().score_windows(*arguments):
            watched.append(ref(row))
            yield window, row


watched: list[Any] = []  # weak references


def test_nothing_grows_with_the_stream(eyes: Eyes) -> None:
    """Between one time and another only events may come; here there are none."""
    alive: dict[int, list[int]] = {}

    def count(number: int) -> None:
        if number in (100, 800):
            tensors, cut = held(torch.Tensor), held(Window)
            things = sum(thing() is not None for thing in watched)
            alive[number] = [things, len(cut), sum(tensor.nbytes for tensor in tensors)]

    watched.clear()
    recognizer = CountedRows(eyes, Stall(), SETTINGS)  # type: ignore[arg-type]
    found = Session(recognizer).run(Counted(["red"] * 801, count))
    assert len(found.events) == 2 and len(watched) > 1900
    assert alive[100] == alive[800] and alive[100][0] < 20


def test_pictures_are_not_kept_where_words_alone_count(eyes: Eyes) -> None:
    words_alone = StreamRecognizer(eyes, Stall(), SETTINGS, ("text",))  # type: ignore[arg-type]
    most: list[int] = []

    def count(number: int) -> None:
        if number == 300:
            most.append(max(map(len, filter(_is_pictures, held(list)))))

    Session(words_alone).run(Running(["red"] * 301, count))
    assert eyes.encoded == 0 and most[0] < 20


def _is_pictures(things: list[Any]) -> bool:
    return bool(things) and all(isinstance(o, np.ndarray) and o.ndim == 3 for o in things)


def test_a_failing_source_fails_the_session(recognizer: StreamRecognizer) -> None:
    def fail(number: int) -> None:
        if number == 30:
            raise MediaError("is gone", "a stream")

    with pytest.raises(MediaError, match="a stream: is gone"):
        Session(recognizer).run(Running(THREE, fail))


def test_a_paced_file_comes_in_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr("sgmn.live.frame_source.time", lambda: now[0])

    def rest(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("sgmn.live.frame_source.sleep", rest)
    seen = [(frame.time_s, frame.wall_s, now[0]) for frame in PacedSource(Running(["red"] * 4))]
    assert [time_s for time_s, _, _ in seen] == [0, 1, 2, 3]
    assert [wall_s for _, wall_s, _ in seen] == [50, 51, 52, 53]
    assert [at_s for _, _, at_s in seen] == pytest.approx([50, 51, 52, 53])


def test_closing_a_paced_file_ends_its_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Running(["red"] * 4)
    paced = PacedSource(source)
    monkeypatch.setattr("sgmn.live.frame_source.sleep", lambda seconds: paced.close())
    assert [frame.time_s for frame in paced] == [0.0]
    assert source.is_closed


def test_a_live_file_gives_what_watching_it_gives(stream: Path) -> None:
    """The real source, reel and windows, with all frames of a file."""
    path = stream / "streams" / "s.mp4"
    seeing = StreamRecognizer(Eyes(), Stall(), SETTINGS)  # type: ignore[arg-type]
    recorded = seeing.watch(path)
    with LiveSource(str(path), max_side=8) as source:
        found = Session(seeing, lag_s=60.0).run(source)
    assert [(s.start, s.end, s.product_id) for s in found.segments] == [
        (s.start, s.end, s.product_id) for s in recorded.segments
    ]
    assert [to_json(e)["kind"] for e in found.events][-1] == "ended"
