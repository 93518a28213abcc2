"""The event decoder on small streams whose events are worked out by hand."""

from __future__ import annotations

import pickle
from itertools import product
from math import inf

import numpy as np
import pytest

from sgmn.errors import SettingsError, SgmnError
from sgmn.live.decoder import smooth
from sgmn.live.event_decoder import EventDecoder
from sgmn.live.events import segments_from_events
from sgmn.live.evidence import TimelineSettings, compute_evidence
from tests.live.event_streams import (
    SETTINGS,
    SHELF,
    decode_stream,
    flatten,
    preference_for_b,
    sharp_logits,
    spans_of,
    window_times,
)


def test_start_change_and_end() -> None:
    """Windows of 2 s, each certain; a change lies half-way between two windows."""
    chosen = TimelineSettings(switch_cost=0.5, nothing_threshold=0.5, window_s=2.0, hop_s=2.0)
    nothing = np.zeros((1, 3))
    scores = np.vstack([nothing, sharp_logits("a", "a", "b"), nothing, sharp_logits("c")])
    events = flatten(decode_stream(EventDecoder(SHELF, chosen), window_times(6), scores, 12.5))
    assert [
        (e.id, e.kind, e.time_s, e.found_s, e.before, e.product_id, e.corrects) for e in events
    ] == [
        (1, "started", 0.0, 1.0, None, None, None),
        (2, "started", 2.0, 3.0, None, "a", None),
        (3, "changed", 6.0, 7.0, "a", "b", None),
        (4, "ended", 8.0, 9.0, "b", None, None),
        (5, "started", 10.0, 11.0, None, "c", None),
        (6, "ended", 12.5, 12.5, "c", None, None),
    ]


def test_probabilities() -> None:
    """Three windows of a; the odds of one are e² : e : 1, and a switch costs e²."""
    decoder = EventDecoder(SHELF, SETTINGS)
    row = np.array([2.0, 1.0, 0.0])
    (event,) = decoder.push(1.0, row)
    total = np.exp(row).sum()
    assert event.product_id == "a"
    assert event.confidence == pytest.approx(np.exp(2) / total)
    assert [name for name, _ in event.alternatives] == ["b", "c", None]
    assert [p for _, p in event.alternatives] == pytest.approx([np.e / total, 1 / total, 0])
    assert decoder.push(3.0, row) == decoder.push(5.0, row) == ()
    (end,) = decoder.end(6.0)
    assert (end.confidence, end.alternatives) == (1.0, ())
    (only,) = segments_from_events([event, end])
    paths = np.array(list(product(range(3), repeat=3)))
    weights = np.exp(row[paths].sum(axis=1) - 2.0 * (np.diff(paths) != 0).sum(axis=1))
    assert only.confidence == pytest.approx((weights @ (paths == 0).mean(axis=1)) / weights.sum())
    assert only.runner_up == "b"


def test_final_windows_still_count_for_later_ones() -> None:
    """b has two windows of eight; the six before them have left the lag."""
    scores = preference_for_b(*[-1.0] * 6, 2.5, 2.5)
    decoder = EventDecoder(SHELF, SETTINGS, lag_s=4.0)
    decode_stream(decoder, window_times(8), scores, 16.0)
    exact = np.exp(smooth(compute_evidence(scores, SETTINGS), SETTINGS.switch_cost))
    assert decoder.window_count < 4 and decoder.recent_segments[-1].product_id == "b"
    confidence = decoder.recent_segments[-1].confidence
    assert confidence == pytest.approx(exact[6:, 1].mean(), abs=1e-9)


def test_confidence_of_a_run_longer_than_the_lag_is_the_mean_over_all_its_windows() -> None:
    """Each window counts as it was known when it left the lag, or is known now."""
    times = window_times(8)
    scores = preference_for_b(-3.0, 0.5, -1.0, 0.2, -0.5, -2.0, 0.4, -1.0)
    decoder, confidences = EventDecoder(SHELF, SETTINGS, lag_s=4.0), np.zeros(8)
    for count in range(1, 9):
        decoder.push(times[count - 1], scores[count - 1])
        logs = smooth(compute_evidence(scores[:count], SETTINGS), SETTINGS.switch_cost)
        is_open = times[:count] - 1.0 >= times[count - 1] - 4.0
        confidences[:count][is_open] = np.exp(logs[is_open, 0])
        (only,) = decoder.recent_segments
        assert only.confidence == pytest.approx(confidences[:count].mean(), abs=1e-9)


def test_at_most_three_alternatives() -> None:
    shelf = [f"p{i}" for i in range(6)]
    (event,) = EventDecoder(shelf, SETTINGS).push(1.0, np.arange(6.0))
    assert [name for name, _ in event.alternatives] == ["p4", "p3", "p2"]


