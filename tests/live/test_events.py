"""Events of a running stream: they tell the timeline, and correct only what is recent."""

import json
import pickle
import re
from itertools import pairwise, product
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgmn.errors import RecordError, SettingsError, SgmnError
from sgmn.live.decoder import smoothed, viterbi
from sgmn.live.events import SCHEMA, Event, EventDecoder, from_json, segments_of, to_json
from sgmn.live.evidence import TimelineSettings, evidence
from sgmn.live.timeline import segments
from sgmn.records import Segment

SHELF = ["a", "b", "c"]
PLAIN = TimelineSettings(switch_cost=2.0, nothing_threshold=0.0, window_s=2.0, hop_s=2.0)
cases = st.tuples(st.integers(1, 20), st.integers(1, 5), st.integers(0, 10_000))
choices = st.builds(
    TimelineSettings,
    switch_cost=st.sampled_from([0.0, 0.3, 1.0, 3.0, inf]),
    nothing_threshold=st.sampled_from([0.0, 0.1, 0.5]),
    window_s=st.just(2.5),
    min_segment_s=st.sampled_from([0.0, 3.0]),
)
lags = st.sampled_from([0.0, 1.0, 2.5, 6.0, 11.0])


def drawn(windows, products, seed):
    """Windows at uneven times; what stands out dwells for a few of them."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.5, 3.0, windows))
    dwells = np.repeat(rng.integers(0, products + 1, windows), rng.integers(1, 6, windows))
    scores = rng.normal(0, 2.0, (windows, products))
    scores[np.arange(windows), np.minimum(dwells[:windows], products - 1)] += 3.0
    return times, scores, [f"p{i}" for i in range(products)]


def lasting(lag_s, chosen):
    """The lag, or the shortest one that the settings allow."""
    return max(lag_s, chosen.min_segment_s + chosen.hop_s if chosen.min_segment_s else 0.0)


def told(decoder, times, scores, end_s):
    """What each window, and at last the end, told."""
    heard = [decoder.push(t, row) for t, row in zip(times, scores, strict=True)]
    return [*heard, decoder.end(end_s)]


def flat(heard):
    return [event for events in heard for event in events]


def spots(timeline):
    return [(s.start, s.end, s.product_id) for s in timeline]


def logits(*names):
    """One window a letter: that product has nearly all evidence, 9 nats more than another."""
    return np.array([[9.0 * (name == product) for product in SHELF] for name in names])


def same(found, expected):
    assert spots(found) == spots(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=1e-9)
        assert one.runner_up == other.runner_up


@given(cases, choices, st.sampled_from([inf, 0.0]), st.sampled_from([0.0, 0.7, 9.0]))
@settings(max_examples=80, deadline=None)
def test_a_lag_as_long_as_the_stream_is_the_exact_pass(case, chosen, more_s, rest_s):
    times, scores, shelf = drawn(*case)
    span = (max(0.0, times[0] - chosen.hop_s / 2), times[-1] + rest_s)
    lag_s = max(lasting(0.0, chosen), span[1]) + more_s
    decoder, heard = EventDecoder(shelf, chosen, lag_s), []
    for count, (time, row) in enumerate(zip(times, scores, strict=True), start=1):
        new = decoder.push(time, row)
        heard += new
        exact = segments(times[:count], scores[:count], shelf, chosen)
        same(decoder.recent, exact)
        assert spots(segments_of(heard)) == spots(exact[:-1])  # the last one goes on
        sure = {segment.end: segment.confidence for segment in exact}
        for event in new:
            if event.before_confidence is not None and not event.retracts:
                assert event.before_confidence == pytest.approx(sure[event.time_s], abs=1e-9)
    heard += decoder.end(span[1])
    exact = segments(times, scores, shelf, chosen, span)
    same(decoder.recent, exact)
    assert spots(segments_of(heard)) == spots(exact)


def by_brute_force(times, scores, shelf, chosen, lag_s, end_s):
    """Each window keeps the state of the last whole best path within its lag."""
    logs = evidence(scores, chosen)
    edges = [max(0.0, times[0] - chosen.hop_s / 2), *(times[1:] + times[:-1]) / 2, end_s]
    states = np.zeros(len(times), dtype=int)
    for count in range(1, len(times) + 1):
        path = viterbi(logs[:count], chosen.switch_cost)
        for window in range(count):
            if edges[window] >= times[count - 1] - lag_s or window == count - 1:
                states[window] = path[window]
    turns = [0, *(i for i in range(1, len(times)) if states[i] != states[i - 1]), len(times)]
    names = [*shelf, None]
    return [(edges[i], edges[j], names[states[i]]) for i, j in pairwise(turns)]


@given(cases, choices, lags, st.sampled_from([0.0, 0.7, 9.0]))
@settings(max_examples=100, deadline=None)
def test_final_states_are_those_of_the_best_path_when_they_left_the_lag(
    case, chosen, lag_s, rest_s
):
    chosen = TimelineSettings(chosen.switch_cost, chosen.nothing_threshold, chosen.window_s)
    times, scores, shelf = drawn(*case)
    heard = told(EventDecoder(shelf, chosen, lag_s), times, scores, times[-1] + rest_s)
    expected = by_brute_force(times, scores, shelf, chosen, lag_s, times[-1] + rest_s)
    assert spots(segments_of(flat(heard))) == expected


@given(cases, choices, lags, st.sampled_from([0.0, 0.7, 9.0]))
@settings(max_examples=100, deadline=None)
def test_events_tell_what_the_decoder_holds_and_what_is_final_stays(case, chosen, lag_s, rest_s):
    times, scores, shelf = drawn(*case)
    decoder = EventDecoder(shelf, chosen, lasting(lag_s, chosen))
    heard, final = [], []
    for time, row in zip([*times, times[-1] + rest_s], [*scores, None], strict=True):
        heard += decoder.end(time) if row is None else decoder.push(time, row)
        found = segments_of(heard)
        held = decoder.recent if row is None else decoder.recent[:-1]
        assert spots(found[len(found) - len(held) :]) == spots(held)
        assert spots(found)[: len(final)] == final  # as they were when they became final
        final = [spot for spot in spots(found) if spot[1] < decoder.final_s]
        assert len(held) + len(final) >= len(found)
    assert found[0].start == max(0.0, times[0] - chosen.hop_s / 2)
    assert found[-1].end == decoder.final_s == times[-1] + rest_s
    for before, after in pairwise(found):
        assert before.end == after.start and before.product_id != after.product_id
        assert before.start < before.end


@given(cases, choices, lags, st.sampled_from([0.0, 0.7, 9.0]))
@example((10, 5, 170), TimelineSettings(0.0, 0.5, 2.5, 2.0, 3.0), 11.0, 0.0)  # before changes
@settings(max_examples=100, deadline=None)
def test_corrections_refer_to_one_event_and_touch_the_lag_only(case, chosen, lag_s, rest_s):
    times, scores, shelf = drawn(*case)
    lag_s = lasting(lag_s, chosen)
    heard = told(EventDecoder(shelf, chosen, lag_s), times, scores, times[-1] + rest_s)
    assert [event.id for event in flat(heard)] == list(range(1, len(flat(heard)) + 1))
    in_force, taken_back = {}, set()
    for found_s, events in zip([*times, times[-1] + rest_s], heard, strict=True):
        for event in events:
            assert event.found_s == found_s
            if event.kind == "corrected":
                wrong = in_force[event.corrects]
                assert event.corrects not in taken_back
                assert min(event.time_s, wrong.time_s) >= found_s - lag_s
                assert content(event) != content(wrong)
                taken_back |= {event.corrects} if event.retracts else set()
            in_force[event.corrects or event.id] = event
        ordered = sorted(
            (in_force[key] for key in in_force.keys() - taken_back),
            key=lambda event: (event.time_s, event.id),
        )
        assert all(a.product_id == b.before for a, b in pairwise(ordered))


def content(event):
    return (event.time_s, event.product_id, event.before, event.before_confidence)


def test_segments_by_hand_from_a_turn_told_late_one_moved_and_one_taken_back():
    """Also where ids do not follow the times, as the documentation allows."""
    events = [
        Event(1, "started", 0.0, 1.0, "a", None, 0.9),
        Event(2, "changed", 20.0, 21.0, "c", "a", 0.5, (), None, None, 0.8, "c"),
        Event(3, "changed", 14.0, 23.0, "b", "a", 0.5, (), None, None, 0.7, "d"),
        Event(4, "corrected", 22.0, 23.0, "c", "b", 0.5, (), 2, None, 0.6, "e"),
        Event(5, "ended", 26.0, 27.0, None, "c", 0.5, (), None, None, 0.5, "f"),
        Event(6, "corrected", 26.0, 29.0, "c", "c", 0.5, (), 5, None, 0.5, "f"),
        Event(7, "ended", 40.0, 40.0, None, "c", 1.0, (), None, None, 0.4, "g"),
    ]
    assert segments_of(events) == (
        Segment(0, 14, "a", 0.7, "d"),
        Segment(14, 22, "b", 0.6, "e"),
        Segment(22, 40, "c", 0.4, "g"),
    )


@given(cases, choices, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_segments_do_not_depend_on_the_order_of_events_nor_on_repetition(case, chosen, random):
    times, scores, shelf = drawn(*case)
    events = flat(told(EventDecoder(shelf, chosen, 6.0), times, scores, times[-1]))
    mixed = events + events[::2]
    random.shuffle(mixed)
    assert segments_of(mixed) == segments_of(events)


def test_what_starts_changes_and_ends_by_hand():
    """Windows of 2 s, each sure; a turn lies half-way between two windows."""
    chosen = TimelineSettings(switch_cost=0.5, nothing_threshold=0.5, window_s=2.0, hop_s=2.0)
    scores = np.vstack([np.zeros((1, 3)), logits("a", "a", "b"), np.zeros((1, 3)), logits("c")])
    heard = told(EventDecoder(SHELF, chosen), [1.0, 3.0, 5.0, 7.0, 9.0, 11.0], scores, 12.5)
    assert [
        (e.id, e.kind, e.time_s, e.found_s, e.before, e.product_id, e.corrects) for e in flat(heard)
    ] == [
        (1, "started", 0.0, 1.0, None, None, None),
        (2, "started", 2.0, 3.0, None, "a", None),
        (3, "changed", 6.0, 7.0, "a", "b", None),
        (4, "ended", 8.0, 9.0, "b", None, None),
        (5, "started", 10.0, 11.0, None, "c", None),
        (6, "ended", 12.5, 12.5, "c", None, None),
    ]


def test_probabilities_by_hand():
    """Three windows of a; the odds of one are e² : e : 1, and a switch costs e²."""
    decoder = EventDecoder(SHELF, PLAIN)
    row = np.array([2.0, 1.0, 0.0])
    (event,) = decoder.push(1.0, row)
    total = np.exp(row).sum()
    assert (event.product_id, event.confidence) == ("a", pytest.approx(np.exp(2) / total))
    assert [name for name, _ in event.alternatives] == ["b", "c", None]
    assert [p for _, p in event.alternatives] == pytest.approx([np.e / total, 1 / total, 0])
    assert decoder.push(3.0, row) == decoder.push(5.0, row) == ()
    (end,) = decoder.end(6.0)
    assert (end.confidence, end.alternatives) == (1.0, ())
    (only,) = segments_of([event, end])
    paths = np.array(list(product(range(3), repeat=3)))
    shares = np.exp(row[paths].sum(axis=1) - 2.0 * (np.diff(paths) != 0).sum(axis=1))
    assert only.confidence == pytest.approx((shares @ (paths == 0).mean(axis=1)) / shares.sum())
    assert only.runner_up == "b"


def test_what_is_final_still_counts_for_what_follows():
    """b has two windows of eight; the six before them have left the lag."""
    times, scores = 1.0 + 2.0 * np.arange(8), lead(*[-1.0] * 6, 2.5, 2.5)
    decoder = EventDecoder(SHELF, PLAIN, lag_s=4.0)
    told(decoder, times, scores, 16.0)
    whole = np.exp(smoothed(evidence(scores, PLAIN), PLAIN.switch_cost))
    assert decoder.windows < 4 and decoder.recent[-1].product_id == "b"
    assert decoder.recent[-1].confidence == pytest.approx(whole[6:, 1].mean(), abs=1e-9)


def test_a_run_that_is_longer_than_the_lag_is_as_sure_as_all_of_its_windows_were():
    """Each counts as it was known when it left the lag, or is known now."""
    times, scores = 1.0 + 2.0 * np.arange(8), lead(-3.0, 0.5, -1.0, 0.2, -0.5, -2.0, 0.4, -1.0)
    decoder, sure = EventDecoder(SHELF, PLAIN, lag_s=4.0), np.zeros(8)
    for count in range(1, 9):
        decoder.push(times[count - 1], scores[count - 1])
        logs = smoothed(evidence(scores[:count], PLAIN), PLAIN.switch_cost)
        is_open = times[:count] - 1.0 >= times[count - 1] - 4.0
        sure[:count][is_open] = np.exp(logs[is_open, 0])
        (only,) = decoder.recent
        assert only.confidence == pytest.approx(sure[:count].mean(), abs=1e-9)


def test_there_are_three_alternatives_at_most():
    shelf = [f"p{i}" for i in range(6)]
    (event,) = EventDecoder(shelf, PLAIN).push(1.0, np.arange(6.0))
    assert [name for name, _ in event.alternatives] == ["p4", "p3", "p2"]


def lead(*nats):
    """(W, 3): by how many nats each window prefers b to a; c never."""
    return np.array([[0.0, gain, -40.0] for gain in nats])


def test_a_start_is_found_late_and_dated_back_as_far_as_the_lag_goes():
    """b gains 0.8 nats a window: worth the cost of 2 in the third."""
    times = 1.0 + 2.0 * np.arange(8)
    scores = lead(-5, -5, -5, 0.8, 0.8, 0.8, 0.8, 0.8)
    far = flat(told(EventDecoder(SHELF, PLAIN, lag_s=6.0), times, scores, 16.0))
    near = flat(told(EventDecoder(SHELF, PLAIN, lag_s=2.0), times, scores, 16.0))
    assert [(e.kind, e.time_s, e.found_s) for e in far if e.product_id == "b"] == [
        ("changed", 6.0, 11.0)
    ]
    assert [(e.kind, e.time_s, e.found_s) for e in near if e.product_id == "b"] == [
        ("changed", 10.0, 11.0)  # all evidence counts, but what was final stays
    ]


def test_evidence_that_outlasts_the_lag_is_not_lost():
    """0.3 nats a window: worth the cost of 2 in the seventh, 13 s after the turn."""
    times = 1.0 + 2.0 * np.arange(12)
    scores = lead(-5, -5, *[0.3] * 10)
    events = flat(told(EventDecoder(SHELF, PLAIN, lag_s=2.0), times, scores, 24.0))
    assert [e.found_s for e in events if e.kind == "changed"] == [17.0]


def test_a_turn_that_was_none_is_taken_back_once_and_its_id_is_done():
    times = 1.0 + 2.0 * np.arange(6)
    decoder = EventDecoder(SHELF, PLAIN, lag_s=6.0)
    heard = [decoder.push(t, r) for t, r in zip(times, lead(-5, -5, 2.5, -5, -5, 9), strict=True)]
    (turn,), (taken,) = heard[2], heard[3]
    assert (turn.kind, turn.before, turn.product_id) == ("changed", "a", "b")
    assert (taken.kind, taken.corrects, taken.time_s) == ("corrected", turn.id, turn.time_s)
    assert (taken.product_id, taken.before, taken.retracts) == ("a", "a", True)
    (again,) = heard[5]
    assert (again.kind, again.id, again.time_s) == ("changed", taken.id + 1, 10.0)
    found = segments_of([*flat(heard), *decoder.end(12.0)])
    assert spots(found) == [(0, 10, "a"), (10, 12, "b")]


def test_another_product_and_another_time_are_corrected():
    """What seemed b at 4 s was c, from 4 s or from 2 s on, as the third window shows."""
    for second, time_s in (([9, 0, 0], 4.0), ([4.6, 0, 5], 2.0)):
        decoder = EventDecoder(SHELF, PLAIN, lag_s=6.0)
        scores = np.array([[9, 0, 0], second, [0, 5, 4.5], [0, 0, 9]])
        *_, told_b, told_c = [decoder.push(1.0 + 2.0 * i, row) for i, row in enumerate(scores)]
        assert [(e.product_id, e.time_s) for e in told_b] == [("b", 4.0)]
        (fixed,) = told_c
        assert (fixed.kind, fixed.corrects, fixed.product_id) == ("corrected", 2, "c")
        assert (fixed.time_s, fixed.before, fixed.retracts) == (time_s, "a", False)


def test_what_takes_the_place_of_a_turn_is_what_goes_on_there():
    """c at 8 s was none: that was b still, not the a of the beginning."""
    heard = []
    decoder = EventDecoder(SHELF, PLAIN, lag_s=20.0)
    for time, row in enumerate([[9, 0, 0], [9, 0, 0], [0, 9, 0], [0, 9, 0], [0, 0, 3], [0, 9, 0]]):
        heard.append(decoder.push(1.0 + 2.0 * time, np.array(row)))
    assert [(e.id, e.product_id) for e in heard[4]] == [(3, "c")]
    assert [(e.corrects, e.product_id, e.before) for e in heard[5]] == [(3, "b", "b")]


def test_the_beginning_may_have_been_nothing():
    """(None, None) of the first event is no retraction: nothing was on sale."""
    chosen = TimelineSettings(switch_cost=3.0, nothing_threshold=0.5, window_s=2.0, hop_s=2.0)
    decoder = EventDecoder(["a", "b"], chosen)
    rows = [[1.6, 0.0], [0.0, 0.0], [0.0, 0.0]]
    heard = flat(told(decoder, [1.0, 3.0, 5.0], np.array(rows), 6.0))
    assert [(e.kind, e.product_id, e.before) for e in heard] == [
        ("started", "a", None),
        ("corrected", None, None),
        ("ended", None, None),
    ]
    assert spots(segments_of(heard)) == [(0, 6, None)]


def test_a_short_run_is_told_when_it_is_long_enough():
    chosen = TimelineSettings(switch_cost=0.0, window_s=2.0, hop_s=2.0, min_segment_s=4.0)
    scores = logits("a", "a", "b", "a", "c", "c", "c")
    decoder = EventDecoder(SHELF, chosen, lag_s=6.0)
    heard = flat(told(decoder, 1.0 + 2.0 * np.arange(7), scores, 14.0))
    assert [(e.kind, e.product_id, e.time_s, e.found_s) for e in heard[:-1]] == [
        ("started", "a", 0.0, 1.0),
        ("changed", "c", 8.0, 11.0),
    ]


def test_a_run_that_the_end_makes_too_short_is_taken_back_and_one_it_makes_long_enough_is_told():
    chosen = TimelineSettings(switch_cost=0.0, window_s=2.0, hop_s=2.0, min_segment_s=4.0)
    two, one = logits("a", "a", "a", "b", "b"), logits("a", "a", "a", "b")
    heard = flat(told(EventDecoder(SHELF, chosen), 1.0 + 2.0 * np.arange(5), two, 9.0))
    assert [(e.kind, e.product_id) for e in heard[1:-1]] == [("changed", "b"), ("corrected", "a")]
    heard = flat(told(EventDecoder(SHELF, chosen), 1.0 + 2.0 * np.arange(4), one, 10.5))
    assert [(e.kind, e.product_id, e.time_s) for e in heard[1:-1]] == [("changed", "b", 6.0)]
    heard = flat(told(EventDecoder(SHELF, chosen), 1.0 + 2.0 * np.arange(4), one, 12.5))
    assert heard[1:-1] == []  # it left the lag before the end


@pytest.mark.parametrize("lag_s", [-1.0, float("nan"), 6.9])
def test_a_lag_that_cannot_be_is_refused(lag_s):
    with pytest.raises(SettingsError, match=r"lag_s is .* give a lag of 7\.0 s or more"):
        EventDecoder(SHELF, TimelineSettings(min_segment_s=5.0), lag_s)
    EventDecoder(SHELF, TimelineSettings(min_segment_s=5.0), 7.0)


def test_what_is_final_is_told_by_hand():
    """Windows count from 0, 2, 4 … s on; one that did so more than 6 s ago is final."""
    decoder, finals = EventDecoder(SHELF, PLAIN, lag_s=6.0), []
    assert decoder.final_s == 0.0
    for time in (1.0, 3.0, 5.0, 7.0, 9.0, 11.0):
        decoder.push(time, np.zeros(3))
        finals.append(decoder.final_s)
    assert finals == [0.0, 0.0, 0.0, 2.0, 4.0, 6.0]
    decoder.end(11.5)
    assert decoder.final_s == 11.5


@pytest.mark.timeout(600)  # 10,000 windows take seconds, or minutes where all cores are busy
def test_memory_is_that_of_the_lag():
    rng = np.random.default_rng(0)
    decoder = EventDecoder(SHELF, TimelineSettings(nothing_threshold=0.05, switch_cost=0.5))
    sizes, events = {}, 0
    for window in range(10_000):
        events += len(decoder.push(1.0 + 2.0 * window, rng.normal(0, 3, 3)))
        assert decoder.windows <= 3  # 6 s at one each 2 s
        if window % 50 == 0:
            sizes[window] = len(pickle.dumps(decoder))
    assert events > 1000
    early, late = ([sizes[w] for w in sizes if w // 1000 == part] for part in (0, 9))
    assert max(late) <= 1.1 * max(early)


def test_a_decoder_is_fed_in_order_and_ended_once():
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


def test_a_stream_without_windows_has_no_events():
    assert EventDecoder(SHELF).end(9.0) == () == segments_of([])


def test_the_wall_clock_is_that_of_the_window():
    decoder = EventDecoder(SHELF)
    (event,) = decoder.push(1.0, np.array([9.0, 0, 0]), wall_s=1.7e9)
    (end,) = decoder.end(2.0)
    assert (event.wall_s, end.wall_s) == (1.7e9, None)


names = st.none() | st.text(min_size=1, max_size=4)
shares = st.floats(0, 1)
some_events = st.builds(
    Event,
    id=st.integers(10, 99),
    kind=st.sampled_from(["started", "changed", "ended"]),
    time_s=st.floats(0, 50),
    found_s=st.floats(50, 1e5),
    product_id=names,
    before=names,
    confidence=shares,
    alternatives=st.lists(st.tuples(names, shares), max_size=3).map(tuple),
    wall_s=st.none() | st.floats(0, 2e9),
    before_confidence=st.none() | shares,
    before_runner_up=names,
)


@given(some_events, st.none() | st.integers(1, 9))
@example(Event(11, "ended", 1.0, 2.0, None, "a", 1.0), None)
@settings(max_examples=50, deadline=None)
def test_json_keeps_everything_and_ignores_what_it_does_not_know(event, corrects):
    if corrects is not None:
        event = from_json({**to_json(event), "kind": "corrected", "corrects": corrects})
        assert event.corrects == corrects
    content = json.loads(json.dumps(to_json(event), allow_nan=False))
    assert content["schema"] == "sgmn.event/1"
    assert from_json(content) == event
    rivals = [{**rival, "new": 1} for rival in content["alternatives"]]
    assert from_json({**content, "alternatives": rivals, "new": [1]}) == event


def test_the_fields_of_version_1_stay():
    """Frozen: within /1 a field may be added here, none renamed or removed."""
    event = Event(4, "corrected", 1.5, 4.0, "a", None, 0.75, (("b", 0.2), (None, 0.05)), 3, 9.0)
    assert to_json(event) == {
        "schema": "sgmn.event/1",
        "id": 4,
        "kind": "corrected",
        "time_s": 1.5,
        "found_s": 4.0,
        "wall_s": 9.0,
        "product_id": "a",
        "before": None,
        "confidence": 0.75,
        "alternatives": [
            {"product_id": "b", "probability": 0.2},
            {"product_id": None, "probability": 0.05},
        ],
        "corrects": 3,
        "before_confidence": None,
        "before_runner_up": None,
    }


def test_the_documentation_names_each_field_and_its_examples_are_events():
    text = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)
    examples = [json.loads(part) for part in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    for content in examples:
        assert set(content) == set(named) == set(to_json(from_json(content)))
    assert [from_json(content).retracts for content in examples] == [False, True]


GOOD = to_json(Event(1, "started", 1.0, 2.0, "a", None, 0.5))


@pytest.mark.parametrize(
    "change, fault",
    [
        ({"schema": "sgmn.event/2"}, r"its schema is 'sgmn\.event/2'; give 'sgmn\.event/1'"),
        ({"schema": None}, "its schema is None"),
        ({"id": 0}, "id is 0"),
        ({"id": "7"}, "id is '7'"),
        ({"kind": "begun"}, "kind is 'begun'"),
        ({"time_s": 2.5}, r"time_s is 2\.5"),
        ({"time_s": -1.0}, r"time_s is -1\.0"),
        ({"found_s": "2"}, "found_s is '2'"),
        ({"wall_s": inf}, "wall_s is inf"),
        ({"product_id": 7}, "product_id is 7"),
        ({"confidence": 1.5}, r"confidence is 1\.5"),
        ({"confidence": None}, "confidence is None"),
        ({"before_confidence": "x"}, "before_confidence is 'x'"),
        ({"alternatives": [{"product_id": "b"}]}, "'alternatives' is"),
        ({"alternatives": 3}, "'alternatives' is 3"),
        ({"alternatives": [{"product_id": "b", "probability": 2}]}, "alternatives is"),
        ({"corrects": 1}, "corrects is 1"),
        ({"kind": "corrected"}, "corrects is None"),
        ({"kind": "corrected", "corrects": 1}, "corrects is 1"),
    ],
)
def test_what_is_no_event_is_refused_by_name(change, fault):
    assert from_json(GOOD).product_id == "a"
    with pytest.raises(SgmnError, match=fault):
        from_json({**GOOD, **change})


@pytest.mark.parametrize("name", ["schema", "id", "kind", "time_s", "found_s", "product_id"])
def test_a_missing_field_is_refused_by_name(name):
    with pytest.raises(SgmnError, match=name):
        from_json({key: value for key, value in GOOD.items() if key != name})
    with pytest.raises(SgmnError, match=SCHEMA):
        from_json([])  # type: ignore[arg-type]


def test_an_event_checks_itself():
    with pytest.raises(RecordError, match="event 1: confidence is 2"):
        Event(1, "started", 0.0, 1.0, "a", None, 2)
