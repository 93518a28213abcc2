"""What a window's scores say about each state: every product of the shelf, and nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import inf, log, log1p
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from sgmn.errors import SettingsError, SgmnError
from sgmn.live.decoder import LogProbs, normalized

Scores = NDArray[np.floating[Any]]
FLOOR = -1e6  # nats: finite, so that an impossible product stays comparable


@dataclass(frozen=True, slots=True)
class TimelineSettings:
    """How scores become a timeline.

    `switch_cost`, nats, 0 or more: the evidence that it takes to leave a state for another
    one; 0 takes each window for itself, inf allows one state only. The less it is, the less do
    neighbours tell of a moment, and the less sure is every segment. `nothing_threshold`, 0..1
    without 1: how far from chance to certainty the shelf's softmax must rise for a product
    to count as on sale; see `evidence`. 0 means that something is always on sale.
    `temperature`, above 0, divides the logits: above 1 it makes windows less sure, below 1 surer.
    `window_s` and `hop_s` say how far windows overlap. A run shorter than `min_segment_s`
    is given to the neighbour that explains it better.

    The first two defaults are fitted for the built-in model, by `tools/fit_timeline.py`,
    whose logits have their temperature already; what suits another depends on how sure it is.
    """

    switch_cost: float = 4.0
    nothing_threshold: float = 0.1
    window_s: float = 10.0
    hop_s: float = 2.0
    min_segment_s: float = 0.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        holds = {
            "switch_cost": self.switch_cost >= 0,
            "nothing_threshold": 0 <= self.nothing_threshold < 1,
            "window_s": 0 < self.window_s < inf,
            "hop_s": 0 < self.hop_s <= self.window_s,
            "min_segment_s": 0 <= self.min_segment_s < inf,
            "temperature": 0 < self.temperature < inf,
        }
        for field in fields(self):
            if not holds[field.name]:
                raise SettingsError(
                    f"{field.name} is {getattr(self, field.name)}",
                    where="timeline settings",
                    remedy=f"give a number such as {field.default} (and hop_s <= window_s)",
                )


def evidence(scores: Scores, settings: TimelineSettings) -> LogProbs:
    """(W, S + 1) of log-likelihoods from logits (W, S): products, then nothing on sale.

    Nothing is on sale when no product stands out from all others together. With p the
    softmax over the shelf, of logits over the `temperature`, and c the `nothing_threshold`,
    the log-odds of the row's best product against nothing are logit(max p) -
    logit(c + (1 - c)/S). So one window alone names a product only if its p is above
    c + (1 - c)/S, several if their mean log-odds are; a flat row (p = 1/S, chance) means
    nothing. On a shelf of one, which has nothing to stand out from, that product is always
    on sale.

    Neighbouring windows share most of their frames and are not independent witnesses, so
    each weighs hop_s / window_s.
    """
    with np.errstate(over="ignore"):  # a gap beyond 1e308 is -inf, which the floor catches
        products = normalized(np.asarray(scores, dtype=np.float64) / settings.temperature)
    nothing = _others(products) + _log_odds(settings.nothing_threshold, products.shape[1])
    logs = normalized(np.hstack([products, nothing]))
    return np.maximum(logs, FLOOR) * (settings.hop_s / settings.window_s)


def _others(logs: LogProbs) -> LogProbs:
    """(W, 1) of log(1 - max p): summed, as 1 - max p would cancel; -inf on a shelf of one."""
    rest = logs.copy()
    np.put_along_axis(rest, logs.argmax(axis=1)[:, np.newaxis], -inf, axis=1)
    total: LogProbs = logsumexp(rest, axis=1, keepdims=True)
    return total


def _log_odds(threshold: float, products: int) -> float:
    """Of c + (1 - c)/S; -inf for c = 0, which switches nothing off, and 0 for a lone product."""
    if threshold == 0 or products == 1:
        return -inf if threshold == 0 else 0.0
    share = threshold + (1 - threshold) / products
    return log(share) - log1p(-share)


def check(
    moments: NDArray[np.float64], scores: NDArray[np.float64], products: Sequence[str]
) -> None:
    """Raise SgmnError unless (W,) moments increase and (W, S) scores are finite and fit."""
    if not products or scores.shape != (len(moments), len(products)):
        raise SgmnError(
            f"scores have shape {scores.shape} for {len(moments)} windows and "
            f"{len(products)} products",
            where="timeline",
            remedy="give one score a window and product, and at least one product",
        )
    if not np.isfinite(scores).all():
        window, place = np.argwhere(~np.isfinite(scores))[0]
        raise SgmnError(
            f"the score of {products[place]!r} at {moments[window]} s is {scores[window, place]}",
            where="timeline",
            remedy="give finite logits; leave out a window without frames",
        )
    if not np.isfinite(moments).all() or (np.diff(moments) <= 0).any():
        raise SgmnError("times do not increase", "timeline", "give each window once, in order")