def test_a_late_start_is_dated_back_as_far_as_the_lag_allows() -> None:
    """b gains 0.8 nats per window: worth the cost of 2 in the third."""
    times, scores = window_times(8), preference_for_b(-5, -5, -5, 0.8, 0.8, 0.8, 0.8, 0.8)
    far = flatten(decode_stream(EventDecoder(SHELF, SETTINGS, lag_s=6.0), times, scores, 16.0))
    near = flatten(decode_stream(EventDecoder(SHELF, SETTINGS, lag_s=2.0), times, scores, 16.0))
    assert [(e.kind, e.time_s, e.found_s) for e in far if e.product_id == "b"] == [
        ("changed", 6.0, 11.0)
    ]
    assert [(e.kind, e.time_s, e.found_s) for e in near if e.product_id == "b"] == [
        ("changed", 10.0, 11.0)  # all evidence counts, but final states do not change
    ]


def test_evidence_older_than_the_lag_is_not_lost() -> None:
    """0.3 nats per window: worth the cost of 2 in the seventh, 13 s after the change."""
    scores = preference_for_b(-5, -5, *[0.3] * 10)
    decoder = EventDecoder(SHELF, SETTINGS, lag_s=2.0)
    events = flatten(decode_stream(decoder, window_times(12), scores, 24.0))
    assert [e.found_s for e in events if e.kind == "changed"] == [17.0]


def test_a_wrong_change_is_retracted_once_and_its_id_is_not_used_again() -> None:
    decoder = EventDecoder(SHELF, SETTINGS, lag_s=6.0)
    scores = preference_for_b(-5, -5, 2.5, -5, -5, 9)
    per_window = [decoder.push(t, r) for t, r in zip(window_times(6), scores, strict=True)]
    (change,), (retraction,) = per_window[2], per_window[3]
    assert (change.kind, change.before, change.product_id) == ("changed", "a", "b")
    assert (retraction.kind, retraction.corrects) == ("corrected", change.id)
    assert retraction.time_s == change.time_s
    assert (retraction.product_id, retraction.before, retraction.is_retraction) == ("a", "a", True)
    (again,) = per_window[5]
    assert (again.kind, again.id, again.time_s) == ("changed", retraction.id + 1, 10.0)
    segments = segments_from_events([*flatten(per_window), *decoder.end(12.0)])
    assert spans_of(segments) == [(0, 10, "a"), (10, 12, "b")]


def test_product_and_time_are_corrected() -> None:
    """What seemed b at 4 s was c, from 4 s or from 2 s on, as the third window shows."""
    for second, time_s in (([9, 0, 0], 4.0), ([4.6, 0, 5], 2.0)):
        decoder = EventDecoder(SHELF, SETTINGS, lag_s=6.0)
        scores = np.array([[9, 0, 0], second, [0, 5, 4.5], [0, 0, 9]])
        *_, third, fourth = [decoder.push(1.0 + 2.0 * i, row) for i, row in enumerate(scores)]
        assert [(e.product_id, e.time_s) for e in third] == [("b", 4.0)]
        (correction,) = fourth
        assert (correction.kind, correction.corrects) == ("corrected", 2)
        assert (correction.product_id, correction.time_s) == ("c", time_s)
        assert (correction.before, correction.is_retraction) == ("a", False)


def test_a_retraction_names_the_product_that_goes_on() -> None:
    """c at 8 s was wrong: that was still b, not the a of the beginning."""
    decoder, per_window = EventDecoder(SHELF, SETTINGS, lag_s=20.0), []
    rows = [[9, 0, 0], [9, 0, 0], [0, 9, 0], [0, 9, 0], [0, 0, 3], [0, 9, 0]]
    for index, row in enumerate(rows):
        per_window.append(decoder.push(1.0 + 2.0 * index, np.array(row)))
    assert [(e.id, e.product_id) for e in per_window[4]] == [(3, "c")]
    assert [(e.corrects, e.product_id, e.before) for e in per_window[5]] == [(3, "b", "b")]


def test_the_first_event_can_be_corrected_to_nothing_on_sale() -> None:
    """(None, None) of the first event is no retraction: nothing was on sale."""
    chosen = TimelineSettings(switch_cost=3.0, nothing_threshold=0.5, window_s=2.0, hop_s=2.0)
    decoder = EventDecoder(["a", "b"], chosen)
    scores = np.array([[1.6, 0.0], [0.0, 0.0], [0.0, 0.0]])
    events = flatten(decode_stream(decoder, window_times(3), scores, 6.0))
    assert [(e.kind, e.product_id, e.before) for e in events] == [
        ("started", "a", None),
        ("corrected", None, None),
        ("ended", None, None),
    ]
    assert spans_of(segments_from_events(events)) == [(0, 6, None)]


MIN_4_S = TimelineSettings(switch_cost=0.0, window_s=2.0, hop_s=2.0, min_segment_s=4.0)


