"""Timelines from scores over time, as pure functions of (times, scores).

A salesperson stays with a product for a while, so the timeline is decoded with a cost for
switching. Between products nothing may be on sale. The states are the products of the shelf,
then nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SgmnError
from sgmn.live.decoder import LogProbs, Probabilities, smooth, update_belief, viterbi
from sgmn.live.evidence import Scores, TimelineSettings, check_scores, compute_evidence
from sgmn.live.presence import UNKNOWN, PresenceFilter, compute_presence
from sgmn.live.state_runs import find_runs, merge_short_runs
from sgmn.records import Segment


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """The probabilities of what is on sale at one moment.

    Attributes:
        time_s: Seconds into the stream.
        product_id: The most probable product; None means that nothing is on sale.
        confidence: The probability of `product_id`, 0..1.
        runner_up: The next most probable product.
        probabilities: (S + 1,) probabilities of all products and, last, of nothing.
    """

    time_s: float
    product_id: str | None
    confidence: float
    runner_up: str | None
    probabilities: Probabilities


class OnlineDecoder:
    """The current belief of a running stream, updated with each window (forward filter).

    It uses past windows only; `decode_segments` also uses later ones. A decoder belongs to one
    shelf. Create a new one if the shelf changes or after a long interruption.
    """

    def __init__(
        self, product_ids: Sequence[str], settings: TimelineSettings | None = None
    ) -> None:
        self._product_ids = tuple(product_ids)
        self._settings = settings or TimelineSettings()
        self._presence = PresenceFilter(self._settings)
        self._time_s = -inf
        self._log_probs: LogProbs | None = None

    def push(self, time_s: float, scores: Scores, saliency: float = UNKNOWN) -> Belief:
        """Return the belief after one more window.

        Args:
            time_s: Seconds into the stream, later than those of the previous window.
            scores: (S,) logits of the window.
            saliency: How salient its frames are; nan if that is not known.

        Raises:
            SgmnError: The time does not increase, or the scores are invalid.
        """
        rows = np.asarray(scores, dtype=np.float64)[np.newaxis]
        check_scores(np.array([time_s]), rows, self._product_ids, np.array([saliency]))
        if time_s <= self._time_s:
            raise SgmnError(
                f"{time_s} s comes after {self._time_s} s", "timeline", "push windows in order"
            )
        presence = np.array([self._presence.push(saliency)])
        row = compute_evidence(rows, self._settings, presence)[0]
        self._time_s = time_s
        self._log_probs = update_belief(self._log_probs, row, self._settings.switch_cost)
        probabilities = np.exp(self._log_probs)
        state = int(probabilities.argmax())
        return Belief(
            time_s=time_s,
            product_id=_product_of(state, self._product_ids),
            confidence=min(1.0, float(probabilities[state])),
            runner_up=find_runner_up(state, probabilities, self._product_ids),
            probabilities=probabilities,
        )


def decode_segments(
    times_s: Sequence[float] | NDArray[np.floating[Any]],
    scores: Scores,
    product_ids: Sequence[str],
    settings: TimelineSettings | None = None,
    span_s: tuple[float, float] | None = None,
    saliency: NDArray[np.floating[Any]] | None = None,
) -> tuple[Segment, ...]:
    """Decode a finished stream into segments, each starting where the previous one ends.

    The states are the exact best path. A segment's confidence is the probability that a moment of
    it has its state, given the whole stream: the mean over its windows. Its runner-up is the other
    product with the most evidence over them. Without windows there are no segments.

    Args:
        times_s: (W,) moments that the windows represent, in seconds, increasing.
        scores: (W, S) logits: scores times the logit scale of the model.
        product_ids: The S products.
        settings: Timeline settings; the defaults if None.
        span_s: Start and end of the stream; by default half a hop beyond the outer moments.
        saliency: (W,) how salient the frames of each window are; nan where it is not known.

    Raises:
        SgmnError: Shapes, scores, times, span or saliency are invalid.
    """
    settings = settings or TimelineSettings()
    moments_s, rows = np.asarray(times_s, np.float64), np.asarray(scores, np.float64)
    check_scores(moments_s, rows, product_ids, saliency)
    if not moments_s.size:
        return ()
    edges_s = _find_edges(moments_s, settings.hop_s, span_s)
    log_probs = compute_evidence(rows, settings, compute_presence(saliency, settings))
    best_path = viterbi(log_probs, settings.switch_cost)
    path = merge_short_runs(best_path, log_probs, edges_s, settings.min_segment_s)
    probabilities = np.exp(smooth(log_probs, settings.switch_cost))
    return tuple(_build_segments(path, probabilities, log_probs, edges_s, product_ids))


def _build_segments(
    path: NDArray[np.int64],
    probabilities: Probabilities,
    log_probs: LogProbs,
    edges_s: NDArray[np.float64],
    product_ids: Sequence[str],
) -> Iterator[Segment]:
    """Yield the segments of a path (W,) with the edges (W + 1,) of its windows."""
    for start, stop in find_runs(path):
        state = int(path[start])
        yield Segment(
            start=float(edges_s[start]),
            end=float(edges_s[stop]),
            product_id=_product_of(state, product_ids),
            confidence=min(1.0, float(probabilities[start:stop, state].mean())),
            runner_up=find_runner_up(state, log_probs[start:stop].sum(axis=0), product_ids),
        )


def _find_edges(
    moments_s: NDArray[np.float64], hop_s: float, span_s: tuple[float, float] | None
) -> NDArray[np.float64]:
    """Return the seconds (W + 1,) between which each moment counts.

    A moment counts up to half-way to its neighbors, the outer ones up to the ends of the span.
    """
    start_s, end_s = span_s or (max(0.0, moments_s[0] - hop_s / 2), moments_s[-1] + hop_s / 2)
    if not 0 <= start_s <= moments_s[0] <= moments_s[-1] <= end_s < inf:
        raise SgmnError(
            f"the span from {start_s} to {end_s} s leaves out {moments_s[0]} or {moments_s[-1]} s",
            where="timeline",
            remedy="pass the whole span of the stream, from 0 s or later",
        )
    return np.concatenate([[start_s], (moments_s[1:] + moments_s[:-1]) / 2, [end_s]])


def _product_of(state: int, product_ids: Sequence[str]) -> str | None:
    return product_ids[state] if state < len(product_ids) else None


def find_runner_up(
    state: int, likelihoods: NDArray[np.float64], product_ids: Sequence[str]
) -> str | None:
    """Return the likeliest product other than `state`; None if there is no other product."""
    best_two = np.argsort(-likelihoods[: len(product_ids)], kind="stable")[:2]
    others = [i for i in best_two if i != state]
    return product_ids[others[0]] if others else None
