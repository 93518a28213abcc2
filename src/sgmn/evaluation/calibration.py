"""Whether a confidence means what it says: of answers given with 0.8, are 80 % right?

Confidences are (N,) in 0..1, `right` (N,) bool. With few answers a bin is far from its
confidence by chance alone, so an error means little beside `error_by_chance`.
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

Equal = Literal["mass", "width"]
Values = NDArray[np.float64]
TEMPERATURES = (0.01, 100.0)


@dataclass(frozen=True, slots=True)
class Bin:
    """`count` answers: their mean confidence, the share that is right, its 95 % interval.

    The interval is Wilson's: a bootstrap of a dozen answers that are all right has no width.
    """

    count: int
    confidence: float
    right: float
    low: float
    high: float


def reliability(
    confidences: ArrayLike, right: ArrayLike, bins: int = 15, equal: Equal = "mass"
) -> tuple[Bin, ...]:
    """The bins of a reliability diagram, by rising confidence; empty ones are left out.

    `equal` says what the bins have alike: "mass", as many answers each, or "width", 1/bins.
    Equal confidences are never parted, so there may be fewer bins than asked for.
    """
    sure, hits = _checked(confidences, right, bins)
    return tuple(_bin(sure[own], hits[own]) for own in _binned(sure, bins, equal))


def expected_calibration_error(
    confidences: ArrayLike, right: ArrayLike, bins: int = 15, equal: Equal = "mass"
) -> float:
    """ECE, 0..1: the mean over answers of |share right - mean confidence| of their bin.

    With bins of equal width as Guo et al. (2017) have it, with equal mass as Nixon et al.
    (2019) advise. Raises SgmnError for no answers, other shapes, and no confidences.

    >>> expected_calibration_error([0.75] * 4, [True, True, False, False])
    0.25
    """
    sure, hits = _checked(confidences, right, bins)
    return _error(sure, hits, list(_binned(sure, bins, equal)))


def error_by_chance(
    confidences: ArrayLike,
    bins: int = 15,
    equal: Equal = "mass",
    seed: int = 0,
    samples: int = 1000,
    groups: ArrayLike | None = None,
) -> tuple[float, float]:
    """What ECE would be if the confidences were true: its mean, and the value 95 % are below.

    Answers are drawn right as often as they say (after Bröcker and Smith, 2007), those of one
    of the `groups` (N,) by the same luck, each for itself without: of answers that hang
    together, as a stream's moments, more error is by chance.
    """
    sure, _ = _checked(confidences, np.zeros_like(confidences, dtype=bool), bins)
    rng, members = np.random.default_rng(seed), list(_binned(sure, bins, equal))
    own = np.arange(len(sure)) if groups is None else np.unique(groups, return_inverse=True)[1]
    drawn = [
        _error(sure, (rng.random(len(sure))[own] < sure).astype(np.float64), members)
        for _ in range(samples)
    ]
    return float(np.mean(drawn)), float(np.quantile(drawn, 0.95))


def log_loss(logits: Values, truth: NDArray[np.intp], temperature: float = 1.0) -> float:
    """The mean of -log softmax(logits / temperature)[truth], nats; see `fitted_temperature`."""
    if logits.ndim != 2 or truth.shape != logits.shape[:1] or not truth.size:
        raise SgmnError(
            f"logits of shape {logits.shape} and truth of {truth.shape}",
            where="temperature",
            remedy="give a row of logits and one column for each answer, at least one",
        )
    rows = logits / temperature
    own = rows[np.arange(len(rows)), truth]
    return float((logsumexp(rows, axis=1) - own).mean())


def fitted_temperature(logits: Values, truth: NDArray[np.intp]) -> float:
    """The T by which logits (N, S) are to be divided, for the least log loss on `truth` (N,).

    A logit of -inf is a place without a product: shelves of several sizes are padded so.
    The log loss is convex in 1/T, so there is one minimum (Guo et al., 2017). Raises
    SgmnError if it is not between 0.01 and 100, as when every answer is right, or none
    better than chance.
    """
    low, high = TEMPERATURES
    found: Any = minimize_scalar(
        lambda place: log_loss(logits, truth, exp(place)),
        bounds=(log(low), log(high)),
        method="bounded",
    )
    if found.fun >= min(log_loss(logits, truth, end) for end in TEMPERATURES):
        raise SgmnError(
            f"the log loss has no minimum between {low} and {high}",
            where="temperature",
            remedy="give more answers, some right and some wrong",
        )
    return exp(found.x)


def _bin(sure: Values, hits: Values) -> Bin:
    ends = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return Bin(len(sure), float(sure.mean()), float(hits.mean()), float(ends.low), float(ends.high))


def _error(sure: Values, hits: Values, members: list[NDArray[np.intp]]) -> float:
    return sum(abs(float((hits[own] - sure[own]).sum())) for own in members) / len(sure)


def _binned(sure: Values, bins: int, equal: Equal) -> Iterator[NDArray[np.intp]]:
    """The places of each bin that is not empty."""
    if equal == "width":  # open below and closed above
        numbers = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], sure, side="left")
    else:
        starts = np.sort(sure)[np.arange(1, bins) * len(sure) // bins]
        numbers = np.searchsorted(starts, sure, side="right")
    return (np.flatnonzero(numbers == number) for number in np.unique(numbers))


def _checked(confidences: ArrayLike, right: ArrayLike, bins: int) -> tuple[Values, Values]:
    sure, hits = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    if sure.ndim != 1 or sure.shape != hits.shape or not sure.size or bins < 1:
        raise SgmnError(
            f"{sure.shape} confidences, {hits.shape} answers and {bins} bins",
            where="calibration",
            remedy="give one confidence an answer, at least one, and at least one bin",
        )
    if not ((sure >= 0) & (sure <= 1)).all():
        raise SgmnError("a confidence is not in 0..1", "calibration", "give probabilities")
    return sure, hits
