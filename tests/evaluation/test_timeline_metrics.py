from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.errors import SgmnError
from sgmn.evaluation.timeline_metrics import (
    compute_agreement,
    compute_delay,
    segment_f1,
    time_weighted_accuracy,
)
from sgmn.records import Segment

STEP = 0.25  # segments start and end on this grid, so that sampling is exact


@st.composite
def timelines(draw, min_pieces=0):
    """Segments on a grid, in any order, with gaps and with nothing on sale."""
    kinds = st.sampled_from([None, "a", "b", "c", "hole"])
    pieces = draw(st.lists(st.tuples(kinds, st.integers(1, 9)), min_size=min_pieces, max_size=8))
    segments, start = [], 0
    for kind, steps in pieces:
        if kind != "hole":
            segments.append(Segment(start * STEP, (start + steps) * STEP, kind))
        start += steps
    return draw(st.permutations(segments))


def state_at(timeline, time):
    return next((s.product_id for s in timeline if s.start <= time < s.end), "hole")


def sample_agreement(truth, prediction, duration_s):
    """(correct, total) seconds by comparing both timelines in the middle of each grid cell."""
    end = max([duration_s or 0, *(s.end for s in truth)])
    correct = total = 0
    for cell in range(round(end / STEP)):
        time = (cell + 0.5) * STEP
        true, guess = state_at(truth, time), state_at(prediction, time)
        if true == "hole" and (duration_s is None or time > duration_s):
            continue
        true, guess = (None if x == "hole" else x for x in (true, guess))
        total += 1
        correct += true == guess
    return correct * STEP, total * STEP


@given(timelines(), timelines(), st.none() | st.integers(1, 60).map(lambda n: n * STEP))
@settings(max_examples=120, deadline=None)
def test_agreement_matches_sampling(truth, prediction, duration_s):
    correct, total = sample_agreement(truth, prediction, duration_s)
    if not total:
        with pytest.raises(SgmnError, match="covers no time"):
            compute_agreement(truth, prediction, duration_s)
        return
    result = compute_agreement(truth, prediction, duration_s)
    assert result.agreed_s == pytest.approx(correct)
    assert result.total_s == pytest.approx(total)


def test_nothing_on_sale_is_a_class_and_gaps_mean_nothing_on_sale():
    truth = [Segment(0, 4, None), Segment(4, 10, "a")]
    assert time_weighted_accuracy(truth, []) == 0.4
    assert time_weighted_accuracy(truth, [Segment(0, 10, "a")]) == 0.6
    assert time_weighted_accuracy(truth, [], duration_s=20) == 0.7
    assert time_weighted_accuracy(truth, truth) == 1


def test_empty_segments_do_not_count():
    truth = [Segment(0, 10, "a"), Segment(5, 5, "b")]
    assert time_weighted_accuracy(truth, [Segment(0, 10, "a"), Segment(0, 0, "b")]) == 1


@pytest.mark.parametrize("side", [0, 1])
def test_overlapping_segments_are_an_error(side):
    both = [Segment(0, 5, "a"), Segment(4, 6, "b")]
    pair = [both, [Segment(0, 5, "a")]]
    with pytest.raises(SgmnError, match="overlap"):
        time_weighted_accuracy(pair[side], pair[1 - side])


def iou(a, b):
    cells = range(400)
    inside_a, inside_b = ({c for c in cells if s.start <= c * STEP < s.end} for s in (a, b))
    return len(inside_a & inside_b) / len(inside_a | inside_b)


def largest_matching(truth, prediction, min_iou):
    """The size of the largest matching, by trying every assignment of segments."""
    true = [s for s in truth if s.product_id]
    predicted = [s for s in prediction if s.product_id]
    if len(true) > len(predicted):
        true, predicted = predicted, true
    return max(
        sum(
            t.product_id == p.product_id and iou(t, p) >= min_iou
            for t, p in zip(true, order, strict=False)
        )
        for order in permutations(predicted, len(true))
    )


@given(timelines(), timelines(), st.sampled_from([0.1, 0.3, 0.5, 0.9]))
@settings(max_examples=60, deadline=None)
def test_f1_matches_as_many_segments_as_possible(truth, prediction, min_iou):
    truth = [s for s in truth if s.start < 8][:4]
    prediction = [s for s in prediction if s.start < 8][:5]
    score = segment_f1(truth, prediction, min_iou)
    assert score.matched == largest_matching(truth, prediction, min_iou)
    assert score.true_count == sum(s.product_id is not None for s in truth)
    assert score.predicted_count == sum(s.product_id is not None for s in prediction)


def test_f1_by_hand():
    truth = [Segment(0, 10, "a"), Segment(10, 20, "b"), Segment(20, 30, None)]
    prediction = [
        Segment(0, 6, "a"),
        Segment(6, 14, "b"),
        Segment(14, 20, "a"),
        Segment(20, 30, "b"),
    ]
    score = segment_f1(truth, prediction)  # a: 6/10 matches; b: 4/14 does not
    assert (score.matched, score.precision, score.recall) == (1, 1 / 4, 1 / 2)
    assert score.f1 == pytest.approx(2 * 0.25 * 0.5 / 0.75)
    assert segment_f1(truth, prediction, iou=4 / 14).matched == 2


def test_f1_matches_one_to_one_even_if_a_greedy_match_would_not():
    truth = [Segment(0, 10, "a"), Segment(10, 14, "a")]
    prediction = [Segment(4, 14, "a")]
    assert segment_f1(truth, prediction, iou=0.3).matched == 1


@pytest.mark.parametrize("truth, prediction", list(product([[], [Segment(0, 5, "a")]], repeat=2)))
def test_f1_without_segments(truth, prediction):
    score = segment_f1(truth, prediction)
    expected = float(truth == prediction)
    assert (score.precision, score.recall, score.f1) == (expected, expected, expected)


@pytest.mark.parametrize("iou", [0.0, 1.5, float("nan")])
def test_f1_rejects_an_impossible_overlap(iou):
    with pytest.raises(SgmnError, match="iou"):
        segment_f1([], [], iou)


@given(timelines(), timelines())
@settings(max_examples=80, deadline=None)
def test_the_delay_matches_sampling(truth, prediction):
    delays, missed = [], 0
    for segment in (s for s in truth if s.product_id):
        cells = np.arange(segment.start, segment.end, STEP)
        named = [t for t in cells if state_at(prediction, t + STEP / 2) == segment.product_id]
        delays += [named[0] - segment.start] if named else []
        missed += not named
    delay = compute_delay(truth, prediction)
    assert delay.missed == missed
    assert list(delay.delays_s) == pytest.approx(delays)
    assert delay.mean_s == (pytest.approx(np.mean(delays)) if delays else None)
