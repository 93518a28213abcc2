"""Bootstrap intervals and paired tests.

The unit is the query. Clips of one livestream are alike, so intervals over few streams are too
narrow: they measure how much the choice of clips matters, not the choice of streams.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SgmnError

FloatArray = NDArray[np.float64]
Statistic = Callable[..., Any]  # called as np.mean is: statistic(values, axis=-1)
MAX_BLOCK_VALUES = 2_000_000  # random numbers in memory at once: 16 MB


@dataclass(frozen=True, slots=True)
class PairedTestResult:
    """Run b against run a on the same queries.

    `a` and `b` are the means, `difference` is b - a, `low` and `high` are the ends of its
    interval, and `p` is two-sided.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float


def bootstrap_ci(
    values: FloatArray,
    statistic: Statistic = np.mean,
    seed: int = 0,
    samples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """The percentile bootstrap interval (Efron, 1979) of `statistic` over `values` (n,).

    Queries are drawn with replacement `samples` times. The ends are drawn values, rounded
    outwards and never interpolated, so infinite values (the rank of a miss) are allowed.
    scipy's version interpolates (NaN between two infinities) and rejects a single query.
    Raises SgmnError for no values, NaN, fewer than 1 sample, and a level outside 0..1.

    >>> bootstrap_ci(np.ones(5))
    (1.0, 1.0)
    >>> bootstrap_ci(np.array([0.0, 1.0] * 50), seed=1)
    (0.4, 0.6)
    """
    _validate(values, samples, level)
    statistics = np.sort(_resample(values, statistic, np.random.default_rng(seed), samples))
    tail = (1 - level) / 2 * (samples - 1)
    return float(statistics[int(np.floor(tail))]), float(
        statistics[int(np.ceil(samples - 1 - tail))]
    )


def paired_test(
    a: FloatArray, b: FloatArray, seed: int = 0, samples: int = 10_000
) -> PairedTestResult:
    """Test whether two runs differ on the same queries, whose values are `a` and `b` (n,).

    The p-value is that of the paired sign-flip permutation test of the mean difference: if the
    runs are equally good, each difference is equally likely to have the other sign. If all
    differences have the same size, as those of hits (0 or 1), the number of positive ones is
    binomial and p is exact: this is the exact McNemar test. Otherwise signs are drawn `samples`
    times and p = (1 + as extreme) / (1 + samples) (Phipson and Smyth, 2010). The interval is
    that of the paired bootstrap, at 95 %.

    >>> test = paired_test(np.zeros(6), np.ones(6))
    >>> test.difference, test.p  # 2 / 2**6
    (1.0, 0.03125)
    """
    if a.shape != b.shape:
        raise SgmnError(
            f"the runs have {a.size} and {b.size} queries", "paired test", "pass the same queries"
        )
    differences = b - a
    low, high = bootstrap_ci(differences, np.mean, seed)
    return PairedTestResult(
        a=float(a.mean()),
        b=float(b.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        p=_sign_flip_p(differences[differences != 0], seed, samples),
    )


def _resample(
    values: FloatArray, statistic: Statistic, rng: np.random.Generator, samples: int
) -> FloatArray:
    """(samples,) of the statistic, each over n values drawn with replacement."""
    n = len(values)
    step = max(1, MAX_BLOCK_VALUES // n)
    counts = [min(step, samples - done) for done in range(0, samples, step)]
    blocks = [
        statistic(values[rng.integers(0, n, size=(count, n), dtype=np.int32)], axis=-1)
        for count in counts
    ]
    return np.concatenate(blocks)


def _sign_flip_p(differences: FloatArray, seed: int, samples: int) -> float:
    """The two-sided p-value of the sum of the differences (m,), none of which is zero."""
    sizes = np.abs(differences)
    if not differences.size:
        return 1.0
    if np.allclose(sizes, sizes[0], rtol=1e-9, atol=0):
        from scipy.stats import binomtest  # takes half a second to import

        return float(binomtest(int((differences > 0).sum()), differences.size, 0.5).pvalue)
    # Rounding must not make an equal sum smaller than the observed one.
    observed = abs(differences.sum()) * (1 - 1e-9)
    sums = _random_sign_sums(sizes, np.random.default_rng(seed), samples)
    return float((1 + (np.abs(sums) >= observed).sum()) / (1 + samples))


def _random_sign_sums(sizes: FloatArray, rng: np.random.Generator, samples: int) -> FloatArray:
    """(samples,) sums of `sizes` (m,) with random signs."""
    m = len(sizes)
    step = max(1, MAX_BLOCK_VALUES // m)
    counts = [min(step, samples - done) for done in range(0, samples, step)]
    flips = (rng.integers(0, 2, size=(count, m), dtype=np.int8) for count in counts)
    sums: FloatArray = np.concatenate([2.0 * (flip @ sizes) for flip in flips]) - sizes.sum()
    return sums


def _validate(values: FloatArray, samples: int, level: float) -> None:
    if values.ndim != 1 or not values.size:
        raise SgmnError(f"values have shape {values.shape}", "bootstrap", "pass at least one")
    if np.isnan(values).any():
        raise SgmnError("a value is NaN", "bootstrap", "pass a number for every query")
    if samples < 1 or not 0 < level < 1:
        raise SgmnError(
            f"samples {samples} and level {level} define no interval",
            "bootstrap",
            "pass 1 sample or more and a level between 0 and 1, such as 0.95",
        )
