"""Windows of a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import floor, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.errors import MediaError, SettingsError
from sgmn.live.windows import Window, cut_windows, is_plausible_end
from sgmn.records import Utterance

UTTERANCES = [
    Utterance(0.5, 3.0, "hello"),
    Utterance(10.0, 12.5, "lime"),
    Utterance(19.0, 20.0, "bye"),
]


def spans_of(windows: Iterable[Window]) -> list[tuple[float, float, float]]:
    return [(w.start_s, w.end_s, w.center_s) for w in windows]


def test_windows_of_a_short_stream() -> None:
    windows = list(cut_windows([i / 2 for i in range(24)], UTTERANCES, window_s=6.0, hop_s=2.0))
    assert spans_of(windows) == [  # the stream lasts 12 s: 24 frames of half a second
        (0.0, 4.0, 1.0),
        (0.0, 6.0, 3.0),
        (2.0, 8.0, 5.0),
        (4.0, 10.0, 7.0),
        (6.0, 12.0, 9.0),
        (8.0, 12.0, 11.0),
    ]
    assert [w.frames for w in windows[:3]] == [range(8), range(12), range(4, 16)]
    assert windows[-1].frames == range(16, 24)
    assert "hello" in windows[0].text and "lime" not in windows[3].text
    assert "lime" in windows[-1].text


def test_a_window_comes_as_soon_as_its_end_has_passed() -> None:
    read: list[float] = []

    def frames() -> Iterator[float]:
        for i in range(100):
            read.append(float(i))
            yield float(i)

    for window in cut_windows(frames(), window_s=10.0, hop_s=2.0):
        if window.end_s < 99:
            assert read[-1] == window.end_s  # not one frame later


def test_utterances_added_during_the_stream_are_used() -> None:
    utterances: list[Utterance] = []
    windows = cut_windows((float(i) for i in range(60)), utterances, window_s=4.0, hop_s=2.0)
    assert next(windows).text == ""
    utterances.append(Utterance(0.0, 8.0, "late"))
    assert next(windows).text == "late"


frame_times = st.lists(st.floats(0, 1.7), min_size=1, max_size=60).map(
    lambda gaps: [sum(gaps[: i + 1]) for i in range(len(gaps))]
)


@given(
    frame_times,
    st.sampled_from([(10.0, 2.0), (4.0, 4.0), (5.0, 1.5)]),
    st.sampled_from([0.0, 7.25]),
    st.none() | st.floats(0, 90),
)
@settings(max_examples=100, deadline=None)
def test_windows_match_their_definition(
    moments: list[float], lengths: tuple[float, float], start: float, duration: float | None
) -> None:
    window_s, hop_s = lengths
    moments = [start + m for m in moments]
    windows = list(cut_windows(moments, (), window_s, hop_s, start, duration))
    frame_s = min(moments[-1] - moments[-2], hop_s) if len(moments) > 1 else 0.0
    end = moments[-1] + frame_s
    if duration is not None and start + duration <= moments[-1] + window_s:
        end = max(moments[-1], start + duration)
    assert windows[0].start_s == start
    assert end - hop_s / 2 <= windows[-1].end_s <= end
    centers = [w.center_s for w in windows]
    assert centers == sorted(set(centers))
    for place, window in enumerate(windows):
        center = start + (place + 0.5) * hop_s
        assert window.start_s == max(start, center - window_s / 2)
        assert window.end_s == min(center + window_s / 2, end)
        assert window.start_s <= window.center_s <= window.end_s
        stop = inf if window.end_s == end else window.end_s
        inside = [i for i, t in enumerate(moments) if window.start_s <= t < stop]
        emitted_before = window.end_s == end == moments[-1] and place < len(windows) - 1
        assert list(window.frames) == inside or emitted_before
    assert {i for w in windows for i in w.frames} == set(range(len(moments)))


@pytest.mark.parametrize("length", [3.0, 20.0, 20.9, 21.0, 21.1, 47.3])
def test_each_hop_has_one_window(length: float) -> None:
    windows = list(cut_windows([0.0, length / 2, length - 1], duration_s=length))
    assert len(windows) == max(1, floor(length / 2 + 0.5))
    centers = [w.center_s for w in windows]
    assert centers == [1.0 + 2 * i for i in range(len(centers))]
    assert abs(centers[-1] + 1 - length) <= 1.0
    assert windows[-1].end_s == length


def test_a_duration_is_plausible_up_to_one_window_after_the_last_frame() -> None:
    frames = [float(i) for i in range(10)]
    assert list(cut_windows(frames, duration_s=19.0))[-1].end_s == 19.0
    unbounded = list(cut_windows(frames))
    assert list(cut_windows(frames, duration_s=19.1)) == unbounded
    assert list(cut_windows(frames, duration_s=1e12)) == unbounded and len(unbounded) == 5
    assert list(cut_windows(frames, duration_s=inf)) == unbounded
    assert is_plausible_end(19.0, 9.0, 10.0) and not is_plausible_end(19.1, 9.0, 10.0)


def test_a_gap_has_windows_without_frames() -> None:
    windows = list(cut_windows([0.0, 1.0, 2.0, 60.0], window_s=10.0, hop_s=2.0))
    assert windows[15].frames == range(3, 3)
    assert windows[0].frames == range(3)
    assert windows[-1].frames == range(3, 4)
    assert windows[-1].end_s == 62.0  # the last frame does not last as long as the gap


def test_one_frame_has_one_window_and_no_frame_has_none() -> None:
    (only,) = cut_windows([0.0])
    assert (only.start_s, only.end_s, only.frames) == (0.0, 0.0, range(1))
    assert list(cut_windows([])) == []


@pytest.mark.parametrize("moments", [[0.0, 2.0, 1.0], [0.0, float("nan")], [-1.0], [float("inf")]])
def test_decreasing_times_are_rejected(moments: list[float]) -> None:
    with pytest.raises(MediaError, match=r"frame .* never decrease"):
        list(cut_windows(moments))


@pytest.mark.parametrize("window_s, hop_s", [(10, 0), (2, 3), (10, -1), (float("inf"), 2)])
def test_lengths_that_leave_gaps_are_rejected(window_s: float, hop_s: float) -> None:
    with pytest.raises(SettingsError, match="hop_s"):
        list(cut_windows([0.0], window_s=window_s, hop_s=hop_s))


@pytest.mark.parametrize("hop_s", [2.0, 0.7, 6.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_delay_does_not_change_the_windows(hop_s: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.choice([0.0, 0.3, 1.0, 25.0], p=[0.1, 0.3, 0.57, 0.03], size=200)
    times = [float(time) for time in np.cumsum(steps)][: (1, 2, 50, 200)[seed]]
    utterances = [Utterance(t, t + 1, f"word{i}") for i, t in enumerate(times)]
    read: list[float] = []
    windows = []

    def frames() -> Iterator[float]:
        for time in times:
            read.append(time)
            yield time

    for window in cut_windows(frames(), utterances, 6.0, hop_s, delay_s=7.5):
        windows.append(window)
        assert read[-1] >= window.end_s + 7.5 or len(read) == len(times)
    assert windows == list(cut_windows(times, utterances, 6.0, hop_s))


def test_the_last_frame_lasts_one_hop_after_a_gap() -> None:
    windows = list(cut_windows([*map(float, range(40)), 70.0], (), 6.0, 2.0))
    assert windows[-1].end_s == 72.0


def test_a_frame_with_a_decreasing_time_is_named_by_its_number() -> None:
    with pytest.raises(MediaError, match=r"frame 40 is at 38\.0 s, after 39\.0 s"):
        list(cut_windows([*map(float, range(40)), 38.0], (), 6.0, 2.0))
