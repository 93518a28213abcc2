from itertools import pairwise
from math import exp, inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.errors import SettingsError, SgmnError
from sgmn.live.evidence import TimelineSettings, evidence
from sgmn.live.timeline import OnlineDecoder, segments

SHELF = ["a", "b", "c", "d", "e"]
STEADY = TimelineSettings(switch_cost=3.0, nothing_threshold=0.3)
cases = st.tuples(st.integers(1, 25), st.integers(1, 6), st.integers(0, 10_000))
choices = st.builds(
    TimelineSettings,
    switch_cost=st.sampled_from([0.0, 0.5, 3.0, inf]),
    nothing_threshold=st.sampled_from([0.0, 0.3, 0.8]),
    min_segment_s=st.sampled_from([0.0, 5.0]),
)


def drawn(windows, products, seed, scale=3.0):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.5, 3.0, windows))
    return times, rng.normal(0, scale, (windows, products)), [f"p{i}" for i in range(products)]


def planted(plan, per=10, shelf=5, peak=4.0, seed=0):
    """Windows every 2 s: each product of `plan` stands out for `per` windows; None is flat."""
    scores = np.random.default_rng(seed).normal(0, 0.3, (per * len(plan), shelf))
    for place, product in enumerate(plan):
        if product is not None:
            scores[place * per : (place + 1) * per, product] += peak
    return 1.0 + 2.0 * np.arange(len(scores)), scores


def test_a_planted_timeline_is_found():
    times, scores = planted([0, 3, None, 0], per=20)
    found = segments(times, scores, SHELF, STEADY, span_s=(0.0, 160.5))
    assert [(s.start, s.end, s.product_id) for s in found] == [
        (0, 40, "a"),
        (40, 80, "d"),
        (80, 120, None),
        (120, 160.5, "a"),
    ]
    assert all(s.confidence > 0.8 for s in found if s.product_id)


def test_one_wrong_window_is_no_segment_but_a_dwell_is():
    times, scores = planted([0, 0, 0])
    scores[14] = [0, 0, 6, 0, 0]
    assert [s.product_id for s in segments(times, scores, SHELF, STEADY)] == ["a"]
    scores[10:22] = [0, 0, 6, 0, 0]
    assert [s.product_id for s in segments(times, scores, SHELF, STEADY)] == ["a", "c", "a"]


def test_confidence_is_the_mean_probability_of_its_moments():
    """By hand: two windows, a and b alone, a switch at 1 nat, all four paths."""
    chosen = TimelineSettings(1.0, nothing_threshold=0.0, window_s=2.0, hop_s=2.0)
    (only,) = segments([1.0, 3.0], np.array([[2.0, 0.0], [0.5, 0.0]]), ["a", "b"], chosen)
    paths = {"aa": exp(2.5), "ab": exp(2 - 1), "ba": exp(0.5 - 1), "bb": 1.0}
    first, second = paths["aa"] + paths["ab"], paths["aa"] + paths["ba"]
    assert only.product_id == "a"
    assert only.confidence == pytest.approx((first + second) / 2 / sum(paths.values()))


def test_there_is_a_runner_up_to_a_segment_that_is_certain():
    times, scores = planted([1], peak=2000.0)
    scores[:, 3] += 5.0
    (only,) = segments(times, scores, SHELF, STEADY)
    assert (only.confidence, only.runner_up) == (1.0, "d")


def test_a_doubtful_neighbour_makes_a_segment_less_sure():
    """Two windows that could be another product's count among ten, and not for nothing."""
    times, scores = planted([1])
    (sure,) = segments(times, scores, SHELF, STEADY)
    scores[8:, 3] = scores[8:, 1]
    (less,) = segments(times, scores, SHELF, STEADY)
    assert sure.product_id == less.product_id == "b" and less.runner_up == "d"
    assert 0.6 * sure.confidence < less.confidence < sure.confidence


def test_the_runner_up_is_the_next_product():
    times, scores = planted([1])
    scores[:, 4] += 2.0
    (only,) = segments(times, scores, SHELF)
    assert (only.product_id, only.runner_up) == ("b", "e")
    (silent,) = (
        segments(times, np.tile([0, 0.2, 0.1, 0, 0], (9, 1)), SHELF, span_s=None)
        if (times := times[:9]).size
        else [None]
    )
    assert (silent.product_id, silent.runner_up) == (None, "b")