def test_a_short_run_is_reported_when_it_is_long_enough() -> None:
    scores = sharp_logits("a", "a", "b", "a", "c", "c", "c")
    decoder = EventDecoder(SHELF, MIN_4_S, lag_s=6.0)
    events = flatten(decode_stream(decoder, window_times(7), scores, 14.0))
    assert [(e.kind, e.product_id, e.time_s, e.found_s) for e in events[:-1]] == [
        ("started", "a", 0.0, 1.0),
        ("changed", "c", 8.0, 11.0),
    ]


def test_the_end_of_the_stream_can_make_a_run_too_short_or_long_enough() -> None:
    two, one = sharp_logits("a", "a", "a", "b", "b"), sharp_logits("a", "a", "a", "b")
    events = flatten(decode_stream(EventDecoder(SHELF, MIN_4_S), window_times(5), two, 9.0))
    assert [(e.kind, e.product_id) for e in events[1:-1]] == [("changed", "b"), ("corrected", "a")]
    events = flatten(decode_stream(EventDecoder(SHELF, MIN_4_S), window_times(4), one, 10.5))
    assert [(e.kind, e.product_id, e.time_s) for e in events[1:-1]] == [("changed", "b", 6.0)]
    events = flatten(decode_stream(EventDecoder(SHELF, MIN_4_S), window_times(4), one, 12.5))
    assert events[1:-1] == []  # it left the lag before the end


@pytest.mark.parametrize("lag_s", [-1.0, float("nan"), 6.9])
def test_an_impossible_lag_is_rejected(lag_s: float) -> None:
    with pytest.raises(SettingsError, match=r"lag_s is .* pass a lag of 7\.0 s or more"):
        EventDecoder(SHELF, TimelineSettings(min_segment_s=5.0), lag_s)
    EventDecoder(SHELF, TimelineSettings(min_segment_s=5.0), 7.0)


def test_final_s() -> None:
    """Windows count from 0, 2, 4 … s on; one that starts more than 6 s ago is final."""
    decoder, final_times = EventDecoder(SHELF, SETTINGS, lag_s=6.0), []
    assert decoder.final_s == 0.0
    for time in window_times(6):
        decoder.push(time, np.zeros(3))
        final_times.append(decoder.final_s)
    assert final_times == [0.0, 0.0, 0.0, 2.0, 4.0, 6.0]
    decoder.end(11.5)
    assert decoder.final_s == 11.5


@pytest.mark.slow
@pytest.mark.timeout(600)  # 4,000 windows take seconds, or minutes where all cores are busy
def test_memory_depends_on_the_lag_alone() -> None:
    rng = np.random.default_rng(0)
    decoder = EventDecoder(SHELF, TimelineSettings(nothing_threshold=0.05, switch_cost=0.5))
    sizes, event_count = {}, 0
    for window in range(4_000):
        event_count += len(decoder.push(1.0 + 2.0 * window, rng.normal(0, 3, 3)))
        assert decoder.window_count <= 3  # 6 s with one window every 2 s
        if window % 20 == 0:
            sizes[window] = len(pickle.dumps(decoder))
    assert event_count > 400
    early, late = ([sizes[w] for w in sizes if w // 1000 == part] for part in (0, 3))
    assert max(late) <= 1.1 * max(early)


def test_windows_come_in_order_and_a_stream_ends_once() -> None:
    decoder = EventDecoder(SHELF)
    decoder.push(3.0, np.zeros(3))
    with pytest.raises(SgmnError, match=r"3\.0 s comes after 3\.0 s"):
        decoder.push(3.0, np.zeros(3))
    with pytest.raises(SgmnError, match="finite logits"):
        decoder.push(4.0, np.full(3, np.nan))
    with pytest.raises(SgmnError, match=r"2\.9 s comes after 3\.0 s"):
        decoder.end(2.9)
    with pytest.raises(SgmnError, match="inf s"):
        decoder.end(inf)
    decoder.end(3.0)
    with pytest.raises(SgmnError, match=r"4\.0 s comes after the end"):
        decoder.push(4.0, np.zeros(3))
    with pytest.raises(SgmnError, match="comes after the end"):
        decoder.end(5.0)
    with pytest.raises(SgmnError, match=r"-1\.0 s"):
        EventDecoder(SHELF).push(-1.0, np.zeros(3))


def test_a_stream_without_windows_has_no_events() -> None:
    assert EventDecoder(SHELF).end(9.0) == ()
    assert segments_from_events([]) == ()


def test_wall_clock_time_is_that_of_the_window() -> None:
    decoder = EventDecoder(SHELF)
    (event,) = decoder.push(1.0, np.array([9.0, 0, 0]), wall_s=1.7e9)
    (end,) = decoder.end(2.0)
    assert (event.wall_s, end.wall_s) == (1.7e9, None)
