"""Time, disk and memory of large indexes, against the number of products.

    python benchmarks/catalogue_size.py [--sizes 10000 100000 1000000] [--json FILE] [--plot FILE]

Fills an index with generated products through `ProductTable.update`, as `sgmn index` does, but with
random vectors in place of a model, and measures each step in a process of its own. Vectors are
clusters within clusters, as products come in categories and kinds; a query is another vector of
the kind of a product, with noise twice as long. Needs about 17 kB of disk for each product, or
40 kB with `--patches`, because old versions of an index are kept for an hour; less with
`--keep-versions-s 60`. On a busy machine read the CPU seconds: exponents and plot are theirs.
With `--add-to FILE`, the sizes of an earlier run (`--json FILE`) need not be measured again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sgmn.report.line_plot import Axis, Line, LinePlot

# Measured value -> what it is, and its unit.
STEPS = {
    "write": "write all products, in shops of 1,000",
    "vector index": "build the vector index of images",
    "shelf cold": "shelf of a shop, first read",
    "shelf warm": "shelf of a shop, later reads (p50)",
    "search": "search across shops, vector index (p50)",
    "exact search": "search across shops, exact (p50)",
    "update": "update 100 products of a shop",
    "remove": "remove 100 products of a shop",
}
Measures = dict[str, float]
PLOTTED = ("write", "vector index", "shelf warm", "search", "exact search", "update")
PLOT_START_S = 1e-3  # the vertical axis starts here, and has a label at each power of ten
SECONDS_LABELS = ("1 ms", "10 ms", "0.1 s", "1 s", "10 s", "100 s", "10³ s", "10⁴ s")


def main() -> None:
    options = parse_options()
    results = read_results(options.add_to) if options.add_to else {}
    for size in sorted(options.sizes):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            results[size] = measure(Path(folder) / "index", size, options)
        print_size(size, results[size])
    results = dict(sorted(results.items()))
    exponents = {step: fit_exponent(results, step) for step in STEPS}
    print_exponents(exponents)
    if options.json:
        content = {"sizes": results, "exponents": exponents, "patches": options.patches}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    if options.plot:
        draw(results).save(options.plot)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--patches", action="store_true", help="also patches of 36 × 128 a product")
    parser.add_argument("--keep-versions-s", default="3600", metavar="S", help="default: 3600")
    parser.add_argument("--add-to", type=Path, metavar="FILE", help="figures of an earlier run")
    parser.add_argument("--folder", type=Path, help="where the indexes are built, then deleted")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the times, .svg or .png")
    return parser.parse_args()


def read_results(file: Path) -> dict[int, dict[str, Measures]]:
    """The figures that an earlier run has written, by size."""
    return {int(size): found for size, found in json.loads(file.read_text())["sizes"].items()}


def measure(folder: Path, size: int, options: argparse.Namespace) -> dict[str, Measures]:
    """Run the steps one after another, each in a process of its own."""
    results: dict[str, Measures] = {}
    for step in ("write", "vector index", "shelf", "search", "update", "remove"):
        worker = Path(__file__).with_name("catalogue_size_step.py")
        command = [sys.executable, str(worker), step, str(folder), str(size)]
        command += ["--keep-versions-s", options.keep_versions_s]
        command += ["--patches"] if options.patches else []
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        results |= json.loads(output)
    return results


def fit_exponent(results: Mapping[int, dict[str, Measures]], step: str) -> float | None:
    """The slope of the CPU seconds of a step against the number of products, both as logarithms."""
    if len(results) < 2:
        return None
    seconds = [result[step]["cpu_seconds"] for result in results.values()]
    return round(float(np.polyfit(np.log(list(results)), np.log(seconds), 1)[0]), 2)


def print_size(size: int, result: Mapping[str, Measures]) -> None:
    print(f"{size:,} products", flush=True)
    for step, values in result.items():
        print(
            f"  {STEPS[step]:42}", ", ".join(f"{k} {v:.4g}" for k, v in values.items()), flush=True
        )


def print_exponents(exponents: Mapping[str, float | None]) -> None:
    print("time grows with the number of products to the power of")
    for step, exponent in exponents.items():
        print(f"  {STEPS[step]:42}{'-' if exponent is None else format(exponent, '.2f'):>8}")


def draw(results: Mapping[int, dict[str, Measures]]) -> LinePlot:
    """CPU seconds of each step against the number of products, on logarithmic axes."""
    places = [float(np.log10(size)) for size in results]
    axis = Axis(
        "products",
        places[0] - 0.1,
        places[-1] + 0.1,
        [(place, f"{size:,}") for place, size in zip(places, results, strict=True)],
    )
    lines, decades = [], len(SECONDS_LABELS) - 1
    for step in PLOTTED:
        seconds = np.array([result[step]["cpu_seconds"] for result in results.values()])
        heights = (np.log10(seconds / PLOT_START_S) / decades).clip(0, 1).tolist()
        lines.append(Line(STEPS[step], places, heights, heights, heights))
    ticks = [(n / decades, label) for n, label in enumerate(SECONDS_LABELS)]
    return LinePlot(
        "CPU time against the size of the index", axis, "CPU time", lines, y_ticks=ticks
    )


if __name__ == "__main__":
    main()
