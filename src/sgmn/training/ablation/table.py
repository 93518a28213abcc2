"""The table of an ablation: metrics of each row, and paired tests against its reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sgmn.evaluation.metrics import hits_at, reciprocal_ranks
from sgmn.evaluation.significance import bootstrap_ci, paired_test
from sgmn.evaluation.tables import markdown_table
from sgmn.training.ablation.rows import Row

Values = NDArray[np.float64]
Ranks = dict[str, dict[str, int | None]]  # {dataset: {clip: rank, or None for a miss}}


@dataclass(frozen=True)
class TableRow:
    """The result of a row on one dataset, averaged over the seeds.

    recall (R@1), low, high and the gains are in percent; mrr is 0..1; p is that of the paired test.
    """

    row: str
    dataset: str
    seeds: int
    clips: int
    recall: float
    low: float
    high: float
    mrr: float
    reference: str = ""
    gain: float = nan
    gain_low: float = nan
    gain_high: float = nan
    p: float = nan


def build_table(ranks: Mapping[str, Sequence[Ranks]], rows: Sequence[Row]) -> list[TableRow]:
    """Build a table row for each finished row and each dataset.

    A clip's value is its mean over the seeds; intervals and paired tests are over clips.

    Args:
        ranks: the ranks of each seed, by the name of the row.
        rows: the rows to include, in order.
    """
    return [
        _build_row(row, dataset, ranks)
        for row in rows
        if row.name in ranks
        for dataset in ranks[row.name][0]
    ]


def _build_row(row: Row, dataset: str, ranks: Mapping[str, Sequence[Ranks]]) -> TableRow:
    hits = _mean_over_seeds(ranks[row.name], dataset, first_hits)
    low, high = bootstrap_ci(hits)
    table_row = TableRow(
        row.name,
        dataset,
        len(ranks[row.name]),
        len(hits),
        100 * float(hits.mean()),
        100 * low,
        100 * high,
        float(_mean_over_seeds(ranks[row.name], dataset, reciprocal_ranks).mean()),
    )
    if row.reference not in ranks:
        return table_row
    test = paired_test(_mean_over_seeds(ranks[row.reference], dataset, first_hits), hits)
    return replace(
        table_row,
        reference=row.reference,
        gain=100 * test.difference,
        gain_low=100 * test.low,
        gain_high=100 * test.high,
        p=test.p,
    )


def first_hits(ranks: Sequence[int | None]) -> Values:
    """Return 1 for each clip whose best product is right, otherwise 0: (clips,)."""
    return hits_at(ranks, 1)


def _mean_over_seeds(
    seeds: Sequence[Ranks], dataset: str, measure: Callable[[Sequence[int | None]], Values]
) -> Values:
    """Average a measure of each clip over the seeds: (clips,)."""
    values = [measure(list(ranks[dataset].values())) for ranks in seeds]
    return np.asarray(np.mean(values, axis=0), np.float64)


def write_table(table: Sequence[TableRow], out: Path) -> None:
    """Write a table as OUT/table.json and OUT/table.md."""
    rows = [{k: v for k, v in asdict(row).items() if v == v} for row in table]  # without NaN
    (out / "table.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (out / "table.md").write_text(table_to_markdown(table), encoding="utf-8")


def table_to_markdown(table: Sequence[TableRow]) -> str:
    """Format a table as Markdown, one table for each dataset."""
    header = ["row", "R@1", "MRR", "compared with", "gain in R@1", "p"]
    sections = []
    for dataset in dict.fromkeys(row.dataset for row in table):
        rows = [row for row in table if row.dataset == dataset]
        title = f"{dataset}: {rows[0].clips} clips, {max(row.seeds for row in rows)} seeds"
        sections.append(f"{title}\n\n{markdown_table(header, [_cells(row) for row in rows])}\n")
    return "\n".join(sections)


def _cells(row: TableRow) -> list[str]:
    recall = f"{row.recall:.1f} ({row.low:.1f}–{row.high:.1f})"
    if not row.reference:
        return [row.row, recall, f"{row.mrr:.3f}", "", "", ""]
    gain = f"{row.gain:+.1f} ({row.gain_low:+.1f} to {row.gain_high:+.1f})"
    p = "<0.001" if row.p < 0.001 else f"{row.p:.3f}"
    return [row.row, recall, f"{row.mrr:.3f}", row.reference, gain, p]
