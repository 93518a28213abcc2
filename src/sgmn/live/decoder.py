"""Decoding of a hidden-state chain in which every switch costs the same: exact, in O(W·K).

Evidence has shape (W, K): row t holds the log-likelihood of each of the K states at step t, up
to a constant per row. Staying in a state costs nothing. A switch to any other state costs
`switch_cost` nats, so transition probabilities are exp(-cost), scaled to sum to 1. All states
have the same costs, so the scale is one constant per step and changes neither the best path nor
a posterior. With a cost of 0 the steps are independent; an infinite cost allows no switch.
"""

from __future__ import annotations

from math import exp, expm1, inf, log

import numpy as np
from numpy.typing import NDArray

LogProbs = NDArray[np.float64]
Probabilities = NDArray[np.float64]


def viterbi(evidence: LogProbs, switch_cost: float) -> NDArray[np.int64]:
    """Return the states (W,) of the best path (Viterbi, 1967).

    On a tie the path stays in its state, or starts in the first of the tied states.
    """
    # The best predecessor of a state is either that state itself or the best state overall,
    # because all switches cost the same. One comparison per state is enough.
    predecessors = np.empty(evidence.shape, dtype=np.int32)
    states = np.arange(evidence.shape[1], dtype=np.int32)
    totals = np.zeros(evidence.shape[1])
    for step, row in enumerate(evidence):
        best_state = int(totals.argmax())
        switch_total = totals[best_state] - switch_cost
        predecessors[step] = np.where(totals >= switch_total, states, best_state)
        totals = np.maximum(totals, switch_total) + row
    return _trace_back(predecessors, int(totals.argmax()))


def _trace_back(predecessors: NDArray[np.int32], last_state: int) -> NDArray[np.int64]:
    path = np.empty(len(predecessors), dtype=np.int64)
    state = last_state
    for step in range(len(predecessors) - 1, -1, -1):
        path[step] = state
        state = int(predecessors[step, state])
    return path


def filter_forward(
    evidence: LogProbs, switch_cost: float, prior: LogProbs | None = None
) -> LogProbs:
    """Return log-probabilities (W, K) of each state given the steps up to and including its own.

    `prior` (K,) is the belief at the step before the first one; None starts a new chain.
    """
    beliefs = np.empty_like(evidence)
    for step, row in enumerate(evidence):
        beliefs[step] = prior = update_belief(prior, row, switch_cost)
    return beliefs


def smooth(evidence: LogProbs, switch_cost: float, prior: LogProbs | None = None) -> LogProbs:
    """Return log-probabilities (W, K) of each state given all steps (forward-backward).

    `prior` is the same as in `filter_forward`.
    """
    backward = np.zeros_like(evidence)
    for step in range(len(evidence) - 1, 0, -1):  # transition costs are symmetric
        backward[step - 1] = log_normalize(
            _apply_transition(evidence[step] + backward[step], switch_cost)
        )
    return log_normalize(filter_forward(evidence, switch_cost, prior) + backward)


def rank_alternatives(
    evidence: LogProbs, probabilities: Probabilities, state: int, count: int
) -> list[tuple[int, float]]:
    """Return the `count` states with the most evidence, other than `state`, best first.

    Args:
        evidence: (K,) summed log-likelihoods.
        probabilities: (K,) probabilities; each returned state comes with its own.
        state: The state to leave out.
        count: The maximum number of states to return.
    """
    # Ordered by evidence: the most probable other states would be the neighboring segments,
    # which are likely only at the ends of a segment.
    others = [int(i) for i in np.argsort(-evidence, kind="stable") if i != state][:count]
    return [(i, min(1.0, float(probabilities[i]))) for i in others]


def update_belief(belief: LogProbs | None, row: LogProbs, switch_cost: float) -> LogProbs:
    """Return log-probabilities (K,) after one more row of evidence (K,).

    `belief` is None at the first step.
    """
    return log_normalize(row if belief is None else _apply_transition(belief, switch_cost) + row)


def log_normalize(logits: LogProbs) -> LogProbs:
    """Return log-probabilities over the last axis: `logits` minus their log-sum-exp."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_probs: LogProbs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log_probs


def _apply_transition(log_probs: LogProbs, switch_cost: float) -> LogProbs:
    """Return (K,) after a transition: (1 - q)·x + q·sum(x) with q = exp(-switch_cost), in logs.

    This form subtracts nothing, so nothing cancels; x + q·(sum(x) - x) would.
    """
    peak = log_probs.max()
    log_total = peak + np.log(np.exp(log_probs - peak).sum())
    log_stay = log(-expm1(-switch_cost)) if exp(-switch_cost) < 1 else -inf
    moved: LogProbs = np.logaddexp(log_probs + log_stay, log_total - switch_cost)
    return moved
