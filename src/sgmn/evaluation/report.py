"""The report of one run: every query's rank, and the tables that follow from them.

A report keeps what it was computed from, so that two reports can be compared query by
query and a table can be made again, years later, from the file alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from math import isclose, isfinite
from typing import Any

import numpy as np
from rich.table import Table

from sgmn.errors import SgmnError
from sgmn.evaluation import metrics
from sgmn.evaluation.breakdown import groups
from sgmn.evaluation.ranking import KEPT, Ranked
from sgmn.evaluation.significance import Statistic, Values, bootstrap_ci
from sgmn.evaluation.tables import markdown_table, terminal_table

VERSION = 1
OVERALL = "all"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """What one group of queries scored; `recall` maps k to R@k, shares are 0..1."""

    attribute: str
    value: str
    count: int
    misses: int
    shelf_size: float
    recall: Mapping[int, Estimate]
    mrr: Estimate
    ndcg: Estimate
    median_rank: Estimate


@dataclass(frozen=True)
class Report:
    """Ranks of all queries of a run, with the seed of the intervals and free `meta`.

    `meta` is JSON: the checkpoint's fingerprint, the dataset and its gallery, the command.
    `ks` are the depths of R@k. Raises SgmnError for no queries or one given twice.
    """

    queries: tuple[Ranked, ...]
    seed: int = 0
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)
    ks: tuple[int, ...] = (1, 3, 5, 10)

    def __post_init__(self) -> None:
        if not self.queries:
            raise SgmnError("has no queries", "report", "rank at least one clip")
        [(clip_id, times)] = Counter(q.clip_id for q in self.queries).most_common(1)
        if times > 1:
            raise SgmnError(f"has clip {clip_id!r} {times} times", "report", "rank each clip once")

    @cached_property
    def overall(self) -> Row:
        """All queries in one row."""
        return measure(self.queries, OVERALL, "", self.ks, self.seed)

    @cached_property
    def breakdown(self) -> tuple[Row, ...]:
        """One row for each value of each attribute; every query is in one row of each."""
        return tuple(
            measure([self.queries[i] for i in g.members], g.attribute, g.value, self.ks, self.seed)
            for g in groups([q.attributes for q in self.queries])
        )

    def table(self) -> Table:
        """For the terminal: each cell with its interval below."""
        rows = [_cells(row, "{}\n{}–{}") for row in (self.overall, *self.breakdown)]
        return terminal_table("Retrieval", _header(self.ks), rows, CAPTION)

    def markdown(self) -> str:
        """The same table for a document, intervals in brackets."""
        rows = [_cells(row, "{} ({}–{})") for row in (self.overall, *self.breakdown)]
        return markdown_table(_header(self.ks), rows, CAPTION)

    def to_json(self) -> str:
        """The report as JSON; an infinite rank is null. `from_json` reads it back."""
        content = {
            "version": VERSION,
            "seed": self.seed,
            "ks": self.ks,
            "meta": dict(self.meta),
            "overall": _plain(self.overall),
            "breakdown": [_plain(row) for row in self.breakdown],
            "queries": [
                {f.name: getattr(q, f.name) for f in fields(q)} | {"attributes": dict(q.attributes)}
                for q in self.queries
            ],
        }
        try:
            return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
        except (TypeError, ValueError) as fault:
            raise SgmnError(
                f"cannot be written as JSON ({fault})", "report", "keep meta and attributes plain"
            ) from fault

    @classmethod
    def from_json(cls, text: str, where: object = "report") -> Report:
        """Read what `to_json` wrote; `where` names it in errors.

        The tables are computed anew from the queries. Raises SgmnError for other formats and
        versions, and if the stored overall figures are not those of the stored queries.
        """
        try:
            content = json.loads(text)
            version = content["version"]
            report = cls(
                queries=tuple(_ranked(q) for q in content["queries"]),
                seed=content["seed"],
                meta=content["meta"],
                ks=tuple(content["ks"]),
            )
            stored = (content["overall"]["count"], content["overall"]["mrr"]["value"])
        except (KeyError, TypeError, ValueError) as fault:
            raise SgmnError(
                f"is no report ({type(fault).__name__}: {fault})", where, "give a file of `to_json`"
            ) from fault
        if version != VERSION:
            raise SgmnError(f"has version {version!r}", where, f"give version {VERSION}")
        _check_stored(stored, report.queries, where)
        return report


def measure(
    queries: Sequence[Ranked], attribute: str, value: str, ks: Sequence[int], seed: int
) -> Row:
    """One row of a report over `queries`, which are all counted."""
    ranks = [q.rank for q in queries]
    ndcgs = metrics.ndcgs_at([q.best for q in queries], [q.truths for q in queries], KEPT)
    return Row(
        attribute=attribute,
        value=value,
        count=len(queries),
        misses=ranks.count(None),
        shelf_size=sum(q.shelf_size for q in queries) / len(queries),
        recall={k: _estimate(metrics.hits_at(ranks, k), np.mean, seed) for k in ks},
        mrr=_estimate(metrics.reciprocal_ranks(ranks), np.mean, seed),
        ndcg=_estimate(ndcgs, np.mean, seed),
        median_rank=_estimate(metrics.rank_numbers(ranks), np.median, seed),
    )


def _estimate(values: Values, statistic: Statistic, seed: int) -> Estimate:
    return Estimate(float(statistic(values, axis=-1)), *bootstrap_ci(values, statistic, seed))


def _ranked(fields_of: Mapping[str, Any]) -> Ranked:
    listed = {name: tuple(fields_of[name]) for name in ("best", "scores", "truths")}
    return Ranked(**{**fields_of, **listed})


def _check_stored(stored: tuple[int, float], queries: Sequence[Ranked], where: object) -> None:
    found = (len(queries), metrics.mrr([q.rank for q in queries]))
    if stored[0] != found[0] or not isclose(stored[1], found[1], abs_tol=1e-9):
        raise SgmnError(
            f"says {stored[0]} queries with MRR {stored[1]}, but holds {found[0]} with {found[1]}",
            where,
            "evaluate again: the file was changed",
        )


def _plain(row: Row) -> dict[str, Any]:
    """A row as JSON, with null for infinity."""
    plain: dict[str, Any] = asdict(row)
    ends = plain["median_rank"]
    plain["median_rank"] = {name: v if isfinite(v) else None for name, v in ends.items()}
    return plain


CAPTION = (
    f"R@k and NDCG@{KEPT} in %, median of the ranks, with 95 % bootstrap intervals over queries. "
    "Misses count in every column."
)


def _header(ks: Sequence[int]) -> list[str]:
    recalls = [f"R@{k}" for k in ks]
    return ["queries", "n", *recalls, "MRR", f"NDCG@{KEPT}", "median", "misses", "shelf"]


def _cells(row: Row, layout: str) -> list[str]:
    name = f"{row.attribute}: {row.value}" if row.value else row.attribute
    return [
        name,
        str(row.count),
        *(_shown(r, layout, 100, 1) for r in row.recall.values()),
        _shown(row.mrr, layout, 1, 3),
        _shown(row.ndcg, layout, 100, 1),
        _shown(row.median_rank, layout, 1, None),
        str(row.misses),
        f"{row.shelf_size:.0f}",
    ]


def _shown(estimate: Estimate, layout: str, scale: float, digits: int | None) -> str:
    """The value and its interval; `digits` None shows whole and half ranks as they are."""
    form = "g" if digits is None else f".{digits}f"
    value, low, high = (
        f"{part * scale:{form}}" if isfinite(part) else "∞"
        for part in (estimate.value, estimate.low, estimate.high)
    )
    return layout.format(value, low, high)
