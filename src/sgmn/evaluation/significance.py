"""How sure a number is: intervals by the bootstrap, differences by paired tests.

The unit is the query. Clips cut from one live are alike, so intervals over few lives are
narrower than the truth; they say how much the choice of clips matters, not of lives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from sgmn.errors import SgmnError

Values = NDArray[np.float64]
Statistic = Callable[..., Any]  # called as np.mean is: statistic(values, axis=-1)
BLOCK = 2_000_000  # drawn numbers held at once: 16 MB


@dataclass(frozen=True, slots=True)
class Paired:
    """Run b against run a on the same queries.

    `difference` is mean(b) - mean(a), `low` and `high` its interval, `p` two-sided,
    `a` and `b` the two means.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float


def bootstrap_ci(
    values: Values,
    statistic: Statistic = np.mean,
    seed: int = 0,
    samples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """The percentile bootstrap interval (Efron, 1979) of `statistic` over `values` (n,).

    Queries are drawn with replacement `samples` times. The ends are drawn values, rounded
    outwards and never interpolated, so infinite values (the rank of a miss) are allowed;
    scipy's version interpolates (NaN between two infinities) and refuses a single query.
    Raises SgmnError for no values, NaN, fewer than 1 sample, and a level outside 0..1.

    >>> bootstrap_ci(np.ones(5))
    (1.0, 1.0)
    >>> bootstrap_ci(np.array([0.0, 1.0] * 50), seed=1)
    (0.4, 0.6)
    """
    _check(values, samples, level)
    drawn = np.sort(_resampled(values, statistic, np.random.default_rng(seed), samples))
    tail = (1 - level) / 2 * (samples - 1)
    return float(drawn[int(np.floor(tail))]), float(drawn[int(np.ceil(samples - 1 - tail))])


def paired_test(a: Values, b: Values, seed: int = 0, samples: int = 10_000) -> Paired:
    """Test whether two runs differ on the same queries, whose values are `a` and `b` (n,).

    The p-value is that of the paired sign-flip permutation test of the mean difference:
    if the runs were alike, each query's difference could as well have the other sign. When
    all differences have one size, as hits (0 or 1) do, the number of positive ones is
    binomial and p is exact: this is the exact McNemar test. Otherwise signs are drawn
    `samples` times and p = (1 + as extreme) / (1 + samples) (Phipson and Smyth, 2010).
    The interval is the paired bootstrap's, at 95 %.

    >>> test = paired_test(np.zeros(6), np.ones(6))
    >>> test.difference, test.p  # 2 / 2**6
    (1.0, 0.03125)
    """
    if a.shape != b.shape:
        raise SgmnError(
            f"the runs have {a.size} and {b.size} queries", "paired test", "give the same ones"
        )
    differences = b - a
    low, high = bootstrap_ci(differences, np.mean, seed)
    return Paired(
        a=float(a.mean()),
        b=float(b.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        p=_sign_flip(differences[differences != 0], seed, samples),
    )


def _resampled(
    values: Values, statistic: Statistic, rng: np.random.Generator, samples: int
) -> Values:
    """(samples,) of the statistic, each over n values drawn with replacement."""
    n = len(values)
    step = max(1, BLOCK // n)
    rows = [min(step, samples - done) for done in range(0, samples, step)]
    blocks = [
        statistic(values[rng.integers(0, n, size=(r, n), dtype=np.int32)], axis=-1) for r in rows
    ]
    return np.concatenate(blocks)


def _sign_flip(differences: Values, seed: int, samples: int) -> float:
    """The two-sided p of the sum of the differences (m,), none of them zero."""
    sizes = np.abs(differences)
    if not differences.size:
        return 1.0
    if np.allclose(sizes, sizes[0], rtol=1e-9, atol=0):
        return float(binomtest(int((differences > 0).sum()), differences.size, 0.5).pvalue)
    # Rounding must not make an equal sum look smaller than the one observed.
    observed = abs(differences.sum()) * (1 - 1e-9)
    drawn = _flipped(sizes, np.random.default_rng(seed), samples)
    return float((1 + (np.abs(drawn) >= observed).sum()) / (1 + samples))


def _flipped(sizes: Values, rng: np.random.Generator, samples: int) -> Values:
    """(samples,) of sums of `sizes` (m,) with random signs."""
    m = len(sizes)
    step = max(1, BLOCK // m)
    rows = [min(step, samples - done) for done in range(0, samples, step)]
    flips = (rng.integers(0, 2, size=(r, m), dtype=np.int8) for r in rows)
    sums: Values = np.concatenate([2.0 * (flip @ sizes) for flip in flips]) - sizes.sum()
    return sums


def _check(values: Values, samples: int, level: float) -> None:
    if values.ndim != 1 or not values.size:
        raise SgmnError(f"values have shape {values.shape}", "bootstrap", "give at least one")
    if np.isnan(values).any():
        raise SgmnError("a value is NaN", "bootstrap", "give every query a number")
    if samples < 1 or not 0 < level < 1:
        raise SgmnError(
            f"samples {samples} and level {level} draw no interval",
            "bootstrap",
            "give 1 sample or more and a level between 0 and 1, such as 0.95",
        )
