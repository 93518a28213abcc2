from itertools import pairwise, product
from math import exp, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.live.decoder import filter_forward, rank_alternatives, smooth, viterbi

costs = st.sampled_from([0.0, 0.3, 1.0, 4.0, inf])
small = st.tuples(st.integers(1, 5), st.integers(2, 4), st.integers(0, 10_000))


def drawn(steps, states, seed, scale=2.0):
    return np.random.default_rng(seed).normal(0, scale, (steps, states))


def worth(evidence, path, cost):
    switches = sum(a != b for a, b in pairwise(path))
    seen = sum(evidence[t, s] for t, s in enumerate(path))
    return seen - (cost * switches if switches else 0)


def all_paths(evidence):
    return list(product(range(evidence.shape[1]), repeat=len(evidence)))


@given(small, costs)
@settings(max_examples=60, deadline=None)
def test_viterbi_is_the_best_of_all_paths(size, cost):
    evidence = drawn(*size)
    best = max(all_paths(evidence), key=lambda path: worth(evidence, path, cost))
    assert tuple(viterbi(evidence, cost)) == best


@given(small, costs)
@settings(max_examples=40, deadline=None)
def test_the_filter_is_a_dense_matrix_product(size, cost):
    evidence = drawn(*size)
    states = evidence.shape[1]
    moves = np.full((states, states), exp(-cost))
    np.fill_diagonal(moves, 1.0)
    belief = np.full(states, 1 / states)
    for step, row in enumerate(evidence):
        belief = (belief if step == 0 else moves @ belief) * np.exp(row)
        belief /= belief.sum()
        np.testing.assert_allclose(np.exp(filter_forward(evidence, cost)[step]), belief, atol=1e-9)


@given(small, costs)
@settings(max_examples=40, deadline=None)
def test_the_smoother_weighs_all_paths(size, cost):
    evidence = drawn(*size)
    shares = np.zeros(evidence.shape)
    for path in all_paths(evidence):
        shares[range(len(path)), path] += exp(worth(evidence, path, cost))
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(smooth(evidence, cost)), shares, atol=1e-9)


@pytest.mark.parametrize("cost", [0.0, 1.0, inf])
def test_the_smoother_goes_on_from_a_belief(cost):
    evidence = drawn(9, 4, 3)
    whole, before = smooth(evidence, cost), filter_forward(evidence, cost)[3]
    np.testing.assert_allclose(smooth(evidence[4:], cost, before), whole[4:], atol=1e-9)
    assert smooth(evidence[:0], cost).shape == (0, 4)


def test_rivals_are_of_the_next_best_evidence_and_not_the_likeliest_neighbours():
    evidence, chances = np.array([1.0, 9.0, 5.0, 4.0, 0.0]), np.array([0.3, 0.5, 0.04, 0.1, 0.06])
    assert rank_alternatives(evidence, chances, 1, 2) == [(2, 0.04), (3, 0.1)]
    assert rank_alternatives(evidence[:2], chances[:2], 1, 3) == [(0, 0.3)]


def test_a_constant_on_a_row_changes_nothing():
    evidence = drawn(10, 4, 1)
    moved = evidence + np.arange(10)[:, None] * 50.0
    np.testing.assert_allclose(smooth(moved, 1.0), smooth(evidence, 1.0), atol=1e-9)
    np.testing.assert_allclose(filter_forward(moved, 1.0), filter_forward(evidence, 1.0), atol=1e-9)
    np.testing.assert_array_equal(viterbi(moved, 1.0), viterbi(evidence, 1.0))


@pytest.mark.parametrize("cost", [2.5, 3.5])
def test_a_detour_is_taken_when_it_pays_for_two_switches(cost):
    evidence = np.zeros((9, 3))
    evidence[:, 0] = 1.0
    evidence[3:6, 2] = 3.0  # three steps, each 2 better: worth 6, and the way costs 2·cost
    assert (viterbi(evidence, cost)[3:6] == (2 if cost < 3 else 0)).all()
    assert (viterbi(evidence, cost)[[0, 1, 2, 6, 7, 8]] == 0).all()
