"""Measures calibration: of the answers with confidence 0.8, are 80 % correct?

Confidences are (N,) in 0..1, `correct` is (N,) bool. With few answers a bin differs from its
confidence by chance alone, so compare an error with `expected_error_by_chance`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import binomtest

from sgmn.errors import SgmnError

Binning = Literal["mass", "width"]
FloatArray = NDArray[np.float64]
TEMPERATURE_RANGE = (0.01, 100.0)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """`count` answers: their mean confidence, the share that is correct, its 95 % interval.

    The interval is Wilson's: a bootstrap of a dozen answers that are all correct has no width.
    """

    count: int
    confidence: float
    accuracy: float
    low: float
    high: float


def compute_reliability_bins(
    confidences: ArrayLike, correct: ArrayLike, bins: int = 15, binning: Binning = "mass"
) -> tuple[ReliabilityBin, ...]:
    """The bins of a reliability diagram, by increasing confidence, without empty ones.

    Bins have equal "mass" (the same number of answers) or equal "width" (1/bins). Equal
    confidences share a bin, so there may be fewer than `bins`.
    """
    values, hits = _validate(confidences, correct, bins)
    return tuple(_build_bin(values[own], hits[own]) for own in _assign_bins(values, bins, binning))


def expected_calibration_error(
    confidences: ArrayLike, correct: ArrayLike, bins: int = 15, binning: Binning = "mass"
) -> float:
    """ECE, 0..1: the mean over answers of |accuracy - mean confidence| of their bin.

    Guo et al. (2017) use bins of equal width, Nixon et al. (2019) advise equal mass.
    Raises SgmnError for no answers, for other shapes, and for values outside 0..1.

    >>> expected_calibration_error([0.75] * 4, [True, True, False, False])
    0.25
    """
    values, hits = _validate(confidences, correct, bins)
    return _compute_error(values, hits, list(_assign_bins(values, bins, binning)))


def expected_error_by_chance(
    confidences: ArrayLike,
    bins: int = 15,
    binning: Binning = "mass",
    seed: int = 0,
    samples: int = 1000,
    groups: ArrayLike | None = None,
) -> tuple[float, float]:
    """The ECE of perfectly calibrated confidences: its mean and its 95 % quantile.

    Answers are drawn as correct with the probability of their confidence (Bröcker and Smith,
    2007), independently, or all answers of one of the `groups` (N,) with the same random
    number: dependent answers, such as the moments of one stream, have a larger error by chance.
    """
    values, _ = _validate(confidences, np.zeros_like(confidences, dtype=bool), bins)
    rng, members = np.random.default_rng(seed), list(_assign_bins(values, bins, binning))
    count = len(values)
    group_of = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1]
    errors = [
        _compute_error(values, (rng.random(count)[group_of] < values).astype(np.float64), members)
        for _ in range(samples)
    ]
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


def log_loss(logits: FloatArray, truth: NDArray[np.intp], temperature: float = 1.0) -> float:
    """The mean of -log softmax(logits / temperature)[truth], in nats; see `fit_temperature`."""
    if logits.ndim != 2 or truth.shape != logits.shape[:1] or not truth.size:
        raise SgmnError(
            f"logits of shape {logits.shape} and truth of {truth.shape}",
            where="temperature",
            remedy="pass a row of logits and one true column for each answer, at least one",
        )
    scaled = logits / temperature
    true_logits = scaled[np.arange(len(scaled)), truth]
    return float((logsumexp(scaled, axis=1) - true_logits).mean())


def fit_temperature(logits: FloatArray, truth: NDArray[np.intp]) -> float:
    """The divisor T of logits (N, S) that minimizes the log loss on the true columns (N,).

    Pad the logits of smaller shelves with -inf. The log loss is convex in 1/T, so there is one
    minimum (Guo et al., 2017). Raises SgmnError if it is not between 0.01 and 100, which happens
    if every answer is correct, or none is better than chance.
    """
    low, high = TEMPERATURE_RANGE
    result: Any = minimize_scalar(
        lambda log_temperature: log_loss(logits, truth, exp(log_temperature)),
        bounds=(log(low), log(high)),
        method="bounded",
    )
    if result.fun >= min(log_loss(logits, truth, end) for end in TEMPERATURE_RANGE):
        raise SgmnError(
            f"the log loss has no minimum between {low} and {high}",
            where="temperature",
            remedy="pass more answers, some correct and some wrong",
        )
    return exp(result.x)


def _build_bin(values: FloatArray, hits: FloatArray) -> ReliabilityBin:
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return ReliabilityBin(
        count=len(values),
        confidence=float(values.mean()),
        accuracy=float(hits.mean()),
        low=float(interval.low),
        high=float(interval.high),
    )


def _compute_error(values: FloatArray, hits: FloatArray, members: list[NDArray[np.intp]]) -> float:
    return sum(abs(float((hits[own] - values[own]).sum())) for own in members) / len(values)


def _assign_bins(values: FloatArray, bins: int, binning: Binning) -> Iterator[NDArray[np.intp]]:
    """The indices of the answers in each bin that is not empty."""
    if binning == "width":  # open below and closed above
        numbers = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], values, side="left")
    else:
        starts = np.sort(values)[np.arange(1, bins) * len(values) // bins]
        numbers = np.searchsorted(starts, values, side="right")
    return (np.flatnonzero(numbers == number) for number in np.unique(numbers))


def _validate(
    confidences: ArrayLike, correct: ArrayLike, bins: int
) -> tuple[FloatArray, FloatArray]:
    values, hits = np.asarray(confidences, np.float64), np.asarray(correct, np.float64)
    if values.ndim != 1 or values.shape != hits.shape or not values.size or bins < 1:
        raise SgmnError(
            f"{values.shape} confidences, {hits.shape} answers and {bins} bins",
            where="calibration",
            remedy="pass one confidence per answer, at least one answer, and at least one bin",
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise SgmnError("a confidence is not in 0..1", "calibration", "pass probabilities")
    return values, hits
