"""Compares a predicted timeline with the true one.

A timeline is a sequence of segments that do not overlap, in any order. A product of None means
that nothing is on sale. Time that the prediction does not cover counts as nothing on sale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SgmnError
from sgmn.records import Segment

Timeline = Sequence[Segment]
OVERLAP_TOLERANCE_S = 1e-6  # a shorter overlap is due to rounding
NOT_COVERED = -1
NOTHING_ON_SALE = 0


@dataclass(frozen=True, slots=True)
class TimelineAgreement:
    """`agreed_s` of `total_s` seconds are correct."""

    agreed_s: float
    total_s: float

    @property
    def accuracy(self) -> float:
        """The share of the time that is correct, 0..1."""
        return self.agreed_s / self.total_s


@dataclass(frozen=True, slots=True)
class SegmentScore:
    """`matched` pairs among `true_count` true and `predicted_count` predicted segments."""

    matched: int
    true_count: int
    predicted_count: int

    @property
    def precision(self) -> float:
        """The share of the predicted segments that are matched; 1 if there are no segments."""
        count = self.predicted_count
        return self.matched / count if count else float(not self.true_count)

    @property
    def recall(self) -> float:
        """The share of the true segments that are matched; 1 if there are no segments."""
        count = self.true_count
        return self.matched / count if count else float(not self.predicted_count)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 2·matched / (true + predicted)."""
        total = self.true_count + self.predicted_count
        return 2 * self.matched / total if total else 1.0


@dataclass(frozen=True, slots=True)
class DetectionDelay:
    """Seconds until each true segment was detected; `missed` segments never were."""

    delays_s: tuple[float, ...]
    missed: int

    @property
    def mean_s(self) -> float | None:
        """The mean over the detected segments; None if there are none."""
        return sum(self.delays_s) / len(self.delays_s) if self.delays_s else None


def compute_agreement(
    truth: Timeline, prediction: Timeline, duration_s: float | None = None
) -> TimelineAgreement:
    """Seconds in which prediction and truth agree, computed exactly between all segment edges.

    Without `duration_s` only the time that the truth covers counts. With it, all time from 0 to
    `duration_s` (or to the end of the truth, if later) counts, and time that the truth does not
    cover is nothing on sale. Raises SgmnError for overlapping segments, and for no time.
    """
    codes = {p: i for i, p in enumerate(_product_ids(truth, prediction), start=NOTHING_ON_SALE + 1)}
    edges = np.unique([0.0, duration_s or 0.0, *(e for s in truth for e in (s.start, s.end))])
    edges = np.union1d(edges, [e for s in prediction for e in (s.start, s.end)])
    middles, lengths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    true = _states(truth, middles, codes, "the true timeline")
    predicted = _states(prediction, middles, codes, "the predicted timeline")
    predicted[predicted == NOT_COVERED] = NOTHING_ON_SALE
    if duration_s is not None:
        true[(true == NOT_COVERED) & (middles < duration_s)] = NOTHING_ON_SALE
    total = float(lengths[true != NOT_COVERED].sum())
    if total <= 0:
        raise SgmnError("covers no time", "the true timeline", "pass segments or a duration")
    return TimelineAgreement(float(lengths[true == predicted].sum()), total)


def time_weighted_accuracy(
    truth: Timeline, prediction: Timeline, duration_s: float | None = None
) -> float:
    """The share of the time in which prediction and truth agree, 0..1.

    See `compute_agreement` for the arguments and errors.

    >>> truth = [Segment(0, 6, "a"), Segment(6, 10, None)]
    >>> time_weighted_accuracy(truth, [Segment(1, 7, "a")])
    0.8
    """
    return compute_agreement(truth, prediction, duration_s).accuracy


def segment_f1(truth: Timeline, prediction: Timeline, iou: float = 0.5) -> SegmentScore:
    """Match true and predicted product segments one to one, with as many pairs as possible.

    Two segments match if their product is the same and their intersection over union is at least
    `iou`, above 0 and at most 1. Segments with nothing on sale do not count.

    >>> segment_f1([Segment(0, 10, "a")], [Segment(0, 6, "a"), Segment(6, 10, "a")]).f1
    0.6666666666666666
    """
    from scipy.optimize import linear_sum_assignment  # `sgmn watch` starts without it

    if not 0 < iou <= 1:
        raise SgmnError(f"iou is {iou}", "segment F1", "pass a share above 0, such as 0.5")
    true, predicted = _on_sale(truth), _on_sale(prediction)
    matches = np.array([[_iou(t, p) >= iou for p in predicted] for t in true], dtype=np.float64)
    matches = matches.reshape(len(true), len(predicted))  # an empty side would lose its axis
    pairs = linear_sum_assignment(matches, maximize=True)
    return SegmentScore(int(matches[pairs].sum()), len(true), len(predicted))


def compute_delay(truth: Timeline, prediction: Timeline) -> DetectionDelay:
    """The time from the start of each true product segment until the prediction names its product.

    A product that is already named when its segment starts has a delay of 0. A segment in which
    it is never named is missed, and does not count in the mean.

    >>> compute_delay([Segment(0, 9, "a"), Segment(9, 12, "b")], [Segment(2, 12, "a")])
    DetectionDelay(delays_s=(2.0,), missed=1)
    """
    delays = [_detection_delay(segment, prediction) for segment in _on_sale(truth)]
    return DetectionDelay(tuple(d for d in delays if d is not None), delays.count(None))


def _detection_delay(true: Segment, prediction: Timeline) -> float | None:
    detections = (
        s for s in prediction if s.product_id == true.product_id and _shared_s(s, true) > 0
    )
    return min((float(max(s.start - true.start, 0.0)) for s in detections), default=None)


def _on_sale(timeline: Timeline) -> list[Segment]:
    return [s for s in timeline if s.product_id is not None]


def _product_ids(*timelines: Timeline) -> list[str]:
    return sorted({s.product_id for t in timelines for s in t if s.product_id is not None})


def _shared_s(a: Segment, b: Segment) -> float:
    return max(0.0, min(a.end, b.end) - max(a.start, b.start))


def _iou(a: Segment, b: Segment) -> float:
    if a.product_id != b.product_id:
        return 0.0
    shared = _shared_s(a, b)
    union = (a.end - a.start) + (b.end - b.start) - shared
    return shared / union if union > 0 else 0.0


def _states(
    timeline: Timeline, times: NDArray[np.float64], codes: dict[str, int], name: str
) -> NDArray[np.int64]:
    """(n,) the state of the timeline at each time: a product code, nothing, or not covered."""
    segments = sorted((s for s in timeline if s.end > s.start), key=lambda s: s.start)
    for before, after in pairwise(segments):
        if after.start < before.end - OVERLAP_TOLERANCE_S:
            raise SgmnError(
                f"{before.product_id!r} until {before.end} s and {after.product_id!r} from "
                f"{after.start} s overlap",
                where=name,
                remedy="start each segment where the previous one ends",
            )
    if not segments:
        return np.full(times.shape, NOT_COVERED)
    states = np.array(
        [NOTHING_ON_SALE if (p := s.product_id) is None else codes[p] for s in segments]
    )
    last = np.searchsorted([s.start for s in segments], times, side="right") - 1
    covered = (last >= 0) & (times < np.array([s.end for s in segments])[last])
    return np.where(covered, states[last], NOT_COVERED)
