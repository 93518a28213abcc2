"""Indexing a catalogue beside its bare picture tower on the same batches.

    python benchmarks/indexing.py [--quick] [--model FOLDER] [--products 256]

The bare tower gets tensors that are ready; indexing begins at JPEG files and ends with rows on
disk: hashing, decoding, fitting to the canvas, encoding, writing. Titles need the other tower
as well, so the side with titles is shown and not judged. The sides take turns.

Decoding wants a core of its own: where other programs keep the cores busy, the ratio of times
tells their load. The ratio of the encoding thread's own CPU time stands beside it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sgmn.catalogue.index import Index, ModelStamp
from sgmn.media import image
from sgmn.model import backbones, checkpoint
from sgmn.model.embedder import Embedder
from sgmn.records import Product

BATCH = 32
LEAST_RATIO = 0.85


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    model = checkpoint.load(options.model) if options.model else backbones.small()
    embedder = Embedder(model)
    with tempfile.TemporaryDirectory() as folder:
        products = drawn_products(Path(folder), options.products)
        show(*in_turns(sides(embedder, products, Path(folder)), options.turns), len(products))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="64 products, 2 turns")
    parser.add_argument("--model", type=Path, help="a checkpoint; else the small model, untrained")
    parser.add_argument("--products", type=int, default=512)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    if options.quick:
        options.products, options.turns = 64, 2
    return options


def drawn_products(folder: Path, count: int) -> list[Product]:
    """Products with a 480 x 480 JPEG of coarse noise each, and a title."""
    drawn, products = np.random.default_rng(0), []
    for number in range(count):
        coarse = Image.fromarray(drawn.integers(256, size=(12, 12, 3), dtype=np.uint8))
        path = folder / f"{number}.jpg"
        coarse.resize((480, 480), Image.Resampling.BICUBIC).save(path, quality=85)
        products.append(Product(f"p{number}", f"fresh green lime number {number}", path))
    return products


Sides = dict[str, Callable[[], object]]


def sides(embedder: Embedder, products: Sequence[Product], folder: Path) -> Sides:
    silent = [Product(product.product_id, image=product.image) for product in products]
    views = [image.read(path, embedder.max_side) for p in products for path in p.pictures]
    batches = [views[start : start + BATCH] for start in range(0, len(views), BATCH)]
    ready = [embedder.prepare.pictures(batch) for batch in batches]

    def bare() -> None:
        with torch.inference_mode():
            for tensors in ready:
                embedder.network.see(tensors)

    stamp = ModelStamp(embedder.model.fingerprint(), embedder.dim)

    def indexed(rows: Sequence[Product]) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            index = Index.create_or_open(Path(fresh), stamp)
            index.update(rows, embedder.products, batch=BATCH, max_side=embedder.max_side)

    return {
        "bare picture tower": bare,
        "index, pictures": lambda: indexed(silent),
        "index, pictures and titles": lambda: indexed(products),
    }


Times = dict[str, list[float]]


def in_turns(sides: Sides, turns: int) -> tuple[Times, Times]:
    """Seconds of each side, and of them the encoding thread's CPU, after one turn to warm up."""
    walls: Times = {name: [] for name in sides}
    cpus: Times = {name: [] for name in sides}
    for _ in range(turns + 1):
        for name, side in sides.items():
            wall, cpu = time.perf_counter(), time.thread_time()
            side()
            walls[name].append(time.perf_counter() - wall)
            cpus[name].append(time.thread_time() - cpu)
    return {n: taken[1:] for n, taken in walls.items()}, {n: t[1:] for n, t in cpus.items()}


def show(walls: Times, cpus: Times, count: int) -> None:
    busy = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"{count} products, batches of {BATCH}, one torch thread, one decoding thread; {busy}")
    print(f"{'side':28}{'products/s':>12}{'ratio':>8}{'CPU ratio':>11}")
    for name, taken in walls.items():
        speed = count / np.median(taken)
        print(f"{name:28}{speed:12.1f}{ratio(walls, name):8.3f}{ratio(cpus, name):11.3f}")
    found = ratio(walls, "index, pictures")
    print(
        f"ratio {found:.3f} (at least {LEAST_RATIO}) {'ok' if found >= LEAST_RATIO else 'MISSED'}"
    )


def ratio(times: Times, name: str) -> float:
    """The bare tower's time over that of a side, the median of the turns."""
    return float(np.median(np.array(times["bare picture tower"]) / np.array(times[name])))


if __name__ == "__main__":
    main()
