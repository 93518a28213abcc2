"""Fit the timeline settings of a model on watched streams whose timelines are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import isnan, log
from statistics import fmean

import numpy as np

from sgmn.evaluation.calibration import expected_calibration_error
from sgmn.live.decoder import smooth
from sgmn.live.evidence import TimelineSettings
from sgmn.records import Segment
from sgmn.workflows.calibration_data import WatchedStream
from sgmn.workflows.confidence import decode_timeline, judge_timelines

TEMPERATURES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.6)
SWITCH_COSTS = (1.0, 2.0, 3.0, 4.0, 6.0)
NOTHING_THRESHOLDS = (0.0, 0.05, 0.1, 0.2, 0.3)
PRESENCE_WEIGHTS = (0.5, 1.0, 2.0, 4.0)
SALIENCY_DROPS = (0.0, 0.5, 1.0, 2.0)
QUALITY_TOLERANCE = 0.02
LOSS_TOLERANCE = 0.01  # nats
MIN_PROBABILITY = 1e-6  # so that one moment cannot outweigh all others


@dataclass(frozen=True, slots=True)
class TimelineFit:
    """A candidate, and what it achieves.

    shares: of the time that is right, per dataset, 0..1. f1: of the segments, per dataset, 0..1.
    log_loss: nats, the mean over all moments of the truth's probability given the whole stream.
    errors: expected calibration error of the segments' confidence, per dataset.
    """

    settings: TimelineSettings
    shares: tuple[float, ...]
    f1: tuple[float, ...]
    log_loss: float
    errors: tuple[float, ...]

    @property
    def quality(self) -> float:
        """The mean of the shares and of F1, 0..1."""
        return fmean((*self.shares, *self.f1))


def fit_timeline(
    datasets: Sequence[Sequence[WatchedStream]], base: TimelineSettings
) -> tuple[TimelineFit, tuple[TimelineFit, ...]]:
    """Choose how scores, then how the saliency of frames counts; returns the best and all tried.

    Args:
        datasets: the streams of each dataset; all datasets count equally.
        base: keeps its window, hop and minimum segment lengths.
    """
    fits = [
        evaluate_settings(
            datasets,
            replace(
                base,
                temperature=temperature,
                switch_cost=switch_cost,
                nothing_threshold=threshold,
                presence_weight=0.0,
            ),
        )
        for temperature, switch_cost, threshold in product(
            TEMPERATURES, SWITCH_COSTS, NOTHING_THRESHOLDS
        )
    ]
    fits += [
        evaluate_settings(datasets, settings)
        for settings in vary_presence(choose_fit(fits).settings, datasets)
    ]
    return choose_fit(fits), tuple(fits)


def vary_presence(
    settings: TimelineSettings, datasets: Sequence[Sequence[WatchedStream]]
) -> Iterator[TimelineSettings]:
    """Other settings in which the saliency of frames counts; none if no saliency is known.

    The threshold is chosen again, because saliency is evidence for the same state.
    """
    usual = [
        saliency for streams in datasets if (saliency := mean_saliency_on_sale(streams)) is not None
    ]
    if not usual:
        return
    for threshold, weight, drop in product(
        NOTHING_THRESHOLDS[1:], PRESENCE_WEIGHTS, SALIENCY_DROPS
    ):
        yield replace(
            settings,
            nothing_threshold=threshold,
            presence_weight=weight,
            saliency_drop=drop,
            usual_saliency=round(fmean(usual), 2),
        )


def mean_saliency_on_sale(streams: Sequence[WatchedStream]) -> float | None:
    """The mean saliency of the windows in which a product is on sale; None if none is known."""
    saliencies = [
        saliency
        for watched in streams
        for row, (_, _, saliency) in enumerate(watched.result.windows)
        if watched.truths.get(row) is not None and not isnan(saliency)
    ]
    return fmean(saliencies) if saliencies else None


def choose_fit(fits: Sequence[TimelineFit]) -> TimelineFit:
    """The candidate of least calibration error among the good ones.

    Good are those of nearly the best quality, and of these those of nearly the least log loss.
    """
    best = max(fit.quality for fit in fits)
    good = [fit for fit in fits if fit.quality >= best - QUALITY_TOLERANCE]
    least = min(fit.log_loss for fit in good)
    likely = [fit for fit in good if fit.log_loss <= least + LOSS_TOLERANCE]
    return min(likely, key=lambda fit: fmean(fit.errors))


def evaluate_settings(
    datasets: Sequence[Sequence[WatchedStream]], settings: TimelineSettings
) -> TimelineFit:
    """Measure one candidate."""
    moments = [
        [moment for watched in streams for moment in judge_moments(watched, settings)]
        for streams in datasets
    ]
    rows = [judge_timelines(streams, settings) for streams in datasets]
    return TimelineFit(
        settings,
        tuple(row.time.accuracy for row in rows),
        tuple(row.segments.f1 for row in rows),
        fmean(moment.loss for own in moments for moment in own),
        tuple(
            expected_calibration_error([m.confidence for m in own], [m.is_correct for m in own])
            for own in moments
        ),
    )


@dataclass(frozen=True, slots=True)
class JudgedMoment:
    """A moment: -log of its truth's probability, and the confidence of its segment."""

    loss: float
    confidence: float
    is_correct: bool


def judge_moments(watched: WatchedStream, settings: TimelineSettings) -> Iterator[JudgedMoment]:
    """Judge each moment that the truth covers, given the whole stream."""
    result, states = watched.result, (*watched.result.product_ids, None)
    evidence = result.compute_evidence(settings)
    probabilities = np.exp(smooth(evidence, settings.switch_cost))
    timeline = decode_timeline(result, settings)
    for time_s, row in zip(result.times_s, probabilities, strict=True):
        for truth in _at(watched.stream.timeline, float(time_s)):
            for segment in _at(timeline, float(time_s)):
                known = truth.product_id in states
                probability = row[states.index(truth.product_id)] if known else 0.0
                yield JudgedMoment(
                    -log(max(MIN_PROBABILITY, probability)),
                    segment.confidence,
                    segment.product_id == truth.product_id,
                )


def _at(timeline: Sequence[Segment], time_s: float) -> Iterator[Segment]:
    """The segment of a moment, if any."""
    return (segment for segment in timeline if segment.start <= time_s < segment.end)
