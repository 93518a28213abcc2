"""Compares two runs on the same queries, overall and per attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from sgmn.errors import SgmnError
from sgmn.evaluation import metrics
from sgmn.evaluation.breakdown import group_by_attributes
from sgmn.evaluation.ranking import RankedClip
from sgmn.evaluation.report import OVERALL, Report
from sgmn.evaluation.significance import PairedTestResult, paired_test
from sgmn.evaluation.tables import markdown_table, terminal_table

Pair = tuple[RankedClip, RankedClip]
HEADER = ["queries", "n", "R@1 a", "R@1 b", "b - a", "p", "MRR a", "MRR b", "b - a", "p"]
CAPTION = (
    "R@1 in %. Differences with 95 % paired bootstrap intervals; p two-sided (R@1: exact "
    "McNemar, MRR: sign flips), for each row alone, not corrected for the number of rows."
)


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """Run b against run a in one group of queries: R@1 and mean reciprocal rank, both 0..1."""

    attribute: str
    value: str
    count: int
    recall_1: PairedTestResult
    mrr: PairedTestResult


@dataclass(frozen=True, slots=True)
class Comparison:
    """Run b against run a: overall, then for each value of each attribute."""

    overall: ComparisonRow
    breakdown: tuple[ComparisonRow, ...]

    def table(self) -> Table:
        """The comparison as a table for the terminal."""
        return terminal_table("b against a", HEADER, self._rows("{}\n{} {}"), CAPTION)

    def markdown(self) -> str:
        """The comparison as a Markdown table."""
        return markdown_table(HEADER, self._rows("{} ({} to {})"), CAPTION)

    def as_dict(self) -> dict[str, Any]:
        """The comparison as plain JSON types."""
        return {
            "overall": asdict(self.overall),
            "breakdown": [asdict(row) for row in self.breakdown],
        }

    def _rows(self, layout: str) -> list[list[str]]:
        return [_cells(row, layout) for row in (self.overall, *self.breakdown)]


def compare_reports(a: Report, b: Report, seed: int = 0) -> Comparison:
    """Test run `b` against run `a`, overall and for each attribute of the clips in `a`.

    Raises SgmnError unless both have the same clips, with the same true products and shelves of
    the same size: ranks on other shelves cannot be compared.
    """
    pairs = _pair_clips(a, b)
    rows = tuple(
        _compare_pairs([pairs[i] for i in g.members], g.attribute, g.value, seed)
        for g in group_by_attributes([q.attributes for q in a.queries])
    )
    return Comparison(_compare_pairs(pairs, OVERALL, "", seed), rows)


def _pair_clips(a: Report, b: Report) -> list[Pair]:
    by_id = {q.clip_id: q for q in b.queries}
    only_a = sum(q.clip_id not in by_id for q in a.queries)
    only_b = len(by_id) - (len(a.queries) - only_a)
    if only_a or only_b:
        raise SgmnError(
            f"{only_a} clips are only in the first report and {only_b} only in the second",
            where="comparison",
            remedy="evaluate both runs on the same clips",
        )
    pairs = [(q, by_id[q.clip_id]) for q in a.queries]
    different = sum(_task(p) != _task(q) for p, q in pairs)
    if different:
        raise SgmnError(
            f"{different} of {len(pairs)} clips have other true products or another shelf size",
            where="comparison",
            remedy="evaluate both runs on the same dataset and products",
        )
    return pairs


def _task(query: RankedClip) -> tuple[str, int, frozenset[str]]:
    return query.shop_id, query.shelf_size, frozenset(query.truths)


def _compare_pairs(pairs: Sequence[Pair], attribute: str, value: str, seed: int) -> ComparisonRow:
    first, second = ([pair[side].rank for pair in pairs] for side in (0, 1))
    return ComparisonRow(
        attribute=attribute,
        value=value,
        count=len(pairs),
        recall_1=paired_test(metrics.hits_at(first, 1), metrics.hits_at(second, 1), seed),
        mrr=paired_test(metrics.reciprocal_ranks(first), metrics.reciprocal_ranks(second), seed),
    )


def _cells(row: ComparisonRow, layout: str) -> list[str]:
    name = f"{row.attribute}: {row.value}" if row.value else row.attribute
    recall, mrr = _format_test(row.recall_1, layout, 100, 1), _format_test(row.mrr, layout, 1, 3)
    return [name, str(row.count), *recall, *mrr]


def _format_test(test: PairedTestResult, layout: str, scale: float, digits: int) -> list[str]:
    a, b = (f"{mean * scale:.{digits}f}" for mean in (test.a, test.b))
    difference, low, high = (
        f"{part * scale:+z.{digits}f}" for part in (test.difference, test.low, test.high)
    )
    return [
        a,
        b,
        layout.format(difference, low, high),
        "<0.001" if test.p < 1e-3 else f"{test.p:.3f}",
    ]
