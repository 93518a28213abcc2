"""Time to update the index of a feed in which 1 % has changed, compared with building it anew.

    python benchmarks/feeds.py [--quick] [--products 10000] [--model FOLDER]

Both sides read the feed, compare it with the index, encode titles and write rows. The feed is a
Merchant Center table without images; the text tower is that of a small untrained model unless
--model is used. Half of the changes are new titles, a quarter are new products, and a quarter are
products that the feed no longer has. The sides run alternately.

If other programs keep the cores busy, waiting for the disk and for other threads takes a larger
share of the short side. The ratio of CPU times is therefore printed next to that of wall times.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from sgmn.catalogue.index import Index
from sgmn.catalogue.update import UpdateReport
from sgmn.model import backbones, checkpoint
from sgmn.model.embedder import Embedder

CHANGED_SHARE = 0.01
MIN_RATIO = 20.0
HEADER = "id\ttitle\tdescription\tlink\tavailability\tprice\tbrand\tproduct_type\n"
WORDS = [
    *("oak", "linen", "steel", "clay", "wool", "green", "red", "navy", "slate", "moss", "round"),
    *("tall", "light", "soft", "wide", "small", "bowl", "mug", "lamp", "shelf", "scarf", "kettle"),
    *("towel", "plate", "basket", "brush", "candle", "board", "knife", "cushion", "tray", "jar"),
]


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    model = checkpoint.load(options.model) if options.model else backbones.build_small()
    embedder = Embedder(model)
    ratios = []
    for number in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            ratios.append(compare(embedder, Path(folder), options.products, number))
    ratio, cpu_ratio = np.median(np.array(ratios), axis=0)
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    verdict = "ok" if ratio >= MIN_RATIO else "MISSED"
    print(f"ratio {ratio:.1f} (at least {MIN_RATIO:g}) {verdict}; CPU {cpu_ratio:.1f}; {load}")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4,000 products, 1 repeat")
    parser.add_argument("--model", type=Path, help="a checkpoint; default: small, untrained")
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the median counts")
    options = parser.parse_args()
    if options.quick:
        options.products, options.repeats = 4_000, 1
    return options


def compare(embedder: Embedder, folder: Path, count: int, seed: int) -> tuple[float, float]:
    """Return the wall time of a new index divided by that of an update, and the CPU time."""
    rng = random.Random(seed)
    rows = {f"P{number}": make_row(rng) for number in range(count)}
    feed = folder / "feed.tsv"
    write_feed(feed, rows)
    index = Index.create(folder / "index", embedder)
    build_s, build_cpu_s, report = measure(index, feed)
    assert report.added == count
    changes = round(count * CHANGED_SHARE)
    change_rows(rows, changes, rng)
    write_feed(feed, rows)
    update_s, update_cpu_s, report = measure(index, feed)
    assert report.added + report.replaced + report.removed == changes, report
    assert index.count() == len(rows)
    print(
        f"{count} products: new index {build_s:.2f} s, update of {changes} changes "
        f"{update_s:.3f} s; CPU {build_cpu_s:.2f} s and {update_cpu_s:.3f} s"
    )
    return build_s / update_s, build_cpu_s / update_cpu_s


def make_row(rng: random.Random) -> str:
    title = " ".join(rng.sample(WORDS, 5))
    description = " ".join(rng.choices(WORDS, k=60))
    price = f"{rng.randint(1, 200)}.00 EUR"
    link = f"https://shop.example/{rng.randrange(10**9)}"
    return "\t".join([title, description, link, "in_stock", price, "Brand", "Home"])


def change_rows(rows: dict[str, str], count: int, rng: random.Random) -> None:
    """Give half of `count` rows a new title; add a quarter, and remove the rest."""
    keys = rng.sample(sorted(rows), count)
    added = count // 4
    for key in keys[: count // 2]:
        rows[key] = make_row(rng)
    for key in keys[count // 2 + added :]:
        del rows[key]
    rows.update({f"N{number}": make_row(rng) for number in range(added)})


def write_feed(path: Path, rows: dict[str, str]) -> None:
    path.write_text(HEADER + "".join(f"{key}\t{row}\n" for key, row in rows.items()))


def measure(index: Index, feed: Path) -> tuple[float, float, UpdateReport]:
    """Index a feed; return the wall time and the CPU time in seconds, and the report."""
    wall, cpu = time.perf_counter(), time.process_time()
    report = index.add(feed, sync=True, batch_size=64)
    return time.perf_counter() - wall, time.process_time() - cpu, report


if __name__ == "__main__":
    main()
