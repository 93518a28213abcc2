"""Timeline metrics: what was said to be on sale against what was, over time.

A timeline is a sequence of segments that do not overlap, in any order. A product of None
means that nothing is on sale; time that a found timeline does not cover counts as nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sgmn.errors import SgmnError
from sgmn.records import Segment

Timeline = Sequence[Segment]
SLACK_S = 1e-6  # an overlap up to this is rounding
UNCOVERED = -1
ON_SALE_NOTHING = 0


@dataclass(frozen=True, slots=True)
class Agreement:
    """`agreed_s` of `total_s` seconds were right."""

    agreed_s: float
    total_s: float

    @property
    def accuracy(self) -> float:
        """The share of the time that was right, 0..1."""
        return self.agreed_s / self.total_s


@dataclass(frozen=True, slots=True)
class SegmentScore:
    """`matched` pairs among `truths` true and `found` found product segments."""

    matched: int
    truths: int
    found: int

    @property
    def precision(self) -> float:
        """The share of the found segments that are matched; 1 if there are none at all."""
        return self.matched / self.found if self.found else float(not self.truths)

    @property
    def recall(self) -> float:
        """The share of the true segments that are matched; 1 if there are none at all."""
        return self.matched / self.truths if self.truths else float(not self.found)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 2·matched / (truths + found)."""
        total = self.truths + self.found
        return 2 * self.matched / total if total else 1.0


@dataclass(frozen=True, slots=True)
class Delay:
    """Seconds until each detected product was named; `missed` were never named."""

    delays_s: tuple[float, ...]
    missed: int

    @property
    def mean_s(self) -> float | None:
        """The mean over the detected segments; None when none was."""
        return sum(self.delays_s) / len(self.delays_s) if self.delays_s else None


def agreement(truth: Timeline, found: Timeline, duration_s: float | None = None) -> Agreement:
    """Seconds in which `found` says what `truth` says, exact by sweeping over all edges.

    Without `duration_s` only the time that the truth covers is judged. With it, all time
    from 0 to there (or to the truth's end, if later) is, and what the truth leaves out is
    nothing on sale. Raises SgmnError for overlapping segments and for no time to judge.
    """
    codes = {p: i for i, p in enumerate(_products(truth, found), start=ON_SALE_NOTHING + 1)}
    edges = np.unique([0.0, duration_s or 0.0, *(e for s in truth for e in (s.start, s.end))])
    edges = np.union1d(edges, [e for s in found for e in (s.start, s.end)])
    middles, lengths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    true = _states(truth, middles, codes, "the true timeline")
    said = _states(found, middles, codes, "the found timeline")
    said[said == UNCOVERED] = ON_SALE_NOTHING
    if duration_s is not None:
        true[(true == UNCOVERED) & (middles < duration_s)] = ON_SALE_NOTHING
    total = float(lengths[true != UNCOVERED].sum())
    if total <= 0:
        raise SgmnError("covers no time", "the true timeline", "give segments or a duration")
    return Agreement(float(lengths[true == said].sum()), total)


def time_weighted_accuracy(
    truth: Timeline, found: Timeline, duration_s: float | None = None
) -> float:
    """The share of the judged time in which `found` equals `truth`, 0..1; see `agreement`.

    >>> truth = [Segment(0, 6, "a"), Segment(6, 10, None)]
    >>> time_weighted_accuracy(truth, [Segment(1, 7, "a")])
    0.8
    """
    return agreement(truth, found, duration_s).accuracy


def segment_f1(truth: Timeline, found: Timeline, iou: float = 0.5) -> SegmentScore:
    """Match true and found product segments one to one; nothing-segments do not count.

    A pair may match when product is equal and intersection over union is at least `iou`
    (0..1, not 0). The matching is the largest there is.

    >>> segment_f1([Segment(0, 10, "a")], [Segment(0, 6, "a"), Segment(6, 10, "a")]).f1
    0.6666666666666666
    """
    if not 0 < iou <= 1:
        raise SgmnError(f"iou is {iou}", "segment F1", "give a share above 0, such as 0.5")
    true, said = _on_sale(truth), _on_sale(found)
    fits = np.array([[_iou(t, f) >= iou for f in said] for t in true], dtype=np.float64)
    fits = fits.reshape(len(true), len(said))  # an empty side loses its axis
    pairs = linear_sum_assignment(fits, maximize=True)
    return SegmentScore(int(fits[pairs].sum()), len(true), len(said))


def mean_delay(truth: Timeline, found: Timeline) -> Delay:
    """How long after its start each true product segment is first named within itself.

    A product that was already being named when its segment starts has a delay of 0; a
    segment in which it is never named is missed and kept apart from the mean.

    >>> mean_delay([Segment(0, 9, "a"), Segment(9, 12, "b")], [Segment(2, 12, "a")])
    Delay(delays_s=(2.0,), missed=1)
    """
    firsts = [_first_named(segment, found) for segment in _on_sale(truth)]
    return Delay(tuple(f for f in firsts if f is not None), firsts.count(None))


def _first_named(true: Segment, found: Timeline) -> float | None:
    named = (s for s in found if s.product_id == true.product_id and _shared_s(s, true) > 0)
    return min((float(max(s.start - true.start, 0.0)) for s in named), default=None)


def _on_sale(timeline: Timeline) -> list[Segment]:
    return [s for s in timeline if s.product_id is not None]


def _products(*timelines: Timeline) -> list[str]:
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
    """(n,) of what the timeline says at each time: a code, nothing, or not covered."""
    spans = sorted((s for s in timeline if s.end > s.start), key=lambda s: s.start)
    for before, after in pairwise(spans):
        if after.start < before.end - SLACK_S:
            raise SgmnError(
                f"{before.product_id!r} until {before.end} s and {after.product_id!r} from "
                f"{after.start} s overlap",
                where=name,
                remedy="let each segment start where the one before ends",
            )
    if not spans:
        return np.full(times.shape, UNCOVERED)
    said = np.array([ON_SALE_NOTHING if (p := s.product_id) is None else codes[p] for s in spans])
    last = np.searchsorted([s.start for s in spans], times, side="right") - 1
    covered = (last >= 0) & (times < np.array([s.end for s in spans])[last])
    return np.where(covered, said[last], UNCOVERED)
