"""Cost of indexing on a Ray cluster of this machine, against the plain path.

    python benchmarks/ray_overhead.py [--quick] [--products 512] [--rounds 3]

Both sides index the same catalogue with the built-in model, alternately, from the same process,
into a new folder. The cluster has the cores of the machine. Its start and that of its workers,
which load the model, are measured apart, with a first index of a batch for each core: a job pays
that once.

CPU seconds are those of this process and of its descendants, Ray's own processes included. The
plain path decodes on a thread of its own, while a Ray task decodes and encodes one after the other:
on a machine with free cores, compare CPU seconds rather than wall times.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.indexing import generate_products

import sgmn
from sgmn.records import Product
from sgmn.scale.ray_connection import connect_ray
from sgmn.scale.ray_engine import RayEngine

LONG_JOB_S, MAX_OVERHEAD = 600.0, 0.15
Seconds = tuple[float, float]  # wall time, CPU time


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    index, times = Indexing(), {"plain": list[Seconds](), "ray": list[Seconds]()}
    with tempfile.TemporaryDirectory() as folder:
        products = generate_products(Path(folder), options.products)
        started, before = time.perf_counter(), cpu_seconds()
        with connect_ray("local") as engine:
            index(products[: 32 * (os.cpu_count() or 1)], engine)
            start = (time.perf_counter() - started, cpu_seconds() - before)
            index(products[:32], None)  # a warm-up
            for _ in range(options.rounds):
                times["ray"].append(measure(partial(index, products, engine)))
                times["plain"].append(measure(partial(index, products, None)))
    print_report(start, times, len(products))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="64 products, 1 round")
    parser.add_argument("--products", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3, help="the median counts")
    options = parser.parse_args()
    if options.quick:
        options.products, options.rounds = 64, 1
    return options


class Indexing:
    """Indexes products with the built-in model into a new folder, which is then deleted."""

    def __init__(self) -> None:
        self.embedder = sgmn.load("builtin").embedder

    def __call__(self, products: Sequence[Product], engine: RayEngine | None) -> None:
        """Index products in this process, or with an engine."""
        with tempfile.TemporaryDirectory() as folder:
            sgmn.Index.create(Path(folder) / "index", self.embedder).add(products, engine=engine)


def measure(run: Callable[[], None]) -> Seconds:
    wall, cpu = time.perf_counter(), cpu_seconds()
    run()
    return time.perf_counter() - wall, cpu_seconds() - cpu


def cpu_seconds() -> float:
    """CPU time so far of this process and of its descendants, those of Ray included."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        process = int(folder.name)
        parents[process] = int(fields[1])
        ticks[process] = sum(map(int, fields[11:15]))  # with children that have ended
    own = {os.getpid()}
    while more := {p for p, parent in parents.items() if parent in own} - own:
        own |= more
    return sum(ticks[process] for process in own) / os.sysconf("SC_CLK_TCK")


def print_report(start: Seconds, times: dict[str, list[Seconds]], count: int) -> None:
    print(f"{count} products; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"start of Ray and of its workers: {start[0]:.1f} s wall, {start[1]:.1f} s CPU")
    print(f"{'':8}{'wall s':>9}{'CPU s':>9}{'CPU ms a product':>18}")
    for side, rounds in times.items():
        wall, cpu = np.median(rounds, axis=0)
        print(f"{side:8}{wall:9.2f}{cpu:9.2f}{1000 * cpu / count:18.1f}")
    ratio = np.median(np.array(times["ray"]) / np.array(times["plain"]), axis=0)
    print(f"ratio   {ratio[0]:9.3f}{ratio[1]:9.3f}")
    overhead = ratio[1] - 1 + start[1] / LONG_JOB_S
    verdict = "ok" if overhead <= MAX_OVERHEAD else "MISSED"
    print(
        f"extrapolated to {LONG_JOB_S:.0f} CPU seconds of plain work: {overhead:+.1%} "
        f"(at most {MAX_OVERHEAD:.0%}) {verdict}"
    )


if __name__ == "__main__":
    main()
