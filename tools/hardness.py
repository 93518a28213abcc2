"""Where a generated world is hard: a table from reports of `sgmn evaluate --json`.

    python tools/hardness.py WORLD/val words=words.json picture=picture.json both=both.json

Prints R@1 of each report over all clips, and over bins of distractors, twins beside, visible
share and scale; then whose the errors are: of the products ranked above a truth at rank 2 to 5,
the share that are its near-twins, and the share that chance would give.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from sgmn.evaluation.metrics import recall_at
from sgmn.evaluation.ranking import Ranked
from sgmn.evaluation.report import Report
from sgmn.evaluation.tables import markdown_table
from sgmn.workflows import evaluation

BINS: dict[str, Sequence[float]] = {
    "distractors": (0, 3, 6, 9, 25),
    "twins_beside": (0, 1, 3, 25),
    "visible_share": (0, 0.4, 0.6, 0.8, 1.01),
    "area": (0, 0.02, 0.05, 0.1, 1.01),
}


def table(reports: Mapping[str, Report]) -> str:
    """R@1 in percent of every report, for each bin."""
    rows = [_row("all", reports, lambda query: True)]
    for name, edges in BINS.items():
        for low, high in pairwise(edges):
            label = f"{name} {low:g} to {high:g}" if high < 25 else f"{name} from {low:g}"
            rows.append(_row(label, reports, lambda q: low <= q.attributes[name] < high))  # noqa: B023
    return markdown_table(["clips", "count", *reports], rows)


def _row(label: str, reports: Mapping[str, Report], holds: Any) -> list[str]:
    chosen = [[q for q in report.queries if holds(q)] for report in reports.values()]
    figures = [f"{100 * recall_at([q.rank for q in own], 1):.1f}" if own else "–" for own in chosen]
    return [label, str(len(chosen[0])), *figures]


def blame(queries: Sequence[Ranked], groups: Mapping[str, str], families: Mapping[str, str]) -> str:
    """Who stands above a truth at rank 2 to 5: its near-twins, its family, others."""
    near = [q for q in queries if q.rank is not None and 2 <= q.rank <= 5]
    above = [(q.truths[0], wrong) for q in near for wrong in q.best[: (q.rank or 1) - 1]]
    if not above:
        return "no truth at rank 2 to 5"
    twins = sum(groups[true] == groups[wrong] for true, wrong in above) / len(above)
    kin = sum(families[true] == families[wrong] for true, wrong in above) / len(above)
    size = {group: list(groups.values()).count(group) for group in set(groups.values())}
    shelf = queries[0].shelf_size
    chance = sum((size[groups[true]] - 1) / (shelf - 1) for true, _ in above) / len(above)
    return (
        f"{len(near)} truths at rank 2 to 5; of the {len(above)} products above them"
        f" {twins:.0%} are near-twins (by chance {chance:.0%}), {kin:.0%} of the family"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("reports", nargs="+", metavar="NAME=REPORT.json")
    options = parser.parse_args()
    pairs = (given.split("=", 1) for given in options.reports)
    reports = {name: evaluation.read_report(Path(path)) for name, path in pairs}
    lines = (options.dataset / "products.jsonl").read_text(encoding="utf-8").splitlines()
    products = [json.loads(line) for line in lines]
    groups = {one["product_id"]: f"{one['shop_id']} {one['group']}" for one in products}
    families = {one["product_id"]: one["family"] for one in products}
    print(table(reports))
    for name, report in reports.items():
        print(f"\n{name}: {blame(report.queries, groups, families)}")
    shelves = [query.shelf_size for query in next(iter(reports.values())).queries]
    print(f"\nchance: R@1 {100 / (sum(shelves) / len(shelves)):.1f}")


if __name__ == "__main__":
    main()
