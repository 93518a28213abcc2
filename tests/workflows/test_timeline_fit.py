"""The fit of timeline settings: what is judged, and which candidate is chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sgmn.live.evidence import TimelineSettings
from sgmn.live.timeline import decode_segments
from sgmn.records import Segment
from sgmn.workflows.timeline_fit import (
    NOTHING_THRESHOLDS,
    SWITCH_COSTS,
    TEMPERATURES,
    TimelineFit,
    choose_fit,
    fit_timeline,
    judge_moments,
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


def test_choice_prefers_time_right_then_likelihood_then_calibration() -> None:
    names = {switch_cost: TimelineSettings(switch_cost) for switch_cost in (1.0, 2.0, 3.0, 4.0)}
    candidates = [
        TimelineFit(names[1.0], (0.60, 0.60), 0.50, (0.0, 0.0)),  # too seldom right
        TimelineFit(names[2.0], (0.80, 0.70), 1.02, (0.0, 0.0)),  # too unlikely
        TimelineFit(names[3.0], (0.79, 0.70), 1.000, (0.2, 0.1)),  # least loss
        TimelineFit(names[4.0], (0.78, 0.69), 1.009, (0.1, 0.1)),  # least error
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
