"""Segments of a finished stream."""

from __future__ import annotations

import random
from itertools import pairwise
from math import exp, inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sgmn.errors import SgmnError
from sgmn.live.evidence import TimelineSettings, compute_evidence
from sgmn.live.timeline import OnlineDecoder, decode_segments
from tests.live.score_rows import (
    SHELF,
    STEADY,
    planted_rows,
    random_rows,
    sizes,
    timeline_settings,
)


def test_planted_segments_are_recovered() -> None:
    times, scores = planted_rows([0, 3, None, 0], windows_each=20)
    segments = decode_segments(times, scores, SHELF, STEADY, span_s=(0.0, 160.5))
    assert [(s.start, s.end, s.product_id) for s in segments] == [
        (0, 40, "a"),
        (40, 80, "d"),
        (80, 120, None),
        (120, 160.5, "a"),
    ]
    assert all(s.confidence > 0.8 for s in segments if s.product_id)


def test_one_wrong_window_is_no_segment_but_several_are() -> None:
    times, scores = planted_rows([0, 0, 0])
    scores[14] = [0, 0, 6, 0, 0]
    assert [s.product_id for s in decode_segments(times, scores, SHELF, STEADY)] == ["a"]
    scores[10:22] = [0, 0, 6, 0, 0]
    assert [s.product_id for s in decode_segments(times, scores, SHELF, STEADY)] == ["a", "c", "a"]


def test_confidence_is_the_mean_probability_of_the_windows() -> None:
    """By hand: two windows, a and b alone, a switch at 1 nat, all four paths."""
    chosen = TimelineSettings(1.0, nothing_threshold=0.0, window_s=2.0, hop_s=2.0)
    scores = np.array([[2.0, 0.0], [0.5, 0.0]])
    (only,) = decode_segments([1.0, 3.0], scores, ["a", "b"], chosen)
    paths = {"aa": exp(2.5), "ab": exp(2 - 1), "ba": exp(0.5 - 1), "bb": 1.0}
    first, second = paths["aa"] + paths["ab"], paths["aa"] + paths["ba"]
    assert only.product_id == "a"
    assert only.confidence == pytest.approx((first + second) / 2 / sum(paths.values()))


def test_a_certain_segment_has_a_runner_up() -> None:
    times, scores = planted_rows([1], peak=2000.0)
    scores[:, 3] += 5.0
    (only,) = decode_segments(times, scores, SHELF, STEADY)
    assert (only.confidence, only.runner_up) == (1.0, "d")


def test_doubtful_windows_lower_the_confidence_of_a_segment() -> None:
    """Two of ten windows could be another product's: they count, but not as nothing."""
    times, scores = planted_rows([1])
    (certain,) = decode_segments(times, scores, SHELF, STEADY)
    scores[8:, 3] = scores[8:, 1]
    (doubtful,) = decode_segments(times, scores, SHELF, STEADY)
    assert certain.product_id == doubtful.product_id == "b" and doubtful.runner_up == "d"
    assert 0.6 * certain.confidence < doubtful.confidence < certain.confidence


def test_the_runner_up_is_the_next_product() -> None:
    times, scores = planted_rows([1])
    scores[:, 4] += 2.0
    (only,) = decode_segments(times, scores, SHELF)
    assert (only.product_id, only.runner_up) == ("b", "e")
    flat_scores = np.tile([0, 0.2, 0.1, 0, 0], (9, 1))
    (silent,) = decode_segments(times[:9], flat_scores, SHELF)
    assert (silent.product_id, silent.runner_up) == (None, "b")


@given(sizes, timeline_settings)
@settings(max_examples=80, deadline=None)
def test_segments_cover_the_stream_once(
    size: tuple[int, int, int], chosen: TimelineSettings
) -> None:
    times, scores, shelf = random_rows(*size)
    segments = decode_segments(times, scores, shelf, chosen, span_s=(0.0, times[-1] + 7))
    assert segments[0].start == 0 and segments[-1].end == times[-1] + 7
    for before, after in pairwise(segments):
        assert before.end == after.start
        assert before.product_id != after.product_id
    for segment in segments:
        assert segment.start < segment.end
        assert 0 <= segment.confidence <= 1
        assert segment.runner_up != segment.product_id or segment.runner_up is None
        if len(segments) > 1:
            assert segment.end - segment.start >= chosen.min_segment_s


