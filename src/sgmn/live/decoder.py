"""Hidden-state decoding where all switches cost the same: exact, in O(W·K) for K states.

Evidence is (W, K): row t holds the log-likelihood of each state at step t, up to a constant
a row. Staying costs nothing, a switch to any one other state costs `switch_cost` nats; the
transition probabilities are exp(-cost), scaled to sum to 1. As every state has the same
costs the scale is one constant a step, which moves neither the best path nor a posterior.
A cost of 0 makes the steps independent, an infinite one allows no switch at all.
"""

from __future__ import annotations

from math import exp, expm1, inf, log

import numpy as np
from numpy.typing import NDArray

LogProbs = NDArray[np.float64]


def viterbi(evidence: LogProbs, switch_cost: float) -> NDArray[np.int64]:
    """(W,) of the states of the best path (Viterbi, 1967); a tie stays, or takes the first.

    The best way into a state is to have been there or to come from the best state of all,
    whichever that is: so one comparison a state is enough.
    """
    came_from = np.empty(evidence.shape, dtype=np.int32)
    states = np.arange(evidence.shape[1], dtype=np.int32)
    total = np.zeros(evidence.shape[1])
    for step, row in enumerate(evidence):
        best = int(total.argmax())
        switched = total[best] - switch_cost
        came_from[step] = np.where(total >= switched, states, best)
        total = np.maximum(total, switched) + row
    return _traced(came_from, int(total.argmax()))


def _traced(came_from: NDArray[np.int32], last: int) -> NDArray[np.int64]:
    path = np.empty(len(came_from), dtype=np.int64)
    for step in range(len(came_from) - 1, -1, -1):
        path[step] = last
        last = int(came_from[step, last])
    return path


def filtered(evidence: LogProbs, switch_cost: float, before: LogProbs | None = None) -> LogProbs:
    """(W, K) of each state's log-probability given the steps up to and including its own.

    `before` (K,) is the belief of the step ahead of the first one; None if there is none.
    """
    beliefs = np.empty_like(evidence)
    for step, row in enumerate(evidence):
        beliefs[step] = before = updated(before, row, switch_cost)
    return beliefs


def smoothed(evidence: LogProbs, switch_cost: float, before: LogProbs | None = None) -> LogProbs:
    """Forward-backward: (W, K) of each state's log-probability given all steps, later ones too.

    `before` as in `filtered`.
    """
    later = np.zeros_like(evidence)
    for step in range(len(evidence) - 1, 0, -1):  # costs are the same both ways
        later[step - 1] = normalized(_passed(evidence[step] + later[step], switch_cost))
    return normalized(filtered(evidence, switch_cost, before) + later)


def rivals(
    evidence: LogProbs, chances: NDArray[np.float64], state: int, count: int
) -> list[tuple[int, float]]:
    """The `count` other states of most evidence (K,), the most first, each with its chance (K,).

    By chance the first would be neighbours in time, which are likely at a segment's ends only.
    """
    others = [int(i) for i in np.argsort(-evidence, kind="stable") if i != state][:count]
    return [(i, min(1.0, float(chances[i]))) for i in others]


def updated(belief: LogProbs | None, row: LogProbs, switch_cost: float) -> LogProbs:
    """(K,) of log-probabilities after one more row (K,); `belief` None is the first step."""
    return normalized(row if belief is None else _passed(belief, switch_cost) + row)


def normalized(logits: LogProbs) -> LogProbs:
    """Log-probabilities over the last axis: `logits` less their log-sum-exp."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: LogProbs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def _passed(logs: LogProbs, switch_cost: float) -> LogProbs:
    """(K,) after a transition: (1 - q)·x + q·sum(x) with q = exp(-switch_cost), in logs.

    Written so, and not as x + q·(sum(x) - x), nothing is subtracted and nothing cancels.
    """
    peak = logs.max()
    everything = peak + np.log(np.exp(logs - peak).sum())
    stay = log(-expm1(-switch_cost)) if exp(-switch_cost) < 1 else -inf
    result: LogProbs = np.logaddexp(logs + stay, everything - switch_cost)
    return result
