"""Two runs on the same queries: is the second really better, and where?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from sgmn.errors import SgmnError
from sgmn.evaluation import metrics
from sgmn.evaluation.breakdown import groups
from sgmn.evaluation.ranking import Ranked
from sgmn.evaluation.report import OVERALL, Report
from sgmn.evaluation.significance import Paired, paired_test
from sgmn.evaluation.tables import markdown_table, terminal_table

Pair = tuple[Ranked, Ranked]
HEADER = ["queries", "n", "R@1 a", "R@1 b", "b - a", "p", "MRR a", "MRR b", "b - a", "p"]
CAPTION = (
    "R@1 in %. Differences with 95 % paired bootstrap intervals; p two-sided (R@1: exact "
    "McNemar, MRR: sign flips), each row for itself, not corrected for the number of rows."
)


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """Run b against run a in one group: R@1 and mean reciprocal rank, both 0..1."""

    attribute: str
    value: str
    count: int
    recall_1: Paired
    mrr: Paired


@dataclass(frozen=True, slots=True)
class Comparison:
    """Run b against run a: overall, then for each value of each attribute."""

    overall: ComparedRow
    breakdown: tuple[ComparedRow, ...]

    def table(self) -> Table:
        """For the terminal."""
        return terminal_table("b against a", HEADER, self._rows("{}\n{} {}"), CAPTION)

    def markdown(self) -> str:
        """The same for a document."""
        return markdown_table(HEADER, self._rows("{} ({} to {})"), CAPTION)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain JSON types."""
        return {
            "overall": asdict(self.overall),
            "breakdown": [asdict(row) for row in self.breakdown],
        }

    def _rows(self, layout: str) -> list[list[str]]:
        return [_cells(row, layout) for row in (self.overall, *self.breakdown)]


def compare(a: Report, b: Report, seed: int = 0) -> Comparison:
    """Test run `b` against run `a`, overall and for each attribute of a's clips.

    Raises SgmnError, saying for how many clips, unless both hold the same clips with the
    same ground truths on shelves of the same size: ranks on other shelves are other numbers.
    """
    pairs = _paired(a, b)
    rows = tuple(
        _row([pairs[i] for i in g.members], g.attribute, g.value, seed)
        for g in groups([q.attributes for q in a.queries])
    )
    return Comparison(_row(pairs, OVERALL, "", seed), rows)


def _paired(a: Report, b: Report) -> list[Pair]:
    others = {q.clip_id: q for q in b.queries}
    only_a = sum(q.clip_id not in others for q in a.queries)
    only_b = len(others) - (len(a.queries) - only_a)
    if only_a or only_b:
        raise SgmnError(
            f"{only_a} clips are only in the first report and {only_b} only in the second",
            where="comparison",
            remedy="evaluate both runs on the same clips",
        )
    pairs = [(q, others[q.clip_id]) for q in a.queries]
    unlike = sum(_task(p) != _task(q) for p, q in pairs)
    if unlike:
        raise SgmnError(
            f"{unlike} of {len(pairs)} clips have other ground truths or another shelf size",
            where="comparison",
            remedy="evaluate both runs on the same dataset and gallery",
        )
    return pairs


def _task(query: Ranked) -> tuple[str, int, frozenset[str]]:
    return query.shop_id, query.shelf_size, frozenset(query.truths)


def _row(pairs: Sequence[Pair], attribute: str, value: str, seed: int) -> ComparedRow:
    first, second = ([pair[side].rank for pair in pairs] for side in (0, 1))
    return ComparedRow(
        attribute=attribute,
        value=value,
        count=len(pairs),
        recall_1=paired_test(metrics.hits_at(first, 1), metrics.hits_at(second, 1), seed),
        mrr=paired_test(metrics.reciprocal_ranks(first), metrics.reciprocal_ranks(second), seed),
    )


def _cells(row: ComparedRow, layout: str) -> list[str]:
    name = f"{row.attribute}: {row.value}" if row.value else row.attribute
    recall, mrr = _shown(row.recall_1, layout, 100, 1), _shown(row.mrr, layout, 1, 3)
    return [name, str(row.count), *recall, *mrr]


def _shown(test: Paired, layout: str, scale: float, digits: int) -> list[str]:
    a, b = (f"{mean * scale:.{digits}f}" for mean in (test.a, test.b))
    moved, low, high = (
        f"{part * scale:+z.{digits}f}" for part in (test.difference, test.low, test.high)
    )
    return [a, b, layout.format(moved, low, high), "<0.001" if test.p < 1e-3 else f"{test.p:.3f}"]
