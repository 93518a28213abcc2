"""Runs of equal states, and what becomes of those that are too short."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from sgmn.live import state_runs
from sgmn.live.state_runs import find_runs, merge_short_runs

EDGES_S = np.arange(0.0, 7.0)  # six steps of one second


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(state_runs)
    assert result.failed == 0 < result.attempted


@pytest.mark.parametrize(
    "path, runs",
    [([5], [(0, 1)]), ([5, 5, 5], [(0, 3)]), ([1, 2, 2, 1], [(0, 1), (1, 3), (3, 4)])],
)
def test_find_runs(path: list[int], runs: list[tuple[int, int]]) -> None:
    assert find_runs(np.array(path)) == runs


def test_the_shortest_run_goes_first_to_the_better_neighbor() -> None:
    path = np.array([0, 0, 1, 2, 2, 2])
    log_probs = np.zeros((6, 3))
    log_probs[2, 0], log_probs[2, 2] = 1.0, 3.0
    assert merge_short_runs(path, log_probs, EDGES_S, 2.0).tolist() == [0, 0, 2, 2, 2, 2]
    assert merge_short_runs(path, log_probs, EDGES_S, 1.0).tolist() == path.tolist()
    assert merge_short_runs(path, log_probs, EDGES_S, 3.0).tolist() == [2] * 6
    assert path.tolist() == [0, 0, 1, 2, 2, 2]  # the input does not change


def test_a_fixed_first_run_stays_however_short_it_is() -> None:
    path, log_probs = np.array([0, 1, 1, 2, 2, 2]), np.zeros((6, 3))
    assert merge_short_runs(path, log_probs, EDGES_S, 2.0).tolist() == [1, 1, 1, 2, 2, 2]
    fixed = merge_short_runs(path, log_probs, EDGES_S, 2.0, is_first_fixed=True)
    assert fixed.tolist() == path.tolist()
    log_probs[1:3, 0] = 1.0  # later runs may still be merged into the fixed one
    fixed = merge_short_runs(path, log_probs, EDGES_S, 3.0, is_first_fixed=True)
    assert fixed.tolist() == [0, 0, 0, 2, 2, 2]
