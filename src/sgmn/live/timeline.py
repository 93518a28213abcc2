"""Scores over time to a timeline: pure functions of (times, scores).

A salesperson dwells on a product, so the timeline is decoded with a cost for switching,
and between products nothing may be on sale. States are the shelf's products, then nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SgmnError
from sgmn.live.decoder import LogProbs, smoothed, updated, viterbi
from sgmn.live.evidence import Scores, TimelineSettings, check, evidence
from sgmn.records import Segment


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What is likely on sale at `time_s`; `product_id` None means nothing.

    `confidence` is its probability, `runner_up` the next likely product, `probabilities`
    (S + 1,) those of all products and, last, of nothing.
    """

    time_s: float
    product_id: str | None
    confidence: float
    runner_up: str | None
    probabilities: NDArray[np.float64]


class OnlineDecoder:
    """The timeline as it happens: each window's scores update the belief (forward filter).

    It knows the past only; `segments` over the same windows also weighs what came after.
    A decoder belongs to one shelf: start another when the shelf changes or after a long
    interruption.
    """

    def __init__(
        self, product_ids: Sequence[str], settings: TimelineSettings | None = None
    ) -> None:
        self._products = tuple(product_ids)
        self._settings = settings or TimelineSettings()
        self._time_s = -inf
        self._logs: LogProbs | None = None

    def push(self, time_s: float, scores: Scores) -> Belief:
        """Weigh one window: `scores` (S,) are logits at `time_s`, later than the one before.

        Raises SgmnError for a time that does not advance and for scores as in `segments`.
        """
        rows = np.asarray(scores, dtype=np.float64)[np.newaxis]
        check(np.array([time_s]), rows, self._products)
        if time_s <= self._time_s:
            raise SgmnError(
                f"{time_s} s comes after {self._time_s} s", "timeline", "push windows in order"
            )
        row = evidence(rows, self._settings)[0]
        self._time_s = time_s
        self._logs = updated(self._logs, row, self._settings.switch_cost)
        chances = np.exp(self._logs)
        state = int(chances.argmax())
        return Belief(
            time_s=time_s,
            product_id=_name(state, self._products),
            confidence=min(1.0, float(chances[state])),
            runner_up=runner_up(state, chances, self._products),
            probabilities=chances,
        )


def segments(
    times: Sequence[float] | NDArray[np.floating[Any]],
    scores: Scores,
    product_ids: Sequence[str],
    settings: TimelineSettings | None = None,
    span_s: tuple[float, float] | None = None,
) -> tuple[Segment, ...]:
    """Decode a finished stream: segments in order, each starting where the last one ends.

    `times` (W,) are the moments that the windows speak for, seconds, increasing; `scores`
    (W, S) are logits, that is scores times the model's learned temperature. A moment counts
    up to half-way to its neighbours, the first and last up to the ends of `span_s`, which
    are half a hop beyond the outer moments unless given. No windows give no segments.

    The states are the exact best path; `confidence` is the probability that a moment of the
    segment has its state, given the whole stream: the mean over its windows. `runner_up` is
    the other product with the best evidence of all its windows together.
    Raises SgmnError for shapes that do not fit, scores that are not finite, times that do
    not increase, and a span that leaves a moment out.
    """
    chosen = settings or TimelineSettings()
    moments = np.asarray(times, dtype=np.float64)
    rows = np.asarray(scores, dtype=np.float64)
    check(moments, rows, product_ids)
    if not moments.size:
        return ()
    edges = _edges(moments, chosen.hop_s, span_s)
    logs = evidence(rows, chosen)
    path = _without_short(viterbi(logs, chosen.switch_cost), logs, edges, chosen.min_segment_s)
    chances = np.exp(smoothed(logs, chosen.switch_cost))
    return tuple(
        _segment(
            int(path[first]),
            edges[[first, last]],
            logs[first:last].sum(axis=0),
            float(chances[first:last, path[first]].mean()),
            product_ids,
        )
        for first, last in _runs(path)
    )


def _edges(
    moments: NDArray[np.float64], hop_s: float, span_s: tuple[float, float] | None
) -> NDArray[np.float64]:
    """(W + 1,) of the seconds between which each moment counts."""
    start, end = span_s or (max(0.0, moments[0] - hop_s / 2), moments[-1] + hop_s / 2)
    if not 0 <= start <= moments[0] <= moments[-1] <= end < inf:
        raise SgmnError(
            f"the span from {start} to {end} s leaves out {moments[0]} or {moments[-1]} s",
            where="timeline",
            remedy="give the stream's whole span, from 0 s or later",
        )
    return np.concatenate([[start], (moments[1:] + moments[:-1]) / 2, [end]])


def _runs(path: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First and one past the last step of each run of one state."""
    turns = np.flatnonzero(np.diff(path)) + 1
    ends = [0, *(int(t) for t in turns), len(path)]
    return list(pairwise(ends))


def _without_short(
    path: NDArray[np.int64], logs: LogProbs, edges: NDArray[np.float64], min_segment_s: float
) -> NDArray[np.int64]:
    """The path with each run below `min_segment_s` given to a neighbour, shortest first."""
    path = path.copy()
    while len(runs := _runs(path)) > 1:
        lengths = [edges[last] - edges[first] for first, last in runs]
        shortest = int(np.argmin(lengths))
        if lengths[shortest] >= min_segment_s:
            break
        first, last = runs[shortest]
        neighbours = [path[i] for i in (first - 1, last) if 0 <= i < len(path)]
        path[first:last] = max(neighbours, key=lambda state: logs[first:last, state].sum())
    return path


def _segment(
    state: int, ends: NDArray[np.float64], logs: LogProbs, sure: float, products: Sequence[str]
) -> Segment:
    return Segment(
        start=float(ends[0]),
        end=float(ends[1]),
        product_id=_name(state, products),
        confidence=min(1.0, sure),
        runner_up=runner_up(state, logs, products),
    )


def _name(state: int, products: Sequence[str]) -> str | None:
    return products[state] if state < len(products) else None


def runner_up(state: int, likely: NDArray[np.float64], products: Sequence[str]) -> str | None:
    """The likeliest product other than `state`; None if there is no other."""
    others = [i for i in np.argsort(-likely[: len(products)], kind="stable")[:2] if i != state]
    return products[others[0]] if others else None