@given(sizes, timeline_settings, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_shelf_does_not_matter(
    size: tuple[int, int, int], chosen: TimelineSettings, rng: random.Random
) -> None:
    times, scores, shelf = random_rows(*size)
    order = rng.sample(range(len(shelf)), len(shelf))
    one = decode_segments(times, scores, shelf, chosen)
    other = decode_segments(times, scores[:, order], [shelf[i] for i in order], chosen)
    for a, b in zip(one, other, strict=True):
        assert (a.start, a.end, a.product_id) == (b.start, b.end, b.product_id)
        assert a.confidence == pytest.approx(b.confidence)
        assert a.runner_up == b.runner_up


@given(sizes)
@settings(max_examples=40, deadline=None)
def test_an_infinite_cost_gives_one_segment(size: tuple[int, int, int]) -> None:
    times, scores, shelf = random_rows(*size)
    (only,) = decode_segments(times, scores, shelf, TimelineSettings(switch_cost=inf))
    total = compute_evidence(scores, TimelineSettings()).sum(axis=0)
    assert only.product_id == [*shelf, None][int(total.argmax())]


@given(sizes)
@settings(max_examples=40, deadline=None)
def test_without_a_cost_each_window_is_decided_by_itself(size: tuple[int, int, int]) -> None:
    times, scores, shelf = random_rows(*size)
    chosen = TimelineSettings(switch_cost=0.0, nothing_threshold=0.2)
    segments = decode_segments(times, scores, shelf, chosen)
    decided = [next(s.product_id for s in segments if s.start <= t < s.end) for t in times]
    share = 0.2 + 0.8 / len(shelf)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert decided == [
        shelf[int(row.argmax())] if row.max() >= share - 1e-12 else None for row in probabilities
    ]


@pytest.mark.parametrize("products", [2, 5, 600])
def test_a_flat_row_means_nothing_on_sale(products: int) -> None:
    times, scores = np.array([1.0, 3.0]), np.full((2, products), 7.0)
    shelf = [str(i) for i in range(products)]
    (only,) = decode_segments(times, scores, shelf, TimelineSettings(nothing_threshold=0.05))
    assert only.product_id is None
    (other,) = decode_segments(times, scores, shelf, TimelineSettings(nothing_threshold=0.0))
    assert other.product_id is not None


def test_the_only_product_of_a_shelf_is_always_on_sale() -> None:
    (only,) = decode_segments(np.array([1.0, 3.0]), np.array([[-9.0], [4.0]]), ["a"])
    assert (only.product_id, only.confidence, only.runner_up) == ("a", 1.0, None)


@given(st.integers(0, 1000), timeline_settings, st.sampled_from([1e2, 1e5, 1e300, 1.7e308]))
@settings(max_examples=40, deadline=None)
def test_huge_logits_stay_finite(seed: int, chosen: TimelineSettings, scale: float) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.uniform(-1, 1, (12, 4)) * scale
    segments = decode_segments(np.arange(12.0), scores, SHELF[:4], chosen)
    assert all(np.isfinite(s.confidence) for s in segments)
    decoder = OnlineDecoder(SHELF[:4], chosen)
    for time, row in enumerate(scores):
        assert decoder.push(time, row).probabilities.sum() == pytest.approx(1)


def test_a_short_run_is_merged_into_the_neighbor_that_explains_it_better() -> None:
    times = 1.0 + 2.0 * np.arange(12)
    scores = np.zeros((12, 5))
    scores[:5, 0], scores[5:7, 1], scores[7:, 2] = 9, 9, 9
    scores[5:7, 2] = 5
    free = TimelineSettings(switch_cost=0.0)
    assert [s.product_id for s in decode_segments(times, scores, SHELF, free)] == ["a", "b", "c"]
    least = TimelineSettings(switch_cost=0.0, min_segment_s=5.0)
    segments = decode_segments(times, scores, SHELF, least)
    assert [(s.product_id, s.start, s.end) for s in segments] == [("a", 0, 10), ("c", 10, 24)]


def test_without_windows_there_are_no_segments() -> None:
    assert decode_segments(np.zeros(0), np.zeros((0, 5)), SHELF) == ()


@pytest.mark.parametrize(
    "times, scores, shelf, span, message",
    [
        ([1.0, 2.0], np.zeros((2, 4)), SHELF, None, "one score per window and product"),
        ([1.0], np.zeros((1, 0)), [], None, "at least one product"),
        ([1.0, 2.0], np.array([[0, 0], [0, np.nan]]), SHELF[:2], None, "'b' at 2.0 s is nan"),
        ([1.0], np.array([[0, -np.inf]]), SHELF[:2], None, "is -inf"),
        ([2.0, 2.0], np.zeros((2, 5)), SHELF, None, "times do not increase"),
        ([1.0, np.nan], np.zeros((2, 5)), SHELF, None, "times do not increase"),
        ([1.0, 2.0], np.zeros((2, 5)), SHELF, (1.5, 9.0), "leaves out"),
        ([1.0, 2.0], np.zeros((2, 5)), SHELF, (0.0, 1.9), "leaves out"),
    ],
)
def test_invalid_input_is_rejected(
    times: list[float], scores: Any, shelf: list[str], span: Any, message: str
) -> None:
    with pytest.raises(SgmnError, match=message):
        decode_segments(np.array(times), scores, shelf, span_s=span)


def test_the_temperature_divides_the_logits() -> None:
    rows = np.random.default_rng(3).normal(0, 3, (12, 5))
    times = np.arange(12) * 2.0
    cool = decode_segments(times, rows, SHELF, TimelineSettings(temperature=0.5))
    assert cool == decode_segments(times, 2 * rows, SHELF, TimelineSettings())

    def mean_confidence(temperature: float) -> float:
        chosen = TimelineSettings(temperature=temperature)
        segments = decode_segments(times, rows, SHELF, chosen)
        return float(np.mean([segment.confidence for segment in segments]))

    confidences = [mean_confidence(temperature) for temperature in (0.25, 1.0, 4.0)]
    assert confidences[0] > confidences[2]


@pytest.mark.parametrize(
    "saliency", [np.zeros(1), np.zeros(3), np.zeros((2, 1)), np.array([0.0, inf])]
)
def test_impossible_saliency_is_rejected(saliency: NDArray[np.float64]) -> None:
    with pytest.raises(SgmnError, match="saliency has shape"):
        decode_segments([1.0, 3.0], np.zeros((2, 2)), ["a", "b"], saliency=saliency)
    decoder = OnlineDecoder(["a", "b"])
    with pytest.raises(SgmnError, match="saliency has shape"):
        decoder.push(1.0, np.zeros(2), inf)
