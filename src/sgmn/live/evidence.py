"""The evidence that scores give for each state: every product, and nothing on sale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf, isfinite, log, log1p
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SettingsError, SgmnError
from sgmn.live.decoder import LogProbs, log_normalize
from sgmn.settings import parse_table

if TYPE_CHECKING:
    from sgmn.model.bundle import ModelBundle

Scores = NDArray[np.floating[Any]]
LOG_PROB_FLOOR = -1e6  # nats; finite, so that two impossible products can still be compared


@dataclass(frozen=True, slots=True)
class TimelineSettings:
    """Settings that turn scores into a timeline.

    A checkpoint stores its own settings, see `timeline_settings`. The defaults are a start;
    `sgmn calibrate` fits them to a model.

    Attributes:
        switch_cost: Evidence, in nats (0 or more), that it takes to switch to another state. With
            0 each window is decided by itself; with inf the state never changes. A lower cost
            makes neighboring windows count less, so segments are less confident.
        nothing_threshold: How far the softmax over the shelf must rise from chance (0) towards
            certainty (1, not included) for a product to be on sale; see `compute_evidence`. With
            0 something is always on sale.
        window_s: Length of a window, in seconds.
        hop_s: Distance between windows, in seconds, at most `window_s`.
        min_segment_s: Shorter segments are merged into the neighbor that explains them better.
        temperature: Divides the logits (above 0): above 1 makes windows less confident, below 1
            more confident.
        presence_weight: Nats per unit of saliency (0 or more; 0 ignores it), see
            `presence.PresenceFilter`. It has no effect where something is always on sale.
        saliency_drop: How far the saliency of a window may fall below the usual one before it
            counts against every product; any number, in units of saliency.
        usual_saliency: What is usual at the start of a stream; any number, in the same units.
    """

    switch_cost: float = 4.0
    nothing_threshold: float = 0.1
    window_s: float = 10.0
    hop_s: float = 2.0
    min_segment_s: float = 0.0
    temperature: float = 1.0
    presence_weight: float = 0.0
    saliency_drop: float = 3.0
    usual_saliency: float = 0.0

    def __post_init__(self) -> None:
        is_valid = {
            "switch_cost": self.switch_cost >= 0,
            "nothing_threshold": 0 <= self.nothing_threshold < 1,
            "window_s": 0 < self.window_s < inf,
            "hop_s": 0 < self.hop_s <= self.window_s,
            "min_segment_s": 0 <= self.min_segment_s < inf,
            "temperature": 0 < self.temperature < inf,
            "presence_weight": 0 <= self.presence_weight < inf,
            "saliency_drop": isfinite(self.saliency_drop),
            "usual_saliency": isfinite(self.usual_saliency),
        }
        for field in fields(self):
            if not is_valid[field.name]:
                raise SettingsError(
                    f"{field.name} is {getattr(self, field.name)}",
                    where="timeline settings",
                    remedy=f"pass a number such as {field.default} (and hop_s <= window_s)",
                )


def timeline_settings(
    model: ModelBundle, overrides: Mapping[str, Any] | None = None, where: object = None
) -> TimelineSettings:
    """Read the timeline settings that a model's checkpoint stores, defaults where it stores none.

    Args:
        model: its calibration may have a table "timeline".
        overrides: values that replace those of the model, such as those of a TOML file.
        where: the place of the overrides, for errors.

    Raises:
        SettingsError: an unknown key or an invalid value.
    """
    stored = model.calibration.get("timeline", {})
    parse_table(TimelineSettings, stored, f"{model.name}: calibration of the timeline")
    return parse_table(TimelineSettings, {**stored, **(overrides or {})}, where or model.name)


def compute_evidence(
    scores: Scores, settings: TimelineSettings, presence: Scores | None = None
) -> LogProbs:
    """Return log-likelihoods (W, S + 1) from logits (W, S): the products, then nothing on sale.

    Nothing is on sale if no product stands out from all others. Let p be the softmax over the
    shelf of the logits divided by `temperature`, and c the `nothing_threshold`. Then the log-odds
    of the best product of a row against nothing are logit(max p) - logit(c + (1 - c)/S). So a
    single window names a product only if its p is above c + (1 - c)/S, and several windows only
    if their mean log-odds are. A flat row (p = 1/S, chance) means nothing. On a shelf of one
    product, which has nothing to stand out from, that product is always on sale.

    `presence` (W,), in nats, is added to these log-odds: the evidence of each window that something
    is presented, whatever it is; see `presence.compute_presence`.

    Neighboring windows share most of their frames and are not independent observations, so each
    row is weighted by hop_s / window_s.
    """
    with np.errstate(over="ignore"):  # a gap beyond 1e308 becomes -inf, which the floor replaces
        products = log_normalize(np.asarray(scores, dtype=np.float64) / settings.temperature)
    threshold = _threshold_log_odds(settings.nothing_threshold, products.shape[1])
    nothing = _log_prob_of_others(products) + threshold
    if presence is not None:
        nothing = nothing - np.asarray(presence, dtype=np.float64)[:, np.newaxis]
    log_probs = log_normalize(np.hstack([products, nothing]))
    return np.maximum(log_probs, LOG_PROB_FLOOR) * (settings.hop_s / settings.window_s)


def _log_prob_of_others(log_probs: LogProbs) -> LogProbs:
    """Return log(1 - max p) with shape (W, 1); -inf on a shelf of one product."""
    # A sum over the other products, because 1 - max p would cancel.
    others = log_probs.copy()
    np.put_along_axis(others, log_probs.argmax(axis=1)[:, np.newaxis], -inf, axis=1)
    total: LogProbs = np.logaddexp.reduce(others, axis=1, keepdims=True)
    return total


def _threshold_log_odds(threshold: float, product_count: int) -> float:
    """Return logit(c + (1 - c)/S): -inf for c = 0, which disables nothing, and 0 for S = 1."""
    if threshold == 0 or product_count == 1:
        return -inf if threshold == 0 else 0.0
    probability = threshold + (1 - threshold) / product_count
    return log(probability) - log1p(-probability)


def check_scores(
    times_s: NDArray[np.float64],
    scores: NDArray[np.float64],
    product_ids: Sequence[str],
    saliency: Scores | None = None,
) -> None:
    """Check that times (W,) increase, and that scores (W, S) are finite and match the products.

    The saliency (W,), if any, must be finite, or nan where it is not known.

    Raises:
        SgmnError: One of these does not hold.
    """
    if not product_ids or scores.shape != (len(times_s), len(product_ids)):
        raise SgmnError(
            f"scores have shape {scores.shape} for {len(times_s)} windows and "
            f"{len(product_ids)} products",
            where="timeline",
            remedy="pass one score per window and product, and at least one product",
        )
    if not np.isfinite(scores).all():
        window, column = np.argwhere(~np.isfinite(scores))[0]
        raise SgmnError(
            f"the score of {product_ids[column]!r} at {times_s[window]} s is "
            f"{scores[window, column]}",
            where="timeline",
            remedy="pass finite logits; leave out windows without frames",
        )
    if saliency is not None and (saliency.shape != times_s.shape or np.isinf(saliency).any()):
        raise SgmnError(
            f"saliency has shape {saliency.shape} for {len(times_s)} windows, or is not finite",
            where="timeline",
            remedy="pass one number per window, or nan where it is not known",
        )
    if not np.isfinite(times_s).all() or (np.diff(times_s) <= 0).any():
        raise SgmnError("times do not increase", "timeline", "pass each window once, in order")