@given(cases, choices)
@settings(max_examples=80, deadline=None)
def test_segments_cover_the_stream_once(case, chosen):
    times, scores, shelf = drawn(*case)
    found = segments(times, scores, shelf, chosen, span_s=(0.0, times[-1] + 7))
    assert found[0].start == 0 and found[-1].end == times[-1] + 7
    for before, after in pairwise(found):
        assert before.end == after.start
        assert before.product_id != after.product_id
    for segment in found:
        assert segment.start < segment.end
        assert 0 <= segment.confidence <= 1
        assert segment.runner_up != segment.product_id or segment.runner_up is None
        if len(found) > 1:
            assert segment.end - segment.start >= chosen.min_segment_s


@given(cases, choices, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_shelf_does_not_matter(case, chosen, random):
    times, scores, shelf = drawn(*case)
    order = random.sample(range(len(shelf)), len(shelf))
    one = segments(times, scores, shelf, chosen)
    other = segments(times, scores[:, order], [shelf[i] for i in order], chosen)
    for a, b in zip(one, other, strict=True):
        assert (a.start, a.end, a.product_id) == (b.start, b.end, b.product_id)
        assert a.confidence == pytest.approx(b.confidence)
        assert a.runner_up == b.runner_up


@given(cases)
@settings(max_examples=40, deadline=None)
def test_an_infinite_cost_gives_one_segment(case):
    times, scores, shelf = drawn(*case)
    (only,) = segments(times, scores, shelf, TimelineSettings(switch_cost=inf))
    total = evidence(scores, TimelineSettings()).sum(axis=0)
    assert only.product_id == [*shelf, None][int(total.argmax())]


@given(cases)
@settings(max_examples=40, deadline=None)
def test_no_cost_takes_each_window_for_itself(case):
    times, scores, shelf = drawn(*case)
    chosen = TimelineSettings(switch_cost=0.0, nothing_threshold=0.2)
    found = segments(times, scores, shelf, chosen)
    named = [next(s.product_id for s in found if s.start <= t < s.end) for t in times]
    share = 0.2 + 0.8 / len(shelf)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert named == [
        shelf[int(row.argmax())] if row.max() >= share - 1e-12 else None for row in chances
    ]


@pytest.mark.parametrize("products", [2, 5, 600])
def test_a_flat_row_means_nothing(products):
    times, scores = np.array([1.0, 3.0]), np.full((2, products), 7.0)
    shelf = [str(i) for i in range(products)]
    (only,) = segments(times, scores, shelf, TimelineSettings(nothing_threshold=0.05))
    assert only.product_id is None
    (other,) = segments(times, scores, shelf, TimelineSettings(nothing_threshold=0.0))
    assert other.product_id is not None


def test_a_shelf_of_one_always_sells_it():
    (only,) = segments(np.array([1.0, 3.0]), np.array([[-9.0], [4.0]]), ["a"])
    assert (only.product_id, only.confidence, only.runner_up) == ("a", 1.0, None)


def test_evidence_by_hand():
    chosen = TimelineSettings(nothing_threshold=0.4, window_s=8.0, hop_s=2.0)
    (row,) = evidence(np.array([[log(6.0), log(3.0), log(1.0)]]), chosen)
    share = 0.4 + 0.6 / 3
    nothing = 0.4 * share / (1 - share)  # as likely as the best when that has p = share
    expected = np.array([0.6, 0.3, 0.1, nothing]) / (1 + nothing)
    np.testing.assert_allclose(row, np.log(expected) * 2 / 8)
    moved = evidence(np.array([[log(6.0), log(3.0), log(1.0)]]) + 90, chosen)
    np.testing.assert_allclose(moved[0], row)


@given(st.integers(0, 1000), choices, st.sampled_from([1e2, 1e5, 1e300, 1.7e308]))
@settings(max_examples=40, deadline=None)
def test_huge_logits_stay_finite(seed, chosen, scale):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(-1, 1, (12, 4)) * scale
    found = segments(np.arange(12.0), scores, SHELF[:4], chosen)
    assert all(np.isfinite(s.confidence) for s in found)
    decoder = OnlineDecoder(SHELF[:4], chosen)
    for time, row in enumerate(scores):
        assert decoder.push(time, row).probabilities.sum() == pytest.approx(1)


@given(cases, choices)
@settings(max_examples=40, deadline=None)
def test_the_online_belief_is_the_textbook_filter(case, chosen):
    times, scores, shelf = drawn(*case)
    decoder = OnlineDecoder(shelf, chosen)
    belief = [decoder.push(t, row) for t, row in zip(times, scores, strict=True)][-1]
    logs = evidence(scores, chosen)
    forward = np.exp(logs[0])
    for row in logs[1:]:
        q = exp(-chosen.switch_cost)
        forward = ((1 - q) * forward + q * forward.sum()) * np.exp(row)
    np.testing.assert_allclose(belief.probabilities, forward / forward.sum(), atol=1e-9)
    assert belief.confidence == belief.probabilities.max()
    assert belief.time_s == times[-1]


def test_the_online_belief_follows_and_holds():
    times, scores = planted([0, 3, None])
    decoder = OnlineDecoder(SHELF, STEADY)
    said = [decoder.push(t, row).product_id for t, row in zip(times, scores, strict=True)]
    assert said[9] == "a" and said[19] == "d" and said[29] is None
    assert said.index("d") - 10 <= 8  # not later than 8 windows after the switch
    wrong = OnlineDecoder(SHELF, STEADY)
    for time, row in zip(times[:9], scores[:9], strict=True):
        wrong.push(time, row)
    assert wrong.push(50.0, np.array([0, 0, 6.0, 0, 0])).product_id == "a"


def test_a_short_run_goes_to_the_neighbour_that_explains_it_better():
    times = 1.0 + 2.0 * np.arange(12)
    scores = np.zeros((12, 5))
    scores[:5, 0], scores[5:7, 1], scores[7:, 2] = 9, 9, 9
    scores[5:7, 2] = 5
    free = TimelineSettings(switch_cost=0.0)
    assert [s.product_id for s in segments(times, scores, SHELF, free)] == ["a", "b", "c"]
    least = TimelineSettings(switch_cost=0.0, min_segment_s=5.0)
    found = segments(times, scores, SHELF, least)
    assert [(s.product_id, s.start, s.end) for s in found] == [("a", 0, 10), ("c", 10, 24)]


def test_no_windows_no_segments():
    assert segments(np.zeros(0), np.zeros((0, 5)), SHELF) == ()


@pytest.mark.parametrize(
    "times, scores, shelf, span, fault",
    [
        ([1.0, 2.0], np.zeros((2, 4)), SHELF, None, "one score a window and product"),
        ([1.0], np.zeros((1, 0)), [], None, "at least one product"),
        ([1.0, 2.0], np.array([[0, 0], [0, np.nan]]), SHELF[:2], None, "'b' at 2.0 s is nan"),
        ([1.0], np.array([[0, -np.inf]]), SHELF[:2], None, "is -inf"),
        ([2.0, 2.0], np.zeros((2, 5)), SHELF, None, "times do not increase"),
        ([1.0, np.nan], np.zeros((2, 5)), SHELF, None, "times do not increase"),
        ([1.0, 2.0], np.zeros((2, 5)), SHELF, (1.5, 9.0), "leaves out"),
        ([1.0, 2.0], np.zeros((2, 5)), SHELF, (0.0, 1.9), "leaves out"),
    ],
)
def test_a_refusal_says_what_is_wrong(times, scores, shelf, span, fault):
    with pytest.raises(SgmnError, match=fault):
        segments(np.array(times), scores, shelf, span_s=span)


def test_windows_are_pushed_in_order():
    decoder = OnlineDecoder(SHELF)
    decoder.push(3.0, np.zeros(5))
    with pytest.raises(SgmnError, match=r"3\.0 s comes after 3\.0 s"):
        decoder.push(3.0, np.zeros(5))
    with pytest.raises(SgmnError, match="finite logits"):
        decoder.push(4.0, np.full(5, np.nan))
    assert decoder.push(4.0, np.zeros(5)).time_s == 4.0


@pytest.mark.parametrize(
    "name, value",
    [
        ("switch_cost", -1.0),
        ("switch_cost", float("nan")),
        ("nothing_threshold", 1.0),
        ("nothing_threshold", -0.1),
        ("window_s", 0.0),
        ("hop_s", 11.0),
        ("hop_s", 0.0),
        ("min_segment_s", inf),
        ("temperature", 0.0),
    ],
)
def test_settings_refuse_what_cannot_be(name, value):
    with pytest.raises(SettingsError, match=f"{name} is {value}"):
        TimelineSettings(**{name: value})


def test_a_temperature_is_that_of_the_logits() -> None:
    rows = np.random.default_rng(3).normal(0, 3, (12, 5))
    times = np.arange(12) * 2.0
    ids = tuple("abcde")
    cool = segments(times, rows, ids, TimelineSettings(temperature=0.5))
    assert cool == segments(times, 2 * rows, ids, TimelineSettings())
    sure = [
        np.mean([s.confidence for s in segments(times, rows, ids, TimelineSettings(temperature=t))])
        for t in (0.25, 1.0, 4.0)
    ]
    assert sure[0] > sure[2]
