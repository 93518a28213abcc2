"""The report of one run: the rank of every query, and the tables computed from them.

A report stores its queries, so that two reports can be compared query by query, and a table can
be recomputed from the file alone.
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
from sgmn.evaluation.breakdown import MAX_GROUPS, group_by_attributes
from sgmn.evaluation.ranking import TOP_K, RankedClip
from sgmn.evaluation.significance import FloatArray, Statistic, bootstrap_ci
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
class ReportRow:
    """The figures of one group of queries; `recall` maps k to R@k, shares are 0..1."""

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
    """The ranks of all queries of a run.

    `seed` is that of the intervals, and `ks` are the depths of R@k. `meta` is JSON that describes
    the run, such as the fingerprint of the checkpoint, the dataset and the name of the gallery.
    `max_groups` limits the rows of one attribute. Raises SgmnError for no queries, and for a clip
    that is there twice.
    """

    queries: tuple[RankedClip, ...]
    seed: int = 0
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)
    ks: tuple[int, ...] = (1, 3, 5, 10)
    grounding: Mapping[str, Any] | None = field(default=None, hash=False)
    max_groups: int = MAX_GROUPS

    def __post_init__(self) -> None:
        if not self.queries:
            raise SgmnError("has no queries", "report", "rank at least one clip")
        [(clip_id, count)] = Counter(q.clip_id for q in self.queries).most_common(1)
        if count > 1:
            raise SgmnError(f"has clip {clip_id!r} {count} times", "report", "rank each clip once")

    @cached_property
    def overall(self) -> ReportRow:
        """All queries in one row."""
        return compute_row(self.queries, OVERALL, "", self.ks, self.seed)

    @cached_property
    def breakdown(self) -> tuple[ReportRow, ...]:
        """One row for each value of each attribute; every query is in one row of each."""
        return tuple(
            compute_row(
                [self.queries[i] for i in g.members], g.attribute, g.value, self.ks, self.seed
            )
            for g in group_by_attributes([q.attributes for q in self.queries], self.max_groups)
        )

    @property
    def gallery(self) -> dict[str, Any]:
        """The name of what was searched, and the numbers of its items and shelves."""
        shelves = {q.shop_id: q.shelf_size for q in self.queries}
        name = str(self.meta.get("gallery", "index"))
        return {"name": name, "items": sum(shelves.values()), "shelves": len(shelves)}

    @property
    def caption(self) -> str:
        """What the tables show, and in which gallery."""
        gallery = self.gallery
        shelves = f"{gallery['shelves']:,} {'shelf' if gallery['shelves'] == 1 else 'shelves'}"
        size = f"{gallery['items']:,} items on {shelves}"
        return f"Gallery {gallery['name']}: {size}. {CAPTION}"

    def table(self) -> Table:
        """The report as a table for the terminal, with the intervals below the values."""
        rows = [_cells(row, "{}\n{}–{}") for row in (self.overall, *self.breakdown)]
        return terminal_table("Retrieval", _header(self.ks), rows, self.caption)

    def markdown(self) -> str:
        """The report as a Markdown table, with the intervals in parentheses."""
        rows = [_cells(row, "{} ({}–{})") for row in (self.overall, *self.breakdown)]
        return markdown_table(_header(self.ks), rows, self.caption)

    def to_json(self) -> str:
        """The report as JSON, for `from_json`. An infinite rank is null."""
        content = {
            "version": VERSION,
            "seed": self.seed,
            "ks": self.ks,
            "max_groups": self.max_groups,
            "meta": dict(self.meta),
            "gallery": self.gallery,
            "overall": _to_json_types(self.overall),
            "breakdown": [_to_json_types(row) for row in self.breakdown],
            "queries": [
                {f.name: getattr(q, f.name) for f in fields(q)} | {"attributes": dict(q.attributes)}
                for q in self.queries
            ],
        }
        if self.grounding is not None:
            content["grounding"] = dict(self.grounding)
        try:
            return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
        except (TypeError, ValueError) as error:
            raise SgmnError(
                f"cannot be written as JSON ({error})",
                "report",
                "use only JSON types in meta and attributes",
            ) from error

    @classmethod
    def from_json(cls, text: str, where: object = "report") -> Report:
        """Read the JSON of `to_json`; errors name it as `where`.

        The figures are recomputed from the queries. Raises SgmnError for other formats and
        versions, and if the stored overall figures do not match the stored queries.
        """
        try:
            content = json.loads(text)
            version = content["version"]
            report = cls(
                queries=tuple(_parse_query(q) for q in content["queries"]),
                seed=content["seed"],
                meta=content["meta"],
                ks=tuple(content["ks"]),
                grounding=content.get("grounding"),
                max_groups=content.get("max_groups", MAX_GROUPS),
            )
            stored = (content["overall"]["count"], content["overall"]["mrr"]["value"])
        except (KeyError, TypeError, ValueError) as error:
            raise SgmnError(
                f"is not a report about clips ({type(error).__name__}: {error})",
                where,
                "pass a clip report written by `sgmn evaluate --json`",
            ) from error
        if version != VERSION:
            raise SgmnError(
                f"has version {version!r}", where, f"pass a report of version {VERSION}"
            )
        _require_same_figures(stored, report.queries, where)
        return report


def compute_row(
    queries: Sequence[RankedClip], attribute: str, value: str, ks: Sequence[int], seed: int
) -> ReportRow:
    """Compute one row of a report; all `queries` count."""
    ranks = [q.rank for q in queries]
    ndcgs = metrics.ndcgs_at([q.best for q in queries], [q.truths for q in queries], TOP_K)
    return ReportRow(
        attribute=attribute,
        value=value,
        count=len(queries),
        misses=ranks.count(None),
        shelf_size=sum(q.shelf_size for q in queries) / len(queries),
        recall={k: _estimate(metrics.hits_at(ranks, k), np.mean, seed) for k in ks},
        mrr=_estimate(metrics.reciprocal_ranks(ranks), np.mean, seed),
        ndcg=_estimate(ndcgs, np.mean, seed),
        median_rank=_estimate(metrics.ranks_to_array(ranks), np.median, seed),
    )


def _estimate(values: FloatArray, statistic: Statistic, seed: int) -> Estimate:
    return Estimate(float(statistic(values, axis=-1)), *bootstrap_ci(values, statistic, seed))


def _parse_query(values: Mapping[str, Any]) -> RankedClip:
    tuples = {name: tuple(values[name]) for name in ("best", "scores", "truths")}
    return RankedClip(**{**values, **tuples})


def _require_same_figures(
    stored: tuple[int, float], queries: Sequence[RankedClip], where: object
) -> None:
    computed = (len(queries), metrics.mrr([q.rank for q in queries]))
    if stored[0] != computed[0] or not isclose(stored[1], computed[1], abs_tol=1e-9):
        raise SgmnError(
            f"states {stored[0]} queries with MRR {stored[1]}, but has {computed[0]} "
            f"with {computed[1]}",
            where,
            "evaluate again: the file was edited",
        )


def _to_json_types(row: ReportRow) -> dict[str, Any]:
    """A row as JSON types, with null for infinity."""
    values: dict[str, Any] = asdict(row)
    estimate = values["median_rank"]
    values["median_rank"] = {name: v if isfinite(v) else None for name, v in estimate.items()}
    return values


CAPTION = (
    f"R@k and NDCG@{TOP_K} in %, median of the ranks, with 95 % bootstrap intervals over queries. "
    "Misses count in every column."
)


def _header(ks: Sequence[int]) -> list[str]:
    recalls = [f"R@{k}" for k in ks]
    return ["queries", "n", *recalls, "MRR", f"NDCG@{TOP_K}", "median", "misses", "shelf"]


def _cells(row: ReportRow, layout: str) -> list[str]:
    name = f"{row.attribute}: {row.value}" if row.value else row.attribute
    return [
        name,
        str(row.count),
        *(_format_estimate(r, layout, 100, 1) for r in row.recall.values()),
        _format_estimate(row.mrr, layout, 1, 3),
        _format_estimate(row.ndcg, layout, 100, 1),
        _format_estimate(row.median_rank, layout, 1, None),
        str(row.misses),
        f"{row.shelf_size:.0f}",
    ]


def _format_estimate(estimate: Estimate, layout: str, scale: float, digits: int | None) -> str:
    """The value and its interval; `digits` None shows as many digits as needed."""
    spec = "g" if digits is None else f".{digits}f"
    value, low, high = (
        f"{part * scale:{spec}}" if isfinite(part) else "∞"
        for part in (estimate.value, estimate.low, estimate.high)
    )
    return layout.format(value, low, high)
