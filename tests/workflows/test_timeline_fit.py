"""The fit of timeline settings: what is judged, and which candidate is chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sgmn.data.dataset import Stream
from sgmn.live.evidence import TimelineSettings
from sgmn.live.recognizer import RecognitionResult
from sgmn.live.timeline import decode_segments
from sgmn.records import Segment
from sgmn.workflows.calibration_data import WatchedStream
from sgmn.workflows.confidence import predict_moments
from sgmn.workflows.timeline_fit import (
    NOTHING_THRESHOLDS,
    SWITCH_COSTS,
    TEMPERATURES,
    TimelineFit,
    choose_fit,
    fit_timeline,
    judge_moments,
    mean_saliency_on_sale,
)
from tests.workflows.watched_streams import watched_by_hand


def test_moments_are_judged_by_their_segments() -> None:
    watched = watched_by_hand()
    truth = (Segment(0, 6, "a"), Segment(6, 12, "b"))
    watched = watched._replace(stream=replace(watched.stream, timeline=truth))
    settings = TimelineSettings(0.5, nothing_threshold=0.0)
    moments = list(judge_moments(watched, settings))
    result = watched.result
    segments = decode_segments(
        result.times_s, result.scores, result.product_ids, settings, (0, 16.0)
    )
    assert len(moments) == 6 and moments[0].confidence == segments[0].confidence
    assert [moment.is_correct for moment in moments[:4]] == [True, True, True, False]
    assert moments[3].loss > 3 * moments[0].loss > 0


def test_unknown_true_product_has_a_finite_loss() -> None:
    watched = watched_by_hand()
    truth = (Segment(0, 16, "unknown"),)
    watched = watched._replace(stream=replace(watched.stream, timeline=truth))
    moments = list(judge_moments(watched, TimelineSettings()))
    assert not any(moment.is_correct for moment in moments)
    assert all(13 < moment.loss < 14 for moment in moments)  # -log(1e-6)


def test_choice_prefers_time_and_segments_then_likelihood_then_calibration() -> None:
    names = {
        switch_cost: TimelineSettings(switch_cost) for switch_cost in (1.0, 2.0, 3.0, 4.0, 5.0)
    }
    candidates = [
        TimelineFit(names[1.0], (0.60, 0.60), (0.7, 0.7), 0.50, (0.0, 0.0)),  # too seldom right
        TimelineFit(names[2.0], (0.80, 0.70), (0.7, 0.7), 1.02, (0.0, 0.0)),  # too unlikely
        TimelineFit(names[3.0], (0.79, 0.70), (0.7, 0.7), 1.000, (0.2, 0.1)),  # least loss
        TimelineFit(names[4.0], (0.78, 0.69), (0.7, 0.7), 1.009, (0.1, 0.1)),  # least error
        TimelineFit(names[5.0], (0.80, 0.70), (0.6, 0.5), 0.50, (0.0, 0.0)),  # torn to pieces
    ]
    assert choose_fit(candidates).settings == names[4.0]


def test_fit_tries_the_whole_grid_and_keeps_the_lengths() -> None:
    base = TimelineSettings(window_s=8.0, hop_s=2.0, min_segment_s=1.0)
    best, candidates = fit_timeline([[watched_by_hand()]], base)
    assert len(candidates) == len(TEMPERATURES) * len(SWITCH_COSTS) * len(NOTHING_THRESHOLDS)
    lengths = {
        (s.settings.window_s, s.settings.hop_s, s.settings.min_segment_s) for s in candidates
    }
    assert lengths == {(8.0, 2.0, 1.0)}
    assert max(fit.shares for fit in candidates)[0] - best.shares[0] <= 0.02
    assert best.log_loss == pytest.approx(min(f.log_loss for f in candidates), abs=0.5)


def watched_with_a_pause(level: float = 2.0) -> WatchedStream:
    """All scores say "a", but for half of the time nobody shows anything."""
    scores, times_s = np.tile([3.0, 0, 0], (16, 1)), np.arange(1.0, 33.0, 2.0)
    saliency = level - np.repeat([0.0, 8.0], 8)
    result = RecognitionResult((), 32.0, times_s, scores, ("a", "b", "c"), saliency=saliency)
    truth = (Segment(0, 16, "a"), Segment(16, 32, None))
    truths = dict(enumerate(["a"] * 8 + [None] * 8))
    return WatchedStream(result, truths, Stream("s", Path("s.mp4"), timeline=truth))


def test_saliency_counts_if_that_finds_pauses() -> None:
    datasets = [[watched_with_a_pause()], [watched_with_a_pause(level=-3.0)]]
    best, _ = fit_timeline(datasets, TimelineSettings())
    assert best.settings.presence_weight > 0 and best.settings.usual_saliency == -0.5
    assert min(best.shares) > 0.8


def test_saliency_does_not_count_where_none_is_known() -> None:
    assert mean_saliency_on_sale([watched_by_hand()]) is None
    settings = TimelineSettings(presence_weight=1.0)
    best, _ = fit_timeline([[watched_by_hand()]], settings)
    assert best.settings.presence_weight == 0


def test_beliefs_of_moments_use_saliency() -> None:
    watched, settings = watched_with_a_pause(), TimelineSettings(presence_weight=4.0)
    blind = watched._replace(result=replace(watched.result, saliency=None))
    seeing, without = (predict_moments([one], settings).correct for one in (watched, blind))
    assert sum(seeing) > sum(without) == 8
