from itertools import product
from math import comb, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from sgmn.errors import SgmnError
from sgmn.evaluation.significance import bootstrap_ci, paired_test


def test_the_interval_agrees_with_scipy_and_theory():
    values = np.random.default_rng(3).normal(5, 2, size=400)
    low, high = bootstrap_ci(values, np.mean, seed=1, samples=4000)
    scipy_result = bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=2)
    assert [low, high] == pytest.approx(list(scipy_result.confidence_interval), abs=0.02)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)


def test_the_interval_covers_the_truth_as_often_as_its_level():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        low, high = bootstrap_ci(rng.binomial(1, 0.6, size=100).astype(float), seed=trial)
        covered += low <= 0.6 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_a_higher_level_has_a_wider_interval():
    values = np.random.default_rng(1).random(50)
    narrow, wide = (bootstrap_ci(values, level=level) for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("values", [[0.0] * 7, [1.0], [0.3] * 4, [inf, inf]])
def test_the_interval_of_a_constant_sample_has_no_width(values):
    assert bootstrap_ci(np.array(values), np.median) == (values[0], values[0])


def test_infinite_ranks_never_become_nan():
    low, high = bootstrap_ci(np.array([1.0, 2.0, inf, inf]), np.median)
    assert low == 1.0 and high == inf


def test_the_interval_depends_on_the_seed_and_not_on_the_block_size(monkeypatch):
    values = np.random.default_rng(1).random(30)
    whole = bootstrap_ci(values, seed=4)
    assert whole == bootstrap_ci(values, seed=4)
    assert whole != bootstrap_ci(values, seed=5)
    monkeypatch.setattr("sgmn.evaluation.significance.MAX_BLOCK_VALUES", 70)
    assert bootstrap_ci(values, seed=4) == pytest.approx(whole, abs=0.03)


@pytest.mark.parametrize(
    "values, options",
    [([], {}), ([np.nan, 1], {}), ([1.0], {"samples": 0}), ([1.0], {"level": 1.0})],
)
def test_invalid_samples_are_rejected(values, options):
    with pytest.raises(SgmnError):
        bootstrap_ci(np.array(values, dtype=float), **options)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_hits_are_tested_by_exact_mcnemar(pairs):
    a, b = np.array(pairs, dtype=float).T
    gains, losses = int((b > a).sum()), int((a > b).sum())
    n = gains + losses
    tail = sum(comb(n, i) for i in range(min(gains, losses) + 1)) / 2**n
    assert paired_test(a, b).p == pytest.approx(min(1.0, 2 * tail))


def test_random_sign_flips_agree_with_all_of_them():
    rng = np.random.default_rng(5)
    a, b = rng.random(10), rng.random(10) + 0.25
    d = b - a
    sums = np.array([abs((np.array(signs) * d).sum()) for signs in product((-1, 1), repeat=10)])
    exact = (sums >= abs(d.sum()) - 1e-12).mean()
    assert 0.01 < exact < 0.4
    assert paired_test(a, b, samples=20_000).p == pytest.approx(exact, abs=0.01)


def test_a_clear_gain_and_its_reverse():
    rng = np.random.default_rng(2)
    a = rng.random(200)
    b = np.clip(a + rng.normal(0.1, 0.1, 200), 0, None)
    gain, loss = paired_test(a, b), paired_test(b, a)
    assert gain.p == loss.p < 0.001
    assert gain.difference == pytest.approx((b - a).mean()) == pytest.approx(-loss.difference)
    assert 0 < gain.low < gain.difference < gain.high
    assert (gain.a, gain.b) == (a.mean(), b.mean())


def test_equal_values_have_a_p_of_one():
    values = np.array([0.1, 0.5, 1.0])
    test = paired_test(values, values)
    assert (test.difference, test.low, test.high, test.p) == (0, 0, 0, 1)


def test_false_alarms_are_as_rare_as_their_level():
    rng = np.random.default_rng(8)
    false_alarms = sum(
        paired_test(rng.random(40), rng.random(40), seed=trial, samples=400).p < 0.1
        for trial in range(200)
    )
    assert 0.04 <= false_alarms / 200 <= 0.17


def test_runs_with_different_numbers_of_queries_are_rejected():
    with pytest.raises(SgmnError, match="3 and 4"):
        paired_test(np.zeros(3), np.zeros(4))
