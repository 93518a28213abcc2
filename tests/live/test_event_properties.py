"""Properties of the event decoder: it agrees with the timeline and corrects only recent events."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sgmn.live.decoder import viterbi
from sgmn.live.event_decoder import EventDecoder
from sgmn.live.events import Event, segments_from_events
from sgmn.live.evidence import TimelineSettings, compute_evidence
from sgmn.live.presence import UNKNOWN
from sgmn.live.timeline import decode_segments
from sgmn.records import Segment
from tests.live.event_streams import (
    Span,
    allowed_lag_s,
    decode_stream,
    flatten,
    lags_s,
    random_stream,
    sizes,
    spans_of,
    tails_s,
    timeline_settings,
)


def assert_same_segments(actual: Sequence[Segment], expected: Sequence[Segment]) -> None:
    assert spans_of(actual) == spans_of(expected)
    for one, other in zip(actual, expected, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=1e-9)
        assert one.runner_up == other.runner_up


@given(sizes, timeline_settings, st.sampled_from([inf, 0.0]), tails_s)
@settings(max_examples=80, deadline=None)
def test_lag_as_long_as_the_stream_equals_exact_decoding(
    size: tuple[int, int, int], chosen: TimelineSettings, extra_lag_s: float, tail_s: float
) -> None:
    times, scores, shelf = random_stream(*size)
    saliency = np.random.default_rng(size[2]).normal(0, 3.0, len(times))
    saliency[::7] = UNKNOWN
    span = (max(0.0, times[0] - chosen.hop_s / 2), times[-1] + tail_s)
    lag_s = max(allowed_lag_s(0.0, chosen), span[1]) + extra_lag_s
    decoder = EventDecoder(shelf, chosen, lag_s)
    events: list[Event] = []
    for count, (time, row) in enumerate(zip(times, scores, strict=True), start=1):
        new = decoder.push(time, row, saliency=saliency[count - 1])
        events += new
        known = slice(count)
        exact = decode_segments(
            times[known], scores[known], shelf, chosen, saliency=saliency[known]
        )
        assert_same_segments(decoder.recent_segments, exact)
        assert spans_of(segments_from_events(events)) == spans_of(exact[:-1])  # the last goes on
        confidences = {segment.end: segment.confidence for segment in exact}
        for event in new:
            if event.before_confidence is not None and not event.is_retraction:
                expected = pytest.approx(confidences[event.time_s], abs=1e-9)
                assert event.before_confidence == expected
    events += decoder.end(span[1])
    exact = decode_segments(times, scores, shelf, chosen, span, saliency)
    assert_same_segments(decoder.recent_segments, exact)
    assert spans_of(segments_from_events(events)) == spans_of(exact)


def decode_by_brute_force(
    times: NDArray[np.float64],
    scores: NDArray[np.float64],
    shelf: Sequence[str],
    chosen: TimelineSettings,
    lag_s: float,
    end_s: float,
) -> list[Span]:
    """Give each window the state of the last whole best path within its lag."""
    logs = compute_evidence(scores, chosen)
    edges = [max(0.0, times[0] - chosen.hop_s / 2), *(times[1:] + times[:-1]) / 2, end_s]
    states = np.zeros(len(times), dtype=int)
    for count in range(1, len(times) + 1):
        path = viterbi(logs[:count], chosen.switch_cost)
        for window in range(count):
            if edges[window] >= times[count - 1] - lag_s or window == count - 1:
                states[window] = path[window]
    changes = [0, *(i for i in range(1, len(times)) if states[i] != states[i - 1]), len(times)]
    names = [*shelf, None]
    return [(edges[i], edges[j], names[states[i]]) for i, j in pairwise(changes)]


@given(sizes, timeline_settings, lags_s, tails_s)
@settings(max_examples=100, deadline=None)
def test_final_states_are_those_of_the_best_path_when_they_left_the_lag(
    size: tuple[int, int, int], chosen: TimelineSettings, lag_s: float, tail_s: float
) -> None:
    chosen = TimelineSettings(chosen.switch_cost, chosen.nothing_threshold, chosen.window_s)
    times, scores, shelf = random_stream(*size)
    end_s = times[-1] + tail_s
    events = flatten(decode_stream(EventDecoder(shelf, chosen, lag_s), times, scores, end_s))
    expected = decode_by_brute_force(times, scores, shelf, chosen, lag_s, end_s)
    assert spans_of(segments_from_events(events)) == expected


@given(sizes, timeline_settings, lags_s, tails_s)
@settings(max_examples=100, deadline=None)
def test_events_match_the_recent_segments_and_final_segments_do_not_change(
    size: tuple[int, int, int], chosen: TimelineSettings, lag_s: float, tail_s: float
) -> None:
    times, scores, shelf = random_stream(*size)
    decoder = EventDecoder(shelf, chosen, allowed_lag_s(lag_s, chosen))
    events: list[Event] = []
    final: list[Span] = []
    for time, row in zip([*times, times[-1] + tail_s], [*scores, None], strict=True):
        events += decoder.end(time) if row is None else decoder.push(time, row)
        segments = segments_from_events(events)
        recent = decoder.recent_segments if row is None else decoder.recent_segments[:-1]
        assert spans_of(segments[len(segments) - len(recent) :]) == spans_of(recent)
        assert spans_of(segments)[: len(final)] == final  # as they were when they became final
        final = [span for span in spans_of(segments) if span[1] < decoder.final_s]
        assert len(recent) + len(final) >= len(segments)
    assert segments[0].start == max(0.0, times[0] - chosen.hop_s / 2)
    assert segments[-1].end == decoder.final_s == times[-1] + tail_s
    for before, after in pairwise(segments):
        assert before.end == after.start and before.product_id != after.product_id
        assert before.start < before.end


@given(sizes, timeline_settings, lags_s, tails_s)
@example((10, 5, 170), TimelineSettings(0.0, 0.5, 2.5, 2.0, 3.0), 11.0, 0.0)  # before changes
@settings(max_examples=100, deadline=None)
def test_corrections_refer_to_one_event_within_the_lag(
    size: tuple[int, int, int], chosen: TimelineSettings, lag_s: float, tail_s: float
) -> None:
    times, scores, shelf = random_stream(*size)
    lag_s = allowed_lag_s(lag_s, chosen)
    end_s = times[-1] + tail_s
    per_window = decode_stream(EventDecoder(shelf, chosen, lag_s), times, scores, end_s)
    assert [event.id for event in flatten(per_window)] == [*range(1, len(flatten(per_window)) + 1)]
    latest: dict[int, Event] = {}
    retracted: set[int] = set()
    for found_s, events in zip([*times, end_s], per_window, strict=True):
        for event in events:
            assert event.found_s == found_s
            if event.kind == "corrected":
                assert event.corrects is not None and event.corrects not in retracted
                previous = latest[event.corrects]
                assert min(event.time_s, previous.time_s) >= found_s - lag_s
                assert content_of(event) != content_of(previous)
                retracted |= {event.corrects} if event.is_retraction else set()
            latest[event.corrects or event.id] = event
        ordered = sorted(
            (latest[key] for key in latest.keys() - retracted),
            key=lambda event: (event.time_s, event.id),
        )
        assert all(a.product_id == b.before for a, b in pairwise(ordered))


def content_of(event: Event) -> tuple[Any, ...]:
    return (event.time_s, event.product_id, event.before, event.before_confidence)


@given(sizes, timeline_settings, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_segments_do_not_depend_on_order_or_repetition_of_events(
    size: tuple[int, int, int], chosen: TimelineSettings, rng: random.Random
) -> None:
    times, scores, shelf = random_stream(*size)
    events = flatten(decode_stream(EventDecoder(shelf, chosen, 6.0), times, scores, times[-1]))
    mixed = events + events[::2]
    rng.shuffle(mixed)
    assert segments_from_events(mixed) == segments_from_events(events)
