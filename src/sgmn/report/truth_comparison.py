"""Comparison of recognized segments with the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sgmn.records import Segment

MIN_DIFFERENCE_S = 1.0  # shorter differences come from rounding at the edges of segments


@dataclass(frozen=True, slots=True)
class TruthComparison:
    """What the ground truth says about a segment.

    Attributes:
        correct_share: Share of the segment that is correct, 0..1.
        other_products: The other products that were on sale, with their seconds, in order; None
            means nothing on sale.
    """

    correct_share: float
    other_products: tuple[tuple[str | None, float], ...] = ()


def compare_with_truth(segment: Segment, truth: Sequence[Segment]) -> TruthComparison | None:
    """Compare a segment with the ground truth; None if the ground truth covers none of it.

    >>> compare_with_truth(Segment(0, 10, "a"), [Segment(0, 8, "a"), Segment(8, 20, None)])
    TruthComparison(correct_share=0.8, other_products=((None, 2.0),))
    """
    seconds: dict[str | None, float] = {}
    for true_segment in truth:
        start = max(segment.start, true_segment.start)
        overlap_s = float(min(segment.end, true_segment.end) - start)
        if overlap_s > 0:
            product_id = true_segment.product_id
            seconds[product_id] = seconds.get(product_id, 0.0) + overlap_s
    if not seconds:
        return None
    total_s, correct_s = sum(seconds.values()), seconds.pop(segment.product_id, 0.0)
    others = tuple((product, s) for product, s in seconds.items() if s >= MIN_DIFFERENCE_S)
    return TruthComparison(correct_s / total_s, others)


def find_differences(
    timeline: Sequence[Segment], truth: Sequence[Segment]
) -> list[tuple[float, float]]:
    """Return the spans (start, end) in which a timeline differs from the ground truth.

    Time that the ground truth does not cover is ignored. Time that the timeline does not cover
    counts as nothing on sale.

    >>> find_differences([Segment(0, 6, "a")], [Segment(0, 4, "a"), Segment(4, 9, "b")])
    [(4, 6), (6, 9)]
    """
    edges = sorted({edge for s in (*timeline, *truth) for edge in (s.start, s.end)})
    return [
        (start, end)
        for start, end in pairwise(edges)
        if (true_segment := _segment_at(truth, start)) is not None
        and true_segment.product_id != _product_at(timeline, start)
    ]


def _product_at(timeline: Sequence[Segment], time_s: float) -> str | None:
    segment = _segment_at(timeline, time_s)
    return None if segment is None else segment.product_id


def _segment_at(timeline: Sequence[Segment], time_s: float) -> Segment | None:
    return next((s for s in timeline if s.start <= time_s < s.end), None)
