"""Plot R@1 against what makes a clip hard, from reports of `sgmn evaluate --json`.

    python tools/curves.py REPORT.json [NAME=OTHER.json ...] --by shelf --plot OUT.svg

Prints R@1 with 95 % bootstrap intervals in buckets of the clips' attributes, and draws one line per
report. With `--by shelf` the true product stays and the others are drawn at random from the clip's
shelf; this R@1 is computed exactly from the ranks. A model with a second pass would score a smaller
shelf again; its curve is that of its ranking of the whole shelf.
"""

from __future__ import annotations

import argparse
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SgmnError
from sgmn.evaluation.breakdown import MISSING_VALUE
from sgmn.evaluation.metrics import hits_at
from sgmn.evaluation.ranking import RankedClip
from sgmn.evaluation.report import Report
from sgmn.evaluation.robustness import top1_probability
from sgmn.evaluation.significance import bootstrap_ci
from sgmn.evaluation.tables import markdown_table
from sgmn.report.line_plot import Axis, Line, LinePlot, require_plot_suffix
from sgmn.workflows import evaluation

BIN_EDGES: dict[str, Sequence[float]] = {
    "distractors": (0, 3, 6, 9, 25),
    "twins_beside": (0, 1, 3, 25),
    "visible_share": (0, 0.4, 0.6, 0.8, 1.01),
    "area": (0, 0.02, 0.05, 0.1, 1.01),
}
# Attributes that describe a difficulty, the finest first.
ATTRIBUTES = {
    "distractors": ("distractors", "products"),
    "visibility": ("visible_share", "visible"),
    "scale": ("area", "scale"),
}
NAME_ORDER = {"short": 0, "small": 0, "few": 0, "medium": 1, "long": 2, "large": 2, "abundant": 2}
SHELF_SIZES = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
CAPTION = "R@1 in % with 95 % bootstrap intervals over clips."

# For each label the values (n,) in 0..1 whose mean is R@1.
Buckets = Mapping[str, NDArray[np.float64]]


def main() -> None:
    options = parse_arguments()
    require_plot_suffix(options.plot)
    reports = read_reports(options.reports)
    if options.by == "shelf":
        name, buckets = "products on the shelf", group_by_shelf_size(reports)
    else:
        name = choose_attribute(reports, options.by)
        buckets = group_by_attribute(reports, name)
    labels = sorted({one for own in buckets.values() for one in own}, key=partial(sort_key, name))
    lines = [build_line(title, own, labels) for title, own in buckets.items()]
    print(format_table(name, lines, labels, count_clips(buckets, labels)))
    axis = Axis(name, -0.5, len(labels) - 0.5, list(enumerate(labels)))
    LinePlot(f"R@1 by {options.by}", axis, "R@1", lines).save(options.plot)


def read_reports(arguments: Sequence[str]) -> dict[str, Report]:
    """Reports by name, from arguments of the form [NAME=]FILE."""
    pairs = (argument.rpartition("=") for argument in arguments)
    paths = {name or Path(path).stem: Path(path) for name, _, path in pairs}
    if len(paths) < len(arguments):
        raise SgmnError("two reports have the same name", remedy="use NAME=REPORT.json")
    return {name: evaluation.read_report(path) for name, path in paths.items()}


def group_by_shelf_size(reports: Mapping[str, Report]) -> dict[str, Buckets]:
    """R@1 of each clip on random shelves with its true product, of sizes that all shelves have."""
    smallest = min(query.shelf_size for report in reports.values() for query in report.queries)
    sizes = [*(size for size in SHELF_SIZES if size < smallest), smallest]
    return {
        name: {str(size): _on_smaller_shelf(report.queries, size) for size in sizes}
        for name, report in reports.items()
    }


def _on_smaller_shelf(queries: Sequence[RankedClip], size: int) -> NDArray[np.float64]:
    return np.array([top1_probability(q.rank, q.shelf_size, size) for q in queries])


def group_by_attribute(reports: Mapping[str, Report], name: str) -> dict[str, Buckets]:
    """Hits in each bucket of an attribute; every clip is in one bucket."""
    return {title: _hits(report.queries, name) for title, report in reports.items()}


def _hits(queries: Sequence[RankedClip], name: str) -> Buckets:
    hits = hits_at([query.rank for query in queries], 1)
    labels = np.array([bucket_label(query.attributes.get(name), name) for query in queries])
    return {one: hits[labels == one] for one in sorted(set(labels), key=partial(sort_key, name))}


def choose_attribute(reports: Mapping[str, Report], difficulty: str) -> str:
    """The finest attribute that describes a difficulty and that every report has."""
    for name in ATTRIBUTES[difficulty]:
        if all(any(name in q.attributes for q in one.queries) for one in reports.values()):
            return name
    raise SgmnError(
        f"no attribute describes {difficulty!r} in every report",
        where="reports",
        remedy=f"evaluate clips with one of {', '.join(ATTRIBUTES[difficulty])}",
    )


def bucket_label(value: object, name: str) -> str:
    """The bucket of a value: a bin if the attribute has bins, else the value itself."""
    if value is None:
        return MISSING_VALUE
    if name not in BIN_EDGES or not isinstance(value, int | float):
        return str(value)
    return _bin_labels(name)[bisect_right(BIN_EDGES[name][1:-1], value)]


def _bin_labels(name: str) -> list[str]:
    """The bins in order; the outer ones contain everything beyond them."""
    edges = BIN_EDGES[name]
    return [*(f"{low:g} to {high:g}" for low, high in pairwise(edges[:-1])), f"from {edges[-2]:g}"]


def sort_key(name: str, label: str) -> tuple[bool, float, str]:
    """Order of buckets: bins and numbers ascend, names by their meaning, missing values last."""
    bins = _bin_labels(name) if name in BIN_EDGES else []
    number = float(label) if label.isdecimal() else 0.0
    number = bins.index(label) if label in bins else NAME_ORDER.get(label, number)
    return label == MISSING_VALUE, number, label


def build_line(name: str, buckets: Buckets, labels: Sequence[str]) -> Line:
    """The curve of a report over the positions of all labels, with its intervals."""
    places = [place for place, label in enumerate(labels) if label in buckets]
    values = [buckets[labels[place]] for place in places]
    ends = [bootstrap_ci(value) for value in values]
    means = [float(value.mean()) for value in values]
    return Line(name, places, means, [low for low, _ in ends], [high for _, high in ends])


def count_clips(buckets: Mapping[str, Buckets], labels: Sequence[str]) -> list[str]:
    """The clips of each bucket, for each report if they differ."""
    return [
        "/".join(dict.fromkeys(str(len(own.get(label, ()))) for own in buckets.values()))
        for label in labels
    ]


def format_table(
    name: str, lines: Sequence[Line], labels: Sequence[str], counts: Sequence[str]
) -> str:
    """Every point of every curve as Markdown."""
    cells = [
        {
            place: f"{100 * value:.1f} ({100 * low:.1f}–{100 * high:.1f})"
            for place, value, low, high in zip(line.x, line.y, line.low, line.high, strict=True)
        }
        for line in lines
    ]
    rows = [
        [label, counts[place], *(own.get(place, "–") for own in cells)]
        for place, label in enumerate(labels)
    ]
    return markdown_table([name, "clips", *(line.name for line in lines)], rows, CAPTION)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("reports", nargs="+", metavar="[NAME=]REPORT.json")
    parser.add_argument("--by", choices=[*ATTRIBUTES, "shelf"], required=True)
    parser.add_argument("--plot", type=Path, required=True, help="file of the plot, .svg or .png")
    return parser.parse_args()


if __name__ == "__main__":
    main()
