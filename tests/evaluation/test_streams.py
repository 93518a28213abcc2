from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.errors import SgmnError
from sgmn.evaluation.streams import (
    agreement,
    mean_delay,
    segment_f1,
    time_weighted_accuracy,
)
from sgmn.records import Segment

STEP = 0.25  # all edges of a drawn timeline lie on this grid, so that sampling is exact


@st.composite
def timelines(draw, min_pieces=0):
    """Segments on a grid, in any order, with holes and nothing on sale among them."""
    kinds = st.sampled_from([None, "a", "b", "c", "hole"])
    pieces = draw(st.lists(st.tuples(kinds, st.integers(1, 9)), min_size=min_pieces, max_size=8))
    found, at = [], 0
    for kind, steps in pieces:
        if kind != "hole":
            found.append(Segment(at * STEP, (at + steps) * STEP, kind))
        at += steps
    return draw(st.permutations(found))


def said(timeline, time):
    return next((s.product_id for s in timeline if s.start <= time < s.end), "hole")


def sampled(truth, found, duration_s):
    """(right, judged) seconds by asking both timelines in the middle of each grid cell."""
    end = max([duration_s or 0, *(s.end for s in truth)])
    right = judged = 0
    for cell in range(round(end / STEP)):
        time = (cell + 0.5) * STEP
        true, guess = said(truth, time), said(found, time)
        if true == "hole" and (duration_s is None or time > duration_s):
            continue
        true, guess = (None if x == "hole" else x for x in (true, guess))
        judged += 1
        right += true == guess
    return right * STEP, judged * STEP


@given(timelines(), timelines(), st.none() | st.integers(1, 60).map(lambda n: n * STEP))
@settings(max_examples=120, deadline=None)
def test_agreement_is_what_sampling_finds(truth, found, duration_s):
    right, judged = sampled(truth, found, duration_s)
    if not judged:
        with pytest.raises(SgmnError, match="covers no time"):
            agreement(truth, found, duration_s)
        return
    result = agreement(truth, found, duration_s)
    assert result.agreed_s == pytest.approx(right)
    assert result.total_s == pytest.approx(judged)


def test_nothing_is_a_class_and_silence_means_nothing():
    truth = [Segment(0, 4, None), Segment(4, 10, "a")]
    assert time_weighted_accuracy(truth, []) == 0.4
    assert time_weighted_accuracy(truth, [Segment(0, 10, "a")]) == 0.6
    assert time_weighted_accuracy(truth, [], duration_s=20) == 0.7
    assert time_weighted_accuracy(truth, truth) == 1


def test_segments_of_no_length_hide_nothing():
    truth = [Segment(0, 10, "a"), Segment(5, 5, "b")]
    assert time_weighted_accuracy(truth, [Segment(0, 10, "a"), Segment(0, 0, "b")]) == 1


@pytest.mark.parametrize("side", [0, 1])
def test_two_answers_at_once_are_refused(side):
    both = [Segment(0, 5, "a"), Segment(4, 6, "b")]
    pair = [both, [Segment(0, 5, "a")]]
    with pytest.raises(SgmnError, match="overlap"):
        time_weighted_accuracy(pair[side], pair[1 - side])


def iou(a, b):
    cells = range(400)
    inside_a, inside_b = ({c for c in cells if s.start <= c * STEP < s.end} for s in (a, b))
    return len(inside_a & inside_b) / len(inside_a | inside_b)


def largest_matching(truth, found, least):
    """By trying every way to give each found segment a true one or none."""
    true = [s for s in truth if s.product_id]
    said_ = [s for s in found if s.product_id]
    if len(true) > len(said_):
        true, said_ = said_, true
    return max(
        sum(
            t.product_id == f.product_id and iou(t, f) >= least
            for t, f in zip(true, order, strict=False)
        )
        for order in permutations(said_, len(true))
    )


@given(timelines(), timelines(), st.sampled_from([0.1, 0.3, 0.5, 0.9]))
@settings(max_examples=60, deadline=None)
def test_f1_matches_as_many_as_can_be(truth, found, least):
    truth = [s for s in truth if s.start < 8][:4]
    found = [s for s in found if s.start < 8][:5]
    score = segment_f1(truth, found, least)
    assert score.matched == largest_matching(truth, found, least)
    assert score.truths == sum(s.product_id is not None for s in truth)
    assert score.found == sum(s.product_id is not None for s in found)


def test_f1_by_hand():
    truth = [Segment(0, 10, "a"), Segment(10, 20, "b"), Segment(20, 30, None)]
    found = [Segment(0, 6, "a"), Segment(6, 14, "b"), Segment(14, 20, "a"), Segment(20, 30, "b")]
    score = segment_f1(truth, found)  # a: 6/10 fits; b: 4/14 does not
    assert (score.matched, score.precision, score.recall) == (1, 1 / 4, 1 / 2)
    assert score.f1 == pytest.approx(2 * 0.25 * 0.5 / 0.75)
    assert segment_f1(truth, found, iou=4 / 14).matched == 2


def test_f1_is_one_to_one_even_when_greed_would_not_be():
    truth = [Segment(0, 10, "a"), Segment(10, 14, "a")]
    found = [Segment(4, 14, "a")]
    assert segment_f1(truth, found, iou=0.3).matched == 1


@pytest.mark.parametrize("truth, found", list(product([[], [Segment(0, 5, "a")]], repeat=2)))
def test_f1_of_empty_sides(truth, found):
    score = segment_f1(truth, found)
    right = float(truth == found)
    assert (score.precision, score.recall, score.f1) == (right, right, right)


@pytest.mark.parametrize("least", [0.0, 1.5, float("nan")])
def test_f1_refuses_an_impossible_overlap(least):
    with pytest.raises(SgmnError, match="iou"):
        segment_f1([], [], least)


@given(timelines(), timelines())
@settings(max_examples=80, deadline=None)
def test_delay_is_what_waiting_finds(truth, found):
    waits, missed = [], 0
    for segment in (s for s in truth if s.product_id):
        cells = np.arange(segment.start, segment.end, STEP)
        heard = [t for t in cells if said(found, t + STEP / 2) == segment.product_id]
        waits += [heard[0] - segment.start] if heard else []
        missed += not heard
    delay = mean_delay(truth, found)
    assert delay.missed == missed
    assert list(delay.delays_s) == pytest.approx(waits)
    assert delay.mean_s == (pytest.approx(np.mean(waits)) if waits else None)
