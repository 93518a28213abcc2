"""R@1 against what makes a clip hard, from reports of `sgmn evaluate --json`.

    python tools/curves.py REPORT.json [NAME=OTHER.json ...] --by shelf --plot OUT.svg

Prints R@1 with 95 % bootstrap intervals in buckets of the clips' attributes, and draws one line a
report. By shelf, the truth stays and the others are drawn at random from the clip's shelf: that
R@1 is computed exactly from the ranks. A model with a second look at the best would score a
smaller shelf anew; its curve is that of the ranking it gave on the whole one.
"""

from __future__ import annotations

import argparse
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from hardness import BINS
from numpy.typing import NDArray
from plotting import Axis, Line, figure

from sgmn import outputs
from sgmn.errors import SgmnError
from sgmn.evaluation.breakdown import ABSENT
from sgmn.evaluation.metrics import hits_at
from sgmn.evaluation.ranking import Ranked
from sgmn.evaluation.report import Report
from sgmn.evaluation.robustness import first_on_smaller
from sgmn.evaluation.significance import bootstrap_ci
from sgmn.evaluation.tables import markdown_table
from sgmn.jsonl import is_number
from sgmn.workflows import evaluation

# The attributes that say it, the finest first.
SAYING = {
    "distractors": ("distractors", "products"),
    "visibility": ("visible_share", "visible"),
    "scale": ("area", "scale"),
}
NAMED = {"short": 0, "small": 0, "few": 0, "medium": 1, "long": 2, "large": 2, "abundant": 2}
SIZES = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)

CAPTION = "R@1 in % with 95 % bootstrap intervals over clips."

# For each label the values (n,) in 0..1 whose mean is R@1.
Buckets = Mapping[str, NDArray[np.float64]]


def by_shelf(reports: Mapping[str, Report]) -> dict[str, Buckets]:
    """R@1 of each query on random shelves, its truth among them, of sizes that all shelves have."""
    smallest = min(query.shelf_size for one in reports.values() for query in one.queries)
    sizes = [*(size for size in SIZES if size < smallest), smallest]
    return {
        name: {str(size): _on_smaller(report.queries, size) for size in sizes}
        for name, report in reports.items()
    }


def _on_smaller(queries: Sequence[Ranked], size: int) -> NDArray[np.float64]:
    return np.array([first_on_smaller(q.rank, q.shelf_size, size) for q in queries])


def by_attribute(reports: Mapping[str, Report], name: str) -> dict[str, Buckets]:
    """Hits in each bucket of an attribute; every query is in one."""
    return {title: _hits(report.queries, name) for title, report in reports.items()}


def _hits(queries: Sequence[Ranked], name: str) -> Buckets:
    hits = hits_at([query.rank for query in queries], 1)
    labels = np.array([label(query.attributes.get(name), name) for query in queries])
    return {one: hits[labels == one] for one in sorted(set(labels), key=partial(_order, name))}


def attribute(reports: Mapping[str, Report], wanted: str) -> str:
    """The finest attribute that says what is wanted and that every report has."""
    for name in SAYING[wanted]:
        if all(any(name in q.attributes for q in one.queries) for one in reports.values()):
            return name
    raise SgmnError(
        f"no attribute says {wanted!r} in every report",
        where="reports",
        remedy=f"evaluate clips with one of {', '.join(SAYING[wanted])}",
    )


def label(value: object, name: str) -> str:
    """The bucket of a value: a bin where the attribute has bins, else the value itself."""
    if value is None:
        return ABSENT
    if name not in BINS or not is_number(value):
        return str(value)
    return _bins(name)[bisect_right(BINS[name][1:-1], value)]


def _bins(name: str) -> list[str]:
    """The bins from below; the outer ones take what lies beyond them."""
    edges = BINS[name]
    return [*(f"{low:g} to {high:g}" for low, high in pairwise(edges[:-1])), f"from {edges[-2]:g}"]


def _order(name: str, label: str) -> tuple[bool, float, str]:
    """The place of a bucket: bins and numbers ascend, names by what they mean, none is last."""
    bins = _bins(name) if name in BINS else []
    number = bins.index(label) if label in bins else NAMED.get(label)
    if number is None:
        number = float(label) if label.isdecimal() else 0
    return label == ABSENT, number, label


def line(name: str, found: Buckets, labels: Sequence[str]) -> Line:
    """The curve of a report over the places of all labels, with its intervals."""
    places = [place for place, one in enumerate(labels) if one in found]
    values = [found[labels[place]] for place in places]
    ends = [bootstrap_ci(value) for value in values]
    means = [float(value.mean()) for value in values]
    return Line(name, places, means, [low for low, _ in ends], [high for _, high in ends])


def table(said: str, lines: Sequence[Line], labels: Sequence[str], counts: Sequence[str]) -> str:
    """Every point of every curve as Markdown."""
    cells = [{place: _cell(*rest) for place, *rest in _points(one)} for one in lines]
    rows = [
        [one, counts[place], *(own.get(place, "–") for own in cells)]
        for place, one in enumerate(labels)
    ]
    return markdown_table([said, "clips", *(one.name for one in lines)], rows, CAPTION)


def _points(line: Line) -> list[tuple[float, ...]]:
    return list(zip(line.x, line.y, line.low, line.high, strict=True))


def _cell(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f} ({100 * low:.1f}–{100 * high:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("reports", nargs="+", metavar="[NAME=]REPORT.json")
    parser.add_argument("--by", choices=[*SAYING, "shelf"], required=True)
    parser.add_argument("--plot", type=Path, required=True, help="write the curves here (SVG)")
    given = parser.parse_args()
    outputs.require_writable(given.plot)
    pairs = (one.rpartition("=") for one in given.reports)
    paths = {name or Path(path).stem: Path(path) for name, _, path in pairs}
    if len(paths) < len(given.reports):
        parser.error("two reports have one name: give NAME=REPORT.json")
    reports = {name: evaluation.read_report(path) for name, path in paths.items()}
    if given.by == "shelf":
        said, found = "products on the shelf", by_shelf(reports)
    else:
        said = attribute(reports, given.by)
        found = by_attribute(reports, said)
    every = {one for own in found.values() for one in own}
    labels = sorted(every, key=partial(_order, said))
    lines = [line(name, own, labels) for name, own in found.items()]
    counts = [
        "/".join(dict.fromkeys(str(len(own.get(one, ()))) for own in found.values()))
        for one in labels
    ]
    print(table(said, lines, labels, counts))
    axis = Axis(said, -0.5, len(labels) - 0.5, list(enumerate(labels)))
    outputs.write_text(given.plot, figure(f"R@1 by {given.by}", axis, "R@1", lines))


if __name__ == "__main__":
    main()
