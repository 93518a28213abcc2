"""The decoder against sums over all paths."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from math import exp, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.live.decoder import LogProbs, filter_forward, rank_alternatives, smooth, viterbi

costs = st.sampled_from([0.0, 0.3, 1.0, 4.0, inf])
sizes = st.tuples(st.integers(1, 5), st.integers(2, 4), st.integers(0, 10_000))


def random_evidence(steps: int, states: int, seed: int) -> LogProbs:
    return np.random.default_rng(seed).normal(0, 2.0, (steps, states))


def total_of(evidence: LogProbs, path: Sequence[int], cost: float) -> float:
    """Return the log-likelihood of a path, less the cost of its switches."""
    switches = sum(a != b for a, b in pairwise(path))
    total = float(sum(evidence[t, s] for t, s in enumerate(path)))
    return total - (cost * switches if switches else 0)


def all_paths(evidence: LogProbs) -> list[tuple[int, ...]]:
    return list(product(range(evidence.shape[1]), repeat=len(evidence)))


@given(sizes, costs)
@settings(max_examples=60, deadline=None)
def test_viterbi_is_the_best_of_all_paths(size: tuple[int, int, int], cost: float) -> None:
    evidence = random_evidence(*size)
    best = max(all_paths(evidence), key=lambda path: total_of(evidence, path, cost))
    assert tuple(viterbi(evidence, cost)) == best


@given(sizes, costs)
@settings(max_examples=40, deadline=None)
def test_the_filter_equals_a_dense_matrix_product(size: tuple[int, int, int], cost: float) -> None:
    evidence = random_evidence(*size)
    states = evidence.shape[1]
    transitions = np.full((states, states), exp(-cost))
    np.fill_diagonal(transitions, 1.0)
    belief = np.full(states, 1 / states)
    for step, row in enumerate(evidence):
        belief = (belief if step == 0 else transitions @ belief) * np.exp(row)
        belief /= belief.sum()
        np.testing.assert_allclose(np.exp(filter_forward(evidence, cost)[step]), belief, atol=1e-9)


@given(sizes, costs)
@settings(max_examples=40, deadline=None)
def test_the_smoother_sums_over_all_paths(size: tuple[int, int, int], cost: float) -> None:
    evidence = random_evidence(*size)
    probabilities = np.zeros(evidence.shape)
    for path in all_paths(evidence):
        probabilities[range(len(path)), path] += exp(total_of(evidence, path, cost))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(smooth(evidence, cost)), probabilities, atol=1e-9)


@pytest.mark.parametrize("cost", [0.0, 1.0, inf])
def test_the_smoother_continues_from_a_prior(cost: float) -> None:
    evidence = random_evidence(9, 4, 3)
    whole, prior = smooth(evidence, cost), filter_forward(evidence, cost)[3]
    np.testing.assert_allclose(smooth(evidence[4:], cost, prior), whole[4:], atol=1e-9)
    assert smooth(evidence[:0], cost).shape == (0, 4)


def test_alternatives_are_ranked_by_evidence_not_by_probability() -> None:
    evidence, probabilities = (
        np.array([1.0, 9.0, 5.0, 4.0, 0.0]),
        np.array([0.3, 0.5, 0.04, 0.1, 0.06]),
    )
    assert rank_alternatives(evidence, probabilities, 1, 2) == [(2, 0.04), (3, 0.1)]
    assert rank_alternatives(evidence[:2], probabilities[:2], 1, 3) == [(0, 0.3)]


def test_a_constant_per_row_changes_nothing() -> None:
    evidence = random_evidence(10, 4, 1)
    moved = evidence + np.arange(10)[:, None] * 50.0
    np.testing.assert_allclose(smooth(moved, 1.0), smooth(evidence, 1.0), atol=1e-9)
    np.testing.assert_allclose(filter_forward(moved, 1.0), filter_forward(evidence, 1.0), atol=1e-9)
    np.testing.assert_array_equal(viterbi(moved, 1.0), viterbi(evidence, 1.0))


@pytest.mark.parametrize("cost", [2.5, 3.5])
def test_a_detour_is_taken_if_it_pays_for_two_switches(cost: float) -> None:
    evidence = np.zeros((9, 3))
    evidence[:, 0] = 1.0
    evidence[3:6, 2] = 3.0  # three steps, each 2 better: it gains 6 and costs 2·cost
    assert (viterbi(evidence, cost)[3:6] == (2 if cost < 3 else 0)).all()
    assert (viterbi(evidence, cost)[[0, 1, 2, 6, 7, 8]] == 0).all()
